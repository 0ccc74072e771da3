"""Hostile and mistaken input that the application itself refuses. What the HTTP server refuses is in test_server.py."""

import base64
import io
import json

import pytest

from tests.integration.api.conftest import line
from tests.unit.api.pictures import png


@pytest.fixture
def facade(shared_facade):
    return shared_facade


def send(caller, body, content_type="application/json", **options):
    return caller("POST", "/v1/jobs", data=body, content_type=content_type, **options)


def refused(answer) -> tuple[int, str]:
    assert answer.content_type == "application/problem+json"
    assert answer.json["request_id"] == answer.headers["X-Request-Id"]
    assert "Traceback" not in answer.text
    return answer.status_code, answer.json["code"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", (400, "invalid_json")),
        (b'{"lines":[],}', (400, "invalid_json")),
        (b'{"lines":' + b"[" * 100_000, (400, "json_too_deep")),
        (b'{"retention_seconds":' + b"9" * 5_000 + b"}", (400, "invalid_json")),
        (b'{"review_threshold":1e400}', (400, "invalid_json")),
        (b'{"review_threshold":NaN}', (400, "invalid_json")),
        (b'{"lines":[],"lines":[]}', (400, "duplicate_key")),
        (b'{"model":"\xff"}', (400, "invalid_json")),
        ('{"model":"x"}'.encode("utf-16"), (400, "invalid_json")),
        (b"null", (422, "invalid_type")),
        (b"[]", (422, "invalid_type")),
        (b'"x"', (422, "invalid_type")),
        (b"5", (422, "invalid_type")),
        (b'{"model":"a\\u0000b","lines":[]}', (422, "invalid_string")),
        (b'{"model":"\\ud800","lines":[]}', (422, "invalid_string")),
        (b'{"lines":[' + b"{}," * 200_000 + b"{}]}", (422, "too_many")),
    ],
)
def test_a_body_that_is_not_plain_json_is_refused(caller, body, expected):
    assert refused(send(caller, body)) == expected


@pytest.mark.parametrize(
    ("changes", "pointer", "code"),
    [
        ({"lines": []}, "/lines", "too_few"),
        ({"lines": None}, "/lines", "invalid_type"),
        ({"lines": [{}]}, "/lines/0/image", "required"),
        ({"lines": [{"image": 5}]}, "/lines/0/image", "invalid_type"),
        ({"lines": [line() | {"text": "x"}]}, "/lines/0/text", "unknown_field"),
        ({"lines": [line("a"), line("b"), line("a")]}, "/lines/2/custom_id", "duplicate_custom_id"),
        ({"lines": [line("")]}, "/lines/0/custom_id", "too_short"),
        ({"status": "succeeded"}, "/status", "unknown_field"),
        ({"client_id": "0" * 32}, "/client_id", "unknown_field"),
        ({"attempt": 3}, "/attempt", "unknown_field"),
        ({"a/b~c": 1}, "/a~1b~0c", "unknown_field"),
        ({"priority": "urgent"}, "/priority", "invalid_value"),
        ({"priority": 0}, "/priority", "invalid_value"),
        ({"decoding": {"num_beams": 11}}, "/decoding/num_beams", "out_of_range"),
        ({"decoding": {"num_beams": True}}, "/decoding/num_beams", "invalid_type"),
        ({"decoding": {"num_beams": "3"}}, "/decoding/num_beams", "invalid_type"),
        ({"decoding": {"temperature": 1}}, "/decoding/temperature", "unknown_field"),
        ({"review_threshold": 1.1}, "/review_threshold", "out_of_range"),
        ({"client_reference": "x" * 1_000_000}, "/client_reference", "too_long"),
        ({"metadata": {"a": "x" * 1_000_000}}, "/metadata/a", "too_long"),
        ({"metadata": {"x" * 65: "a"}}, f"/metadata/{'x' * 65}", "too_long"),
        ({"metadata": {str(index): "" for index in range(17)}}, "/metadata", "too_many"),
        ({"metadata": {"a": 5}}, "/metadata/a", "invalid_type"),
        ({"retention_seconds": 5}, "/retention_seconds", "out_of_range"),
        ({"retention_seconds": 10**9}, "/retention_seconds", "out_of_range"),
        ({"retention_seconds": 70.5}, "/retention_seconds", "invalid_type"),
    ],
)
def test_a_field_that_does_not_fit_is_named(caller, changes, pointer, code):
    answer = send(caller, json.dumps({"lines": [line()], **changes}))
    assert refused(answer) == (422, code)
    assert [(fault["pointer"], fault["code"]) for fault in answer.json["errors"]] == [(pointer, code)]


def test_more_lines_than_the_limit_are_refused(caller):
    answer = send(caller, json.dumps({"lines": [{"image": "QUJD"}] * 10_001}))
    assert refused(answer) == (422, "too_many")


