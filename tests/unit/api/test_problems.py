import json
from collections.abc import Iterator

import pytest

from api.problems import STATUSES, body_of, headers_of
from core import errors
from core.errors import CallerError, Fault, ImageTooLarge, InkpostError, InvalidRequest, TransientError, code_of

# These are stored on a line or a job, or stop a process; no request is answered with them.
INSIDE = (
    errors.LineError,
    errors.DocumentError,
    errors.RecognitionError,
    errors.ModelUnusable,
    errors.LinesUnusable,
)


def descendants(family: type[InkpostError]) -> Iterator[type[InkpostError]]:
    for child in family.__subclasses__():
        yield child
        yield from descendants(child)


@pytest.mark.parametrize(
    "error",
    [
        error
        for family in (CallerError, TransientError)
        for error in descendants(family)
        if "code" in vars(error) and not issubclass(error, INSIDE)
    ],
)
def test_every_error_that_can_reach_a_client_has_a_status(error):
    assert error in STATUSES


@pytest.mark.parametrize("error", STATUSES)
def test_every_error_is_told_as_a_problem(error):
    instance = error([Fault("/a", "no", "bad_a")]) if issubclass(error, InvalidRequest) else error()
    content_type, body = body_of(instance, path="/v1/jobs", request_id="req_1")
    problem = json.loads(body)
    assert content_type == "application/problem+json"
    assert problem["status"] == STATUSES[error]
    assert problem["code"] == code_of(instance)
    assert problem["request_id"] == "req_1"
    assert set(problem) >= {"type", "title", "detail"}


def test_the_code_of_a_bad_request_is_that_of_its_faults_when_they_agree():
    same = InvalidRequest([Fault("/a", "", "too_long"), Fault("/b", "", "too_long")])
    mixed = InvalidRequest([Fault("/a", "", "too_long"), Fault("/b", "", "required")])
    assert code_of(same) == "too_long"
    assert code_of(mixed) == "invalid_request"
    assert code_of(ImageTooLarge([Fault("/a", "", "image_too_large")])) == "image_too_large"


@pytest.mark.parametrize("error", [error for error in STATUSES if issubclass(error, TransientError)])
def test_what_may_succeed_later_says_when(error):
    assert int(headers_of(error())["Retry-After"]) >= 1


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/x", "/v1/chat/completions", "/v1/files", "/v1/batches"])
def test_openai_paths_get_openai_errors(path):
    content_type, body = body_of(InvalidRequest([Fault("/n", "Bad.", "out_of_range")]), path=path, request_id="req_1")
    assert content_type == "application/json"
    assert json.loads(body) == {
        "error": {"message": "Bad.", "type": "invalid_request_error", "param": "n", "code": "out_of_range"}
    }
