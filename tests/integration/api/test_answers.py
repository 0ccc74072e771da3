"""What every answer carries, whatever its status."""

import pytest

from api.problems import SECURITY_HEADERS
from core.errors import DatabaseUnavailable


def unavailable() -> None:
    raise DatabaseUnavailable


@pytest.fixture(scope="module")
def facade(shared_facade):
    """Give a facade with two routes that fail."""
    shared_facade.app.add_url_rule("/crash", view_func=lambda: 1 / 0, endpoint="crash")
    shared_facade.app.add_url_rule("/unavailable", view_func=unavailable, endpoint="unavailable")
    return shared_facade


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/livez", 200),
        ("GET", "/nope", 404),
        ("GET", "//v1/jobs", 404),
        ("GET", "/v1/jobs/", 404),
        ("PUT", "/v1/jobs", 405),
        ("OPTIONS", "/v1/jobs", 405),
        ("TRACE", "/v1/jobs", 405),
        ("HEAD", "/livez", 200),
        ("POST", "/v1/jobs", 415),
        ("GET", "/v1/jobs", 200),
        ("GET", "/crash", 500),
        ("GET", "/unavailable", 503),
    ],
)
def test_every_answer_carries_the_security_headers_and_a_request_id(caller, method, path, status):
    answer = caller(method, path, headers={"X-Request-Id": "trace-1"})
    assert answer.status_code == status
    for name in SECURITY_HEADERS:
        assert name in answer.headers
    assert answer.headers["X-Request-Id"] == "trace-1"
    if status >= 400:
        assert answer.content_type == "application/problem+json"
        assert method == "HEAD" or answer.json["request_id"] == "trace-1"
        assert "ZeroDivision" not in answer.text
    if status == 405:
        assert "GET" in answer.headers["Allow"]
    if status == 503:
        assert answer.headers["Retry-After"]
