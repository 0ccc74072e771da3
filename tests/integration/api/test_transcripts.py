"""Transcripts over HTTP. What is in each format is tested in ../../unit/transcripts."""

import io
import threading
import zipfile

import pytest

from core.errors import PdfEncrypted, UnprocessableInput
from core.settings import Documents
from core.words import Scope
from tests.cut_forms import FORM, REGIONS, form
from tests.integration.api.conftest import Caller, line, open_facade
from tests.integration.api.test_refusals import ODD_IDS, refused

RENDERED = b"%PDF-1.7 as the documents worker wrote it"


@pytest.fixture
def facade(shared_facade):
    """Give a facade on which nothing waits."""
    bench = shared_facade.bench
    bench.cut_documents(FORM)
    bench.read_lines()
    bench.write_renditions(RENDERED)
    return shared_facade


@pytest.fixture
def lines_path(caller, bench):
    path = f"/v1/jobs/{caller.submitted(line('surname'), line('=town'), client_reference='Form 7/ä')}"
    bench.read_lines()
    return f"{path}/transcript"


def submit_form(caller, bench, cut=FORM, **options):
    path = caller("POST", "/v1/jobs", json={"document": form(), **options}).headers["Location"]
    bench.cut_documents(cut)
    bench.read_lines()
    return f"{path}/transcript"


@pytest.mark.parametrize(
    ("wanted", "media_type", "extension", "start"),
    [
        ("txt", "text/plain; charset=utf-8", "txt", b"text 0\n"),
        ("csv", "text/csv; charset=utf-8; header=present", "csv", b"index,custom_id,"),
        ("jsonl", "application/jsonl", "jsonl", b"{"),
        ("json", "application/json", "json", b"{"),
        ("page", "application/zip", "zip", b"PK"),
        ("alto", "application/alto+xml", "xml", b"<?xml"),
        ("hocr", "text/vnd.hocr+html; charset=utf-8", "hocr", b"<"),
    ],
)
@pytest.mark.parametrize("is_document", [False, True])
def test_a_finished_job_is_had_in_every_format_of_text(
    caller, bench, wanted, media_type, extension, start, is_document
):
    path = f"/v1/jobs/{caller.submitted(line('surname'), line('town'))}/transcript"
    bench.read_lines()
    if is_document:
        path = submit_form(caller, bench)
    answer = caller("GET", f"{path}?format={wanted}")
    assert answer.status_code == 200
    assert answer.content_type == media_type
    assert answer.data.startswith(start)
    job_id = path.split("/")[3]
    assert answer.headers["Content-Disposition"] == f"attachment; filename={job_id}.{extension}"
    assert answer.headers["Vary"] == "Accept"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_file_is_named_after_the_clients_own_reference(caller, lines_path):
    answer = caller("GET", lines_path)
    assert answer.headers["Content-Disposition"] == (
        "attachment; filename=Form_7_a.txt; filename*=UTF-8''Form_7_%C3%A4.txt"
    )


@pytest.mark.parametrize(
    "reference", ['"\r\nSet-Cookie: a=b', "../../etc/passwd", "a\\b", "💥" * 200, "..", 'x"; y', "日本語" * 60]
)
def test_no_reference_escapes_from_the_files_name(caller, bench, reference):
    path = f"/v1/jobs/{caller.submitted(line(), client_reference=reference)}/transcript"
    bench.read_lines()
    answer = caller("GET", path)
    assert answer.status_code == 200
    said = answer.headers["Content-Disposition"].removeprefix("attachment; filename=").replace("; filename*=", "")
    assert said[0].isalnum()
    assert said.isascii()
    assert not set(said) & set('\\/"\r\n; ')
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("text/csv", "text/csv"),
        ("application/json;q=0.5, text/csv;q=0.9", "text/csv"),
        ("text/html, */*;q=0.1", "text/plain"),
        ("application/alto+xml", "application/alto+xml"),
    ],
)
def test_the_format_goes_by_what_the_caller_accepts(caller, lines_path, accept, media_type):
    answer = caller("GET", lines_path, headers={"Accept": accept})
    assert (answer.status_code, answer.mimetype) == (200, media_type)


