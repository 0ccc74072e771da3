"""Documents over HTTP: taking them in, refusing them, showing them. Cutting is tested in ../documents."""

import base64
import json

import pytest

from core.errors import PdfEncrypted
from core.settings import Limits
from core.tables import Document, Job, Line
from tests.cut_forms import FORM, PDF, REGION, form
from tests.integration.api.conftest import line
from tests.integration.api.test_jobs import multipart
from tests.unit.api.pictures import png


@pytest.fixture
def facade(shared_facade):
    """Give a facade on which nothing waits."""
    shared_facade.bench.cut_documents(FORM)
    shared_facade.bench.read_lines()
    return shared_facade


def submit(caller, document, **options):
    headers = options.pop("headers", {})
    return caller("POST", "/v1/jobs", json={"document": document, **options}, headers=headers)


def stored(bench, answer) -> Document:
    with bench.sessions() as session:
        return session.query(Document).join(Job, Job.id == Document.job_id).order_by(Job.id.desc()).first()


def test_a_form_is_accepted_and_waits_to_be_cut(caller, bench):
    accepted = submit(caller, form(), client_reference="form-7")
    assert accepted.status_code == 202
    assert accepted.headers["Location"] == f"/v1/jobs/{accepted.json['id']}"
    assert (accepted.json["status"], accepted.json["counts"]["total"], accepted.json["lines"]) == ("queued", 0, [])
    assert accepted.json["document"] == {
        "status": "queued",
        "asked": {"cut": "auto", "pages": None},
        "cut": None,
        "template": None,
        "pages": [],
        "skipped": [],
    }
    assert stored(bench, accepted).data == PDF


def test_the_answer_to_a_form_is_what_a_look_at_its_job_says(caller):
    accepted = submit(caller, form(cut="regions", pages="1-3, 7", password="sesame", regions=[REGION]), priority="bulk")
    assert caller("GET", accepted.headers["Location"]).json == accepted.json
    assert accepted.json["document"]["asked"] == {"cut": "regions", "pages": "1-3,7"}


def test_a_form_that_is_cut_and_read_tells_its_pages_its_lines_and_what_was_skipped(caller, bench):
    path = submit(caller, form(), review_threshold=0.95).headers["Location"]
    bench.cut_documents(FORM)
    running = caller("GET", path).json
    assert (running["status"], running["counts"]["total"], running["counts"]["succeeded"]) == ("running", 3, 1)
    bench.read_lines(confidence=0.9)
    job = caller("GET", path).json
    assert job["status"] == "succeeded"
    assert job["document"] == {
        "status": "succeeded",
        "asked": {"cut": "auto", "pages": None},
        "cut": "field",
        "template": None,
        "pages": [
            {"number": 1, "label": "i", "width": 595.0, "height": 842.0},
            {"number": 2, "label": None, "width": 842.0, "height": 595.0},
        ],
        "skipped": [{"name": "married", "page": 1, "kind": "check_box"}],
    }
    assert [(each["custom_id"], each["page"], each["source"], each["text"]) for each in job["lines"]] == [
        ("person.surname", 1, "recognised", "text 0"),
        ("=person.town", 1, "recognised", "text 1"),
        ("desk", 2, "typed", "Desk 3"),
    ]
    assert job["lines"][0]["box"] == [72.0, 72.0, 300.0, 100.0]
    assert [each["needs_review"] for each in job["lines"]] == [True, True, False]
    assert caller("GET", f"{path}/lines").json["data"] == job["lines"]
    assert caller("DELETE", path).status_code == 204
    assert caller("GET", path).status_code == 410


def test_a_form_that_cannot_be_cut_fails_its_job_and_says_why(caller, bench):
    path = submit(caller, form()).headers["Location"]
    bench.fail_documents(PdfEncrypted())
    job = caller("GET", path).json
    assert (job["status"], job["document"]["status"]) == ("failed", "failed")
    assert job["error"]["code"] == "pdf_encrypted"
    assert job["lines"] == []


