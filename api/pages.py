"""The size of a page of a listing."""

from core.errors import Fault, InvalidRequest
from core.settings import Limits


def page_size(asked: int, limits: Limits) -> int:
    """Return how many rows a page has.

    Raises:
        InvalidRequest: more than the operator allows.
    """
    if asked > limits.max_page_size:
        raise InvalidRequest([Fault("/limit", f"A page has at most {limits.max_page_size} rows.", "out_of_range")])
    return asked