def test_what_is_not_to_be_had_is_refused(caller, lines_path):
    assert refused(caller("GET", lines_path, headers={"Accept": "image/png"})) == (406, "not_acceptable")


@pytest.mark.parametrize(
    ("query", "pointer", "code"),
    [
        ("format=docx", "/format", "invalid_value"),
        ("format=' OR 1=1--", "/format", "invalid_value"),
        ("format=csv&format=txt", "/format", "duplicate_key"),
        ("format=csv&bom=perhaps", "/bom", "invalid_value"),
        ("format=txt&bom=true", "/bom", "invalid_value"),
        ("format=csv&page=1", "/page", "invalid_value"),
        ("format=page&page=0", "/page", "out_of_range"),
        ("format=page&page=99", "/page", "out_of_range"),
        ("format=page&page=x", "/page", "invalid_value"),
        ("format=%00", "", "invalid_string"),
        ("sort=text", "/sort", "unknown_field"),
    ],
)
def test_a_query_that_does_not_fit_is_named(caller, lines_path, query, pointer, code):
    answer = caller("GET", f"{lines_path}?{query}")
    assert refused(answer) == (422, code)
    assert answer.json["errors"][0]["pointer"] == pointer


@pytest.mark.parametrize("job_id", ODD_IDS)
def test_an_id_that_cannot_exist_is_not_found(caller, job_id):
    assert refused(caller("GET", f"/v1/jobs/{job_id}/transcript"))[0] == 404


def test_csv_keeps_formulas_from_running_and_may_have_a_byte_order_mark(caller, bench):
    answer = caller("GET", f"{submit_form(caller, bench)}?format=csv&bom=true")
    assert answer.data.startswith(b"\xef\xbb\xbfindex,")
    assert b"'=person.town" in answer.data


def test_page_xml_is_a_file_for_each_page_or_all_of_them_in_a_zip(caller, bench):
    path = submit_form(caller, bench)
    archive = zipfile.ZipFile(io.BytesIO(caller("GET", f"{path}?format=page").data))
    assert archive.namelist() == ["page-0001.xml", "page-0002.xml"]
    one = caller("GET", f"{path}?format=page&page=2")
    assert one.content_type == "application/vnd.prima.page+xml"
    assert one.data == archive.read("page-0002.xml")


def test_a_region_on_a_page_that_is_not_there_spoils_no_format(caller, bench):
    path = submit_form(caller, bench, REGIONS)
    for wanted in ("txt", "csv", "jsonl", "json", "page", "alto", "hocr"):
        assert caller("GET", f"{path}?format={wanted}").status_code == 200


def test_the_transcript_in_json_is_the_job_as_it_is_shown(caller, bench):
    path = submit_form(caller, bench)
    assert caller("GET", f"{path}?format=json").json == caller("GET", path.removesuffix("/transcript")).json


def test_a_job_that_has_not_finished_says_when_to_ask_again(caller, bench):
    for job in (caller.submit().json, caller("POST", "/v1/jobs", json={"document": form()}).json):
        for wanted in ("txt", "json", "alto"):
            answer = caller("GET", f"{job['links']['transcript']}?format={wanted}")
            assert refused(answer) == (409, "not_finished")
            assert int(answer.headers["Retry-After"]) >= 1
    assert refused(caller("GET", f"{job['links']['transcript']}?format=pdf")) == (409, "not_finished")