def test_a_listing_and_a_cancellation_tell_of_the_document_without_its_pages(caller):
    accepted = submit(caller, form(cut="page"))
    summary = {"status": "queued", "asked": {"cut": "page", "pages": None}, "cut": None, "template": None}
    line_job = caller.submitted()
    jobs = {job["id"]: job for job in caller("GET", "/v1/jobs").json["data"]}
    assert jobs[accepted.json["id"]]["document"] == summary
    assert jobs[line_job]["document"] is None
    canceled = caller("POST", f"/v1/jobs/{accepted.json['id']}/cancel")
    assert canceled.status_code == 202
    assert canceled.json["document"].keys() == summary.keys()


def test_a_job_of_lines_has_no_document_and_keeps_what_its_images_measure(caller, bench):
    job = caller("GET", f"/v1/jobs/{caller.submitted(line(image=png(81, 23)))}").json
    with bench.sessions() as session:
        last = session.query(Line).order_by(Line.job_id.desc()).first()
        assert (last.image_width, last.image_height) == (81, 23)
    assert job["document"] is None
    assert job["lines"][0]["source"] == "recognised"
    assert job["links"]["transcript"] == f"/v1/jobs/{job['id']}/transcript"


def test_what_was_asked_of_the_cut_is_stored(caller, bench):
    regions = [REGION, {"name": "town", "page": 2, "box": [0, 0.5, 1, 0.625], "unit": "fraction"}]
    document = stored(bench, submit(caller, form(pages="2,5-9", password="sesame", regions=regions)))
    assert (document.asked_cut, document.pages, document.password) == ("regions", [[2, 2], [5, 9]], "sesame")
    assert document.regions == [{**REGION, "unit": "points"}, regions[1]]


@pytest.mark.parametrize("content_type", ["application/pdf", "application/x-pdf"])
def test_a_form_may_be_the_whole_body(caller, bench, content_type):
    answer = caller("POST", "/v1/jobs", data=PDF, content_type=content_type)
    assert answer.status_code == 202
    assert stored(bench, answer).data == PDF


@pytest.mark.parametrize("media_type", [None, "application/pdf", "application/octet-stream"])
def test_a_form_may_come_as_a_part_with_its_options(caller, bench, media_type):
    options = json.dumps({"document": {"cut": "page", "pages": "1"}, "client_reference": "scan"}).encode()
    answer = caller("POST", "/v1/jobs", **multipart(("pdf", media_type, PDF), ("options", None, options)))
    assert answer.status_code == 202
    assert answer.json["client_reference"] == "scan"
    assert (stored(bench, answer).asked_cut, stored(bench, answer).data) == ("page", PDF)


@pytest.mark.parametrize(
    ("parts", "pointer", "code"),
    [
        ([("pdf", None, PDF), ("pdf", None, PDF)], "/pdf", "duplicate_key"),
        ([("pdf", None, PDF), ("image", None, png())], "/pdf", "invalid_value"),
        ([("pdf", "image/png", PDF)], "/document/pdf", "type_mismatch"),
        ([("pdf", None, png())], "/document/pdf", "invalid_pdf"),
        ([("pdf", None, PDF), ("options", None, b'{"document":{"pdf":"QUJD"}}')], "/document/pdf", "unknown_field"),
        ([("pdf", None, PDF), ("options", None, b'{"document":{"pages":"0"}}')], "/document/pages", "invalid_pages"),
        ([("image", None, png()), ("options", None, b'{"document":{}}')], "/pdf", "required"),
        ([("options", None, b'{"document":{}}')], "/pdf", "required"),
    ],
)
def test_a_wrong_part_is_refused(caller, parts, pointer, code):
    answer = caller("POST", "/v1/jobs", **multipart(*parts))
    assert (answer.status_code, answer.json["code"]) == (422, code)
    assert [fault["pointer"] for fault in answer.json["errors"]] == [pointer]


@pytest.mark.parametrize(
    ("pdf", "code"),
    [
        (b"%PDF-", "invalid_pdf"),
        (b"%PDF-1.7\n%%EOF", "invalid_pdf"),
        (b"%PDF" + bytes(100), "invalid_pdf"),
        (bytes(1_024) + PDF, "invalid_pdf"),
        (b"%!PS-Adobe-3.0" + bytes(100), "invalid_pdf"),
        (b"<html>" + bytes(100), "invalid_pdf"),
        (b"PK\3\4" + bytes(100), "invalid_pdf"),
        (png(), "invalid_pdf"),
    ],
)
def test_what_is_no_pdf_by_its_first_bytes_is_refused(caller, pdf, code):
    answer = submit(caller, form(pdf))
    assert (answer.status_code, answer.json["code"]) == (422, code)
    assert answer.json["errors"][0]["pointer"] == "/document/pdf"


