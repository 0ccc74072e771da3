"""JSON bodies that are small as a rule: everything but a job's."""

from typing import TypeVar

from flask import request
from pydantic import BaseModel
from werkzeug.http import parse_options_header

from api.bodies import read_body
from core.errors import UnsupportedMediaType
from core.faults import validate_body
from core.strict_json import parse_object

MAX_BYTES = 64 * 1024
MAX_VALUES = 1_000
Model = TypeVar("Model", bound=BaseModel)


def read_json(
    schema: type[Model], *, is_optional: bool = False, max_bytes: int = MAX_BYTES, max_values: int = MAX_VALUES
) -> Model:
    """Return the current request's body as its schema has it; where it is optional none at all counts as `{}`.

    Raises:
        CallerError: what is wrong with it; see api.problems.
    """
    body = read_body(max_bytes)
    if is_optional and not body:
        return validate_body(schema, {})
    media_type, _ = parse_options_header(request.environ.get("CONTENT_TYPE", ""))
    if media_type != "application/json":
        raise UnsupportedMediaType("Send application/json.")
    return validate_body(schema, parse_object(body, max_values=max_values))