@pytest.mark.parametrize(
    ("image", "status", "code"),
    [
        ("", 422, "invalid_base64"),
        ("====", 422, "invalid_base64"),
        ("QUJD*", 422, "invalid_base64"),
        ("-_-_", 422, "invalid_base64"),
        ("AAAA====", 422, "invalid_base64"),
        ("data:text/html;base64,PGI+", 422, "unsupported_media_type"),
        ("data:image/png;base64,/9j/4AAQSkZJRgABAQAAAQABAAD/", 422, "type_mismatch"),
        ("A" * (9 << 20), 422, "unsupported_image_format"),
        ("A" * (12 << 20), 413, "image_too_large"),
        (base64.b64encode(b"%PDF-1.7").decode(), 422, "unsupported_image_format"),
        (base64.b64encode(png(50_000, 50_000, depth=1)).decode(), 422, "image_dimensions"),
        (base64.b64encode(png(0, 0)).decode(), 422, "image_dimensions"),
        (base64.b64encode(png(3, 2_000)).decode(), 422, "image_dimensions"),
        (base64.b64encode(png(5_000, 5)).decode(), 422, "image_dimensions"),
    ],
)
def test_an_image_is_refused_for_what_its_text_or_header_tells(caller, image, status, code):
    answer = send(caller, json.dumps({"lines": [{"image": image}]}))
    assert refused(answer) == (status, code)
    assert answer.json["errors"][0]["pointer"] == "/lines/0/image"


def test_base64_with_line_breaks_is_accepted(caller):
    wrapped = base64.encodebytes(png(data=bytes(500))).decode().replace("\n", "\r\n")
    assert send(caller, json.dumps({"lines": [{"image": wrapped}]})).status_code == 202


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "application/xml",
        "application/json; charset=utf-16",
        "image/gif",
        "image/svg+xml",
        "application/postscript",
    ],
)
def test_a_content_type_that_is_not_offered_is_refused(caller, content_type):
    assert refused(send(caller, b"{}", content_type)) == (415, "unsupported_media_type")


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "identity, gzip", "GZIP"])
def test_a_compressed_body_is_refused_unread(caller, encoding):
    answer = send(caller, b"\x1f\x8b" + bytes(100), headers={"Content-Encoding": encoding})
    assert refused(answer) == (415, "unsupported_encoding")


def test_a_body_over_the_limit_is_refused_unread(caller, app):
    limit = app.extensions["inkpost"].settings.limits.max_body_bytes

    class Unreadable(io.BytesIO):
        def read(self, *_: object) -> bytes:
            raise AssertionError("the body was read")

    answer = caller(
        "POST",
        "/v1/jobs",
        input_stream=Unreadable(),
        content_type="application/json",
        environ_overrides={"CONTENT_LENGTH": str(limit + 1)},
    )
    assert refused(answer) == (413, "body_too_large")


ODD_IDS = [
    "x",
    "job_",
    "job_" + "g" * 32,
    "job_" + "A" * 32,
    "%00",
    "..%2F..%2Fetc%2Fpasswd",
    "0" * 10_000,
    "' OR 1=1--",
    "💥",
]


@pytest.mark.parametrize("job_id", ODD_IDS)
@pytest.mark.parametrize(("method", "suffix"), [("GET", ""), ("GET", "/lines"), ("DELETE", ""), ("POST", "/cancel")])
def test_an_id_that_cannot_exist_is_not_found(caller, job_id, method, suffix):
    assert refused(caller(method, f"/v1/jobs/{job_id}{suffix}"))[0] == 404


@pytest.mark.parametrize(
    ("query", "pointer", "code"),
    [
        ("limit=-1", "/limit", "out_of_range"),
        ("limit=0", "/limit", "out_of_range"),
        ("limit=1000000000", "/limit", "out_of_range"),
        ("limit=ten", "/limit", "invalid_value"),
        ("limit=1&limit=2", "/limit", "duplicate_key"),
        ("cursor=garbage", "/cursor", "invalid_cursor"),
        ("cursor=", "/cursor", "invalid_cursor"),
        ("cursor=" + "a" * 1_000, "/cursor", "too_long"),
        ("status=done", "/status", "invalid_value"),
        ("status=' OR 1=1--", "/status", "invalid_value"),
        ("created_after=yesterday", "/created_after", "invalid_value"),
        ("created_after=2026-01-01T00:00:00", "", "invalid_value"),
        ("client_reference=%00", "", "invalid_string"),
        ("include=images", "/include", "unknown_field"),
        ("sort=created_at;DROP TABLE jobs", "/sort", "unknown_field"),
        ("order_by=client_id", "/order_by", "unknown_field"),
    ],
)
def test_a_query_that_does_not_fit_is_named(caller, query, pointer, code):
    answer = caller("GET", f"/v1/jobs?{query}")
    assert refused(answer) == (422, code)
    assert answer.json["errors"][0]["pointer"] == pointer


@pytest.mark.parametrize("query", ["wait=-1", "wait=61", "wait=nan", "wait=inf", "wait=x", "wait=1&wait=2", "x=1"])
def test_a_wait_that_does_not_fit_is_refused(caller, query):
    assert caller("GET", f"/v1/jobs/{caller.submitted()}?{query}").status_code == 422


def test_sql_in_a_filter_is_only_text(caller):
    caller.submitted(client_reference="a")
    assert caller("GET", "/v1/jobs", query_string={"client_reference": "' OR 1=1--"}).json["data"] == []


def test_another_clients_cursor_is_refused(caller, stranger):
    for _ in range(2):
        caller.submitted()
    cursor = caller("GET", "/v1/jobs?limit=1").json["next_cursor"]
    assert refused(stranger("GET", f"/v1/jobs?cursor={cursor}")) == (422, "invalid_cursor")
    job_id = caller.submitted(line(), line())
    assert refused(caller("GET", f"/v1/jobs/{job_id}/lines?cursor={cursor}")) == (422, "invalid_cursor")
