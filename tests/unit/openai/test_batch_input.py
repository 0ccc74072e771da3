"""The file of a batch, line by line over the bounds of its parts."""

import json

from hypothesis import given
from hypothesis import strategies as st

from core.openai.batch_input import check_input, lines_from
from core.settings import OpenAI, Settings


def parts_of(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def reader(parts: list[bytes]):
    return lambda number: parts[number] if number < len(parts) else None


@given(
    st.lists(st.binary(min_size=1, max_size=20).filter(lambda line: b"\n" not in line and line.strip())),
    st.integers(1, 9),
)
def test_lines_are_found_over_parts_of_any_size_and_from_anywhere(lines, size):
    read = reader(parts_of(b"\n\n".join(lines) + b"\n", size))
    found = list(lines_from(read, 0, 0))
    assert [line.data for line in found] == lines
    for number, line in enumerate(found):
        assert [rest.data for rest in lines_from(read, line.next_part, line.next_skip)] == lines[number + 1 :]


def request(custom_id: str) -> bytes:
    body = {"custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions", "body": {}}
    return json.dumps(body).encode()


def test_a_file_with_too_many_requests_or_none_is_refused():
    settings = Settings(openai=OpenAI(max_batch_requests=2))
    assert check_input(reader([b"\n".join([request("a"), request("b")])]), settings) == (2, [])
    _, errors = check_input(reader([b"\n".join(request(str(number)) for number in range(3))]), settings)
    assert [error.code for error in errors] == ["too_many"]
    _, errors = check_input(reader([b"\n \n"]), settings)
    assert [error.code for error in errors] == ["empty_file"]


def test_only_the_first_errors_are_told():
    total, errors = check_input(reader([b"{\n" * 1_000]), Settings())
    assert total == len(errors) == 20
    assert errors[0].line == 1
