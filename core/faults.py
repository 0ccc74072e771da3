"""From what pydantic finds wrong to faults with JSON Pointers and our codes."""

from typing import TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from core.errors import Fault, InvalidRequest
from core.strict_json import Json, escape_pointer

_CODES = {
    "extra_forbidden": "unknown_field",
    "missing": "required",
    "string_too_long": "too_long",
    "string_too_short": "too_short",
    "too_short": "too_few",
    "too_long": "too_many",
    "literal_error": "invalid_value",
    "enum": "invalid_value",
    "greater_than": "out_of_range",
    "greater_than_equal": "out_of_range",
    "less_than": "out_of_range",
    "less_than_equal": "out_of_range",
    "string_pattern_mismatch": "invalid_value",
    "string_unicode": "invalid_string",
    "value_error": "invalid_value",
}
_SENTENCES = {
    "extra_forbidden": "This field is not known here.",
    "missing": "This field is required.",
    "dict_type": "Input should be an object.",
    "model_type": "Input should be an object.",
}
Model = TypeVar("Model", bound=BaseModel)


def validate_body(schema: type[Model], body: dict[str, Json]) -> Model:
    """Return the body as its schema has it.

    Raises:
        InvalidRequest: it does not fit; a fault for every place.
    """
    try:
        return schema.model_validate(body)
    except ValidationError as error:
        raise InvalidRequest(faults_of(error)) from None


def faults_of(error: ValidationError) -> list[Fault]:
    """Return a fault for every place where a value does not fit its schema."""
    return [_fault(found) for found in error.errors(include_url=False, include_input=False)]


def _fault(found: ErrorDetails) -> Fault:
    kind = found["type"]
    code = _CODES.get(kind, "invalid_type" if kind.endswith("_type") else "invalid_value")
    return Fault(_pointer(found["loc"]), _sentence(found), code)


def _sentence(found: ErrorDetails) -> str:
    kind, bounds = found["type"], found.get("ctx", {})
    if kind == "too_long":
        return f"At most {bounds['max_length']}."
    if kind == "too_short":
        return f"At least {bounds['min_length']}."
    return _SENTENCES.get(kind) or f"{found['msg'].removeprefix('Value error, ')}."


def _pointer(location: tuple[int | str, ...]) -> str:
    return "".join(f"/{escape_pointer(str(part)[:100])}" for part in location if not _is_mark(part))


def _is_mark(part: int | str) -> bool:
    """Tell whether this is no part of the body: pydantic's mark of a dictionary's key, our tag of a union's member."""
    return isinstance(part, str) and (part == "[key]" or (part.startswith("<") and part.endswith(">")))