def test_a_header_after_other_bytes_is_found_as_viewers_find_it(caller):
    assert submit(caller, form(b"\xef\xbb\xbfscanned by a gateway\r\n" + PDF)).status_code == 202


@pytest.mark.parametrize(
    ("pdf", "code"),
    [
        ("", "invalid_base64"),
        ("JVBERi0*", "invalid_base64"),
        ("JVBERi0_", "invalid_base64"),
        ("data:text/html;base64,PGI+", "unsupported_media_type"),
        ("data:image/png;base64,JVBERi0x", "unsupported_media_type"),
        ("data:application/pdf,%25PDF", "invalid_data_uri"),
        ("data:application/pdf;base64,JVBERi0x", "invalid_pdf"),
    ],
)
def test_a_form_is_refused_for_its_encoding(caller, pdf, code):
    answer = submit(caller, {"pdf": pdf})
    assert (answer.status_code, answer.json["code"]) == (422, code)
    assert answer.json["errors"][0]["pointer"] == "/document/pdf"


def test_a_form_may_be_a_data_uri_and_be_wrapped_in_lines(caller):
    wrapped = base64.encodebytes(PDF).decode()
    assert submit(caller, {"pdf": f"data:application/pdf;base64,{wrapped}"}).status_code == 202


def test_a_form_over_the_limit_is_too_large_in_base64_and_as_it_is(caller):
    most = Limits().max_document_bytes
    for answer in (
        submit(caller, {"pdf": "JVBE" * (most // 3 + 2)}),
        caller("POST", "/v1/jobs", data=PDF + bytes(most), content_type="application/pdf"),
    ):
        assert (answer.status_code, answer.json["code"]) == (413, "document_too_large")


@pytest.mark.parametrize(
    ("changes", "pointer", "code"),
    [
        ({"pdf": None}, "/pdf", "invalid_type"),
        ({"pdf": 5}, "/pdf", "invalid_type"),
        ({"status": "succeeded"}, "/status", "unknown_field"),
        ({"job_id": "0" * 32}, "/job_id", "unknown_field"),
        ({"cut": "column"}, "/cut", "invalid_value"),
        ({"cut": 1}, "/cut", "invalid_value"),
        ({"pages": ""}, "/pages", "invalid_pages"),
        ({"pages": "0"}, "/pages", "invalid_pages"),
        ({"pages": "3-1"}, "/pages", "invalid_pages"),
        ({"pages": "1,,2"}, "/pages", "invalid_pages"),
        ({"pages": "1-"}, "/pages", "invalid_pages"),
        ({"pages": "\u0661"}, "/pages", "invalid_pages"),
        ({"pages": "9999999"}, "/pages", "invalid_pages"),
        ({"pages": "1' OR 1=1--"}, "/pages", "invalid_pages"),
        ({"pages": "1," * 1_000 + "1"}, "/pages", "too_long"),
        ({"pages": 1}, "/pages", "invalid_type"),
        ({"password": ""}, "/password", "too_short"),
        ({"password": "x" * 1_000_000}, "/password", "too_long"),
        ({"template": "../../etc/passwd"}, "/template", "invalid_value"),
        ({"template": "x" * 1_000_000}, "/template", "too_long"),
        ({"template": "nobody-made-it"}, "/template", "unknown_template"),
        ({"cut": "regions"}, "/regions", "required"),
        ({"cut": "page", "regions": [REGION]}, "/regions", "invalid_value"),
        ({"regions": []}, "/regions", "too_few"),
        ({"regions": [REGION] * 2}, "/regions/1/name", "duplicate_name"),
        ({"regions": [{**REGION, "name": ""}]}, "/regions/0/name", "too_short"),
        ({"regions": [{**REGION, "name": "x" * 1_000_000}]}, "/regions/0/name", "too_long"),
        ({"regions": [{**REGION, "page": 0}]}, "/regions/0/page", "out_of_range"),
        ({"regions": [{**REGION, "page": 10**9}]}, "/regions/0/page", "out_of_range"),
        ({"regions": [{**REGION, "page": True}]}, "/regions/0/page", "invalid_type"),
        ({"regions": [{**REGION, "box": [1, 2, 3]}]}, "/regions/0/box", "too_few"),
        ({"regions": [{**REGION, "box": [1, 2, 3, 4, 5]}]}, "/regions/0/box", "too_many"),
        ({"regions": [{**REGION, "box": [1, 2, "3", 4]}]}, "/regions/0/box/2", "invalid_type"),
        ({"regions": [{**REGION, "box": [300, 72, 72, 100]}]}, "/regions/0/box", "invalid_box"),
        ({"regions": [{**REGION, "box": [72, 72, 300, 72]}]}, "/regions/0/box", "invalid_box"),
        ({"regions": [{**REGION, "box": [-1, 72, 300, 100]}]}, "/regions/0/box", "out_of_range"),
        ({"regions": [{**REGION, "box": [0, 0, 20_000, 100]}]}, "/regions/0/box", "out_of_range"),
        ({"regions": [{**REGION, "unit": "fraction"}]}, "/regions/0/box", "out_of_range"),
        ({"regions": [{**REGION, "unit": "pixels"}]}, "/regions/0/unit", "invalid_value"),
        ({"regions": [{**REGION, "color": "red"}]}, "/regions/0/color", "unknown_field"),
    ],
)
def test_a_field_that_does_not_fit_is_named(caller, changes, pointer, code):
    answer = submit(caller, {**form(), **changes})
    assert (answer.status_code, answer.json["code"]) == (422, code)
    assert [fault["pointer"] for fault in answer.json["errors"]] == [f"/document{pointer}"]


@pytest.mark.parametrize("field", ["password", "pages", "template"])
@pytest.mark.parametrize("text", [r"\u0000", r"\ud800"])
def test_a_string_that_cannot_be_stored_is_refused(caller, field, text):
    body = f'{{"document": {{"pdf": "QUJD", "{field}": "a{text}"}}}}'
    answer = caller("POST", "/v1/jobs", data=body, content_type="application/json")
    assert (answer.status_code, answer.json["code"]) == (422, "invalid_string")
    assert answer.json["errors"][0]["pointer"] == f"/document/{field}"


def test_more_regions_than_the_limit_are_refused(caller):
    regions = [{**REGION, "name": str(number)} for number in range(1_001)]
    answer = submit(caller, form(regions=regions))
    assert (answer.status_code, answer.json["code"]) == (422, "too_many")
    assert submit(caller, form(regions=regions[:1_000])).status_code == 202


def test_everything_that_is_wrong_is_said_at_once(caller):
    answer = submit(caller, {"pdf": "****", "pages": "x", "cut": "regions"})
    assert answer.json["code"] == "invalid_request"
    assert [fault["code"] for fault in answer.json["errors"]] == ["required", "invalid_pages", "invalid_base64"]


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({"lines": [line()], "document": form()}, "/document", "invalid_value"),
        ({}, "/lines", "required"),
        ({"document": None}, "/lines", "required"),
        ({"document": []}, "/document", "invalid_type"),
        ({"document": {}}, "/document/pdf", "required"),
    ],
)
def test_a_job_has_either_lines_or_a_document(caller, body, pointer, code):
    answer = caller("POST", "/v1/jobs", json=body)
    assert (answer.status_code, answer.json["code"]) == (422, code)
    assert answer.json["errors"][0]["pointer"] == pointer


def test_a_form_that_is_sent_again_is_one_job(caller, bench):
    key = {"Idempotency-Key": "form-1"}
    first, again = (submit(caller, form(password="sesame"), headers=key) for _ in range(2))
    assert (again.status_code, again.headers["Idempotent-Replayed"]) == (202, "true")
    assert again.json == first.json
    assert "sesame" not in again.text
    other = submit(caller, form(password="open"), headers=key)
    assert (other.status_code, other.json["code"]) == (422, "idempotency_mismatch")


def test_another_clients_form_looks_absent(caller, stranger):
    path = submit(caller, form()).headers["Location"]
    for method, suffix in (("GET", ""), ("GET", "/lines"), ("POST", "/cancel"), ("DELETE", "")):
        assert stranger(method, f"{path}{suffix}").status_code == 404
