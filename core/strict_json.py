"""JSON from strangers: everything that two parsers could read differently, or that could exhaust one, is refused.

RFC 8259 leaves duplicate keys, huge numbers and depth to the parser; here each has one answer.
"""

import json
import math
import re
from collections.abc import Iterator
from typing import TypeAlias

from core.errors import DuplicateKey, EmptyBody, Fault, InvalidJson, InvalidRequest, JsonTooDeep

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
_MAX_DEPTH = 32
_MAX_DIGITS = 19  # more do not fit into 64 bits
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def parse_object(body: bytes, *, max_values: int) -> dict[str, Json]:
    """Return the JSON object in a body of at most about `max_values` values.

    The bound matters because a small body can hold millions of empty objects, each a hundred bytes once parsed.

    Raises:
        EmptyBody, InvalidJson, JsonTooDeep, DuplicateKey: it is not JSON, or not unambiguous JSON.
        InvalidRequest: it is JSON, but no object, holds too much, or a string that cannot be stored.
    """
    text = _decode(body)
    if text.count(",") + text.count("[") + text.count("{") > max_values:
        raise InvalidRequest([Fault("", f"The body may hold at most {max_values} values.", "too_many")])
    value = _parse(text)
    if not isinstance(value, dict):
        raise InvalidRequest([Fault("", "The body must be a JSON object.", "invalid_type")])
    if "\\u" in text:  # only an escape can make what UTF-8 itself cannot hold
        faults = [Fault(pointer, "Not storable: U+0000 or half a surrogate pair.", "invalid_string")
                  for pointer in _unstorable(value, "")]  # fmt: skip
        if faults:
            raise InvalidRequest(faults)
    return value


def escape_pointer(token: str) -> str:
    """Escape one reference token of a JSON Pointer (RFC 6901)."""
    return token.replace("~", "~0").replace("/", "~1")


def _decode(body: bytes) -> str:
    if not body:
        raise EmptyBody
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise InvalidJson(f"The body is not UTF-8: byte {error.start} is wrong.") from error
    if text.startswith("\ufeff"):
        raise InvalidJson("The body starts with a byte order mark.")
    return text


def _parse(text: str) -> Json:
    try:
        value: Json = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise InvalidJson(f"{error.msg} at line {error.lineno}, column {error.colno}.") from error
    except RecursionError as error:
        raise JsonTooDeep from error
    if _is_deeper(value, _MAX_DEPTH):
        raise JsonTooDeep
    return value


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise DuplicateKey
    return found


def _integer(digits: str) -> int:
    if len(digits.lstrip("-")) > _MAX_DIGITS:
        raise InvalidJson(f"A number has more than {_MAX_DIGITS} digits.")
    return int(digits)


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise InvalidJson("A number is out of range.")
    return number


def _constant(name: str) -> Json:
    raise InvalidJson(f"{name} is not JSON.")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_int=_integer, parse_float=_number, parse_constant=_constant
)


def _is_deeper(value: Json, depth: int) -> bool:
    level = [value]
    for _ in range(depth + 1):
        level = [
            child
            for parent in level
            for child in (parent.values() if isinstance(parent, dict) else parent if isinstance(parent, list) else ())
            if isinstance(child, dict | list)
        ]
        if not level:
            return False
    return True


def _unstorable(value: Json, pointer: str) -> Iterator[str]:
    if isinstance(value, str):
        if _UNSTORABLE.search(value):
            yield pointer
    elif isinstance(value, dict):
        for key, child in value.items():
            if _UNSTORABLE.search(key):
                yield pointer
            else:
                yield from _unstorable(child, f"{pointer}/{escape_pointer(key)}")
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from _unstorable(child, f"{pointer}/{index}")
