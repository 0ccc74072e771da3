"""Hostile and mistaken input on OpenAI's routes: rows B1 to B26 of the promises, in OpenAI's shape.

What the HTTP server itself refuses (B2's huge header, B20 to B24) never reaches a route; tests/integration/api has it.
"""

import pytest

from core.words import Scope
from tests.integration.api.conftest import (  # noqa: F401 - fixtures are found by name here
    Caller,
    app,
    bench,
    caller,
    open_facade,
    shared_facade,
)
from tests.integration.openai.conftest import asking
from tests.integration.worker.conftest import Picture
from tests.unit.api.pictures import png

CHAT, RESPONSES, FILES, BATCHES = "/v1/chat/completions", "/v1/responses", "/v1/files", "/v1/batches"
JSON_ROUTES = [CHAT, RESPONSES, BATCHES]
IMAGE = Picture(png(), "text 0")


@pytest.fixture
def facade(shared_facade):  # noqa: F811
    return shared_facade


def refused(answer) -> tuple[int, str]:
    assert answer.content_type == "application/json"
    assert set(answer.json) == {"error"}
    assert set(answer.json["error"]) == {"message", "type", "param", "code"}
    assert answer.headers["X-Request-Id"]
    assert answer.headers["X-Should-Retry"] in {"true", "false"}
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "Traceback" not in answer.text
    return answer.status_code, answer.json["error"]["code"]


def test_nobody_and_strangers_are_refused(app, bench):  # noqa: F811 - B1 to B5
    http = app.test_client()
    reader = Caller(http, bench.key_of("reader", Scope.READ))
    for method, path in [("POST", CHAT), ("POST", RESPONSES), ("GET", FILES), ("GET", BATCHES), ("GET", "/v1/models")]:
        answer = http.open(path, method=method)
        assert refused(answer) == (401, "missing_credentials")
        assert answer.headers["WWW-Authenticate"]
        for key in ("ink_x", "x" * 10_000, f"ink_{'0' * 16}_{'A' * 43}{'0' * 8}"):
            answer = http.open(path, method=method, headers={"Authorization": f"Bearer {key}"})
            assert refused(answer) == (401, "invalid_credentials")
    for path in JSON_ROUTES:
        assert refused(reader("POST", path, json={})) == (403, "insufficient_scope")


@pytest.mark.parametrize(
    "path",
    [
        f"{FILES}/x", f"{FILES}/file_{'0' * 32}", f"{FILES}/file_{'z' * 32}/content", f"{BATCHES}/{'x' * 4_000}",
        f"{BATCHES}/%00", f"{BATCHES}/batch_{'0' * 32}", "/v1/models/%00", "/v1/chat/nothing", "/v1/files/a/b/c",
        f"{BATCHES}/..%2F..%2Fetc%2Fpasswd",
    ],
)  # fmt: skip
def test_what_is_not_there_is_not_found(caller, path):  # noqa: F811 - B6, B7, B25
    status, code = refused(caller("GET", path))
    assert (status, code) in {(404, "not_found"), (404, "model_not_found")}


@pytest.mark.parametrize(
    ("method", "path"), [("GET", CHAT), ("PUT", FILES), ("DELETE", BATCHES), ("POST", "/v1/models")]
)
def test_a_wrong_method_is_told_the_right_ones(caller, method, path):  # noqa: F811 - B25
    answer = caller(method, path)
    assert refused(answer) == (405, "method_not_allowed")
    assert answer.headers["Allow"]


@pytest.mark.parametrize(
    "query",
    ["limit=-1", "limit=1e9", "limit=1&limit=2", "after=' OR 1=1--", "after=%00", "x=1", "order=id", "purpose=%00"],
)
def test_a_parameter_that_does_not_fit_is_refused(caller, query):  # noqa: F811 - B8, B9
    for path in (FILES, BATCHES, "/v1/models"):
        assert refused(caller("GET", f"{path}?{query}"))[0] == 422


@pytest.mark.parametrize("path", JSON_ROUTES)
@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", (400, "invalid_json")),
        (b'{"model":"fake",}', (400, "invalid_json")),
        (b'{"model":' + b"[" * 900 + b"]" * 900 + b"}", (400, "json_too_deep")),
        (b'{"n":' + b"9" * 5_000 + b"}", (400, "invalid_json")),
        (b'{"n":1e400}', (400, "invalid_json")),
        (b'{"n":NaN}', (400, "invalid_json")),
        (b'{"model":"a","model":"b"}', (400, "duplicate_key")),
        (b'{"model":"\xff"}', (400, "invalid_json")),
        ('{"model":"x"}'.encode("utf-16"), (400, "invalid_json")),
        (b"null", (422, "invalid_type")),
        (b"[]", (422, "invalid_type")),
        (b'"x"', (422, "invalid_type")),
        (b"5", (422, "invalid_type")),
        (b'{"model":"a\\u0000b"}', (422, "invalid_string")),
        (b'{"model":"\\ud800"}', (422, "invalid_string")),
    ],
)
def test_a_body_that_is_not_plain_json_is_refused(caller, path, body, expected):  # noqa: F811 - B11 to B17
    assert refused(caller("POST", path, data=body, content_type="application/json")) == expected


@pytest.mark.parametrize("path", [*JSON_ROUTES, FILES])
def test_a_body_of_another_kind_is_refused(caller, path):  # noqa: F811 - B10, B19, B20, B22
    assert refused(caller("POST", path, data=b"x", content_type="text/plain")) == (415, "unsupported_media_type")
    kind = "multipart/form-data; boundary=x" if path == FILES else "application/json"
    answer = caller("POST", path, data=b"x", content_type=kind, headers={"Content-Encoding": "gzip"})
    assert refused(answer) == (415, "unsupported_encoding")
    answer = caller("POST", path, data=b"x" * (70 << 20), content_type=kind)
    assert refused(answer) == (413, "body_too_large")


@pytest.mark.parametrize(
    ("changes", "param", "code"),
    [
        ({"status": "completed"}, "status", "unknown_field"),
        ({"client_id": "0"}, "client_id", "unknown_field"),
        ({"model": "x" * 1_000_000}, "model", "too_long"),
        ({"model": None}, "model", "invalid_type"),
        ({"messages": []}, "messages", "too_few"),
        ({"messages": [{"role": "king", "content": "x"}]}, "messages[0].role", "invalid_value"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content", "invalid_type"),
        ({"messages": [{"role": "user", "content": [{"type": "file"}]}]}, "messages[0].content[0].type", None),
        ({"n": True}, "n", "invalid_type"),
        ({"max_tokens": 0}, "max_tokens", "out_of_range"),
        ({"top_logprobs": 2}, None, "invalid_value"),
    ],
)
def test_a_field_that_does_not_fit_is_named(caller, changes, param, code):  # noqa: F811 - B9, B18
    answer = caller("POST", CHAT, json={"model": "fake", "messages": asking(IMAGE), **changes})
    status, told = refused(answer)
    assert status == 422
    assert answer.json["error"]["param"] == param
    assert code in {None, told}


def test_a_host_that_is_not_trusted_is_refused(settings):  # B26
    with open_facade(settings.model_copy(update={"trusted_hosts": ("a.example",)})) as guarded:
        assert refused(guarded.caller("GET", "/v1/models", headers={"Host": "evil.example"})) == (400, "invalid_host")