def test_a_form_that_could_not_be_cut_has_an_empty_transcript_and_no_pdf(caller, bench):
    path = caller("POST", "/v1/jobs", json={"document": form()}).headers["Location"]
    bench.fail_documents(PdfEncrypted())
    assert caller("GET", f"{path}/transcript").data == b""
    for wanted in ("csv", "page", "alto", "hocr"):
        assert caller("GET", f"{path}/transcript?format={wanted}").status_code == 200
    assert refused(caller("GET", f"{path}/transcript?format=pdf")) == (409, "not_offered")


def test_an_unchanged_transcript_is_304(caller, lines_path):
    first = caller("GET", lines_path)
    again = caller("GET", lines_path, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    assert again.headers["Vary"] == "Accept"


@pytest.mark.parametrize("wanted", ["pdf", "form"])
def test_a_pdf_is_made_when_it_is_asked_for_and_only_once(app, caller, bench, wanted):
    path = submit_form(caller, bench)
    answers = []
    asking = [
        threading.Thread(
            target=lambda: answers.append(Caller(app.test_client(), caller.key)("GET", f"{path}?format={wanted}"))
        )
        for _ in range(3)
    ]
    for thread in asking:
        thread.start()
    made = 0
    while any(thread.is_alive() for thread in asking):
        made += bench.write_renditions(RENDERED)
        asking[0].join(0.05)
    assert made == 1
    assert [(answer.status_code, answer.data, answer.content_type) for answer in answers] == [
        (200, RENDERED, "application/pdf")
    ] * 3
    assert caller("GET", f"{path}?format={wanted}").data == RENDERED


def test_a_pdf_that_takes_too_long_is_there_later(settings):
    with open_facade(settings.model_copy(update={"documents": Documents(rendition_seconds=0.2)})) as facade:
        path = submit_form(facade.caller, facade.bench)
        late = facade.caller("GET", f"{path}?format=pdf")
        assert refused(late) == (503, "still_rendering")
        assert int(late.headers["Retry-After"]) >= 1
        facade.bench.write_renditions(RENDERED)
        assert facade.caller("GET", f"{path}?format=pdf").data == RENDERED


def test_a_pdf_that_cannot_be_made_says_why(caller, bench, app):
    path = submit_form(caller, bench)
    timer = threading.Timer(0.2, lambda: bench.write_renditions(UnprocessableInput()))
    timer.start()
    answer = caller("GET", f"{path}?format=pdf")
    assert refused(answer) == (409, "not_offered")
    assert "too much time or memory" in answer.json["detail"]


def test_pdfs_need_a_document_and_a_filled_form_needs_form_fields(caller, bench, lines_path):
    for wanted in ("pdf", "form"):
        assert refused(caller("GET", f"{lines_path}?format={wanted}")) == (409, "not_offered")
    path = submit_form(caller, bench, REGIONS)
    assert refused(caller("GET", f"{path}?format=form")) == (409, "not_offered")


def test_a_pdf_needs_the_documents_bytes(caller, bench):
    path = caller("POST", "/v1/jobs", json={"document": form()}).headers["Location"]
    bench.cut_documents(FORM, keep_images=False)
    bench.read_lines()
    assert refused(caller("GET", f"{path}/transcript?format=pdf")) == (410, "not_kept")
    assert caller("GET", f"{path}/transcript?format=csv").status_code == 200


def test_another_clients_transcript_looks_absent_and_a_deleted_one_is_gone(caller, stranger, bench):
    path = submit_form(caller, bench)
    for wanted in ("txt", "json", "pdf", "form"):
        assert refused(stranger("GET", f"{path}?format={wanted}")) == (404, "not_found")
    caller("DELETE", path.removesuffix("/transcript"))
    for wanted in ("txt", "pdf"):
        assert refused(caller("GET", f"{path}?format={wanted}")) == (410, "expired")


def test_a_transcript_needs_the_scope_to_read(app, bench, lines_path):
    writer = Caller(app.test_client(), bench.key_of("forms", Scope.WRITE))
    assert refused(writer("GET", lines_path)) == (403, "insufficient_scope")
