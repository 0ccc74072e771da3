"""The pictures of lines over HTTP."""

import pytest

from core.words import Scope
from tests.cut_forms import FORM, PICTURES, REGIONS, form
from tests.integration.api.conftest import Caller
from tests.integration.api.test_refusals import ODD_IDS, refused


@pytest.fixture
def facade(shared_facade):
    """Give a facade on which nothing waits."""
    shared_facade.bench.cut_documents(FORM)
    return shared_facade


def submit_form(caller, bench, cut=FORM, **options):
    path = caller("POST", "/v1/jobs", json={"document": form(), **options}).headers["Location"]
    bench.cut_documents(cut)
    return path


def test_the_picture_of_a_cut_line_is_shown_as_png(caller, bench):
    path = submit_form(caller, bench, client_reference="form-7")
    for index, picture in enumerate(PICTURES):
        answer = caller("GET", f"{path}/lines/{index}/image")
        assert (answer.status_code, answer.content_type, answer.data) == (200, "image/png", picture)
        assert answer.headers["Content-Disposition"] == f"attachment; filename=form-7-{index}.png"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    again = caller("GET", f"{path}/lines/1/image", headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


def test_an_image_that_was_sent_is_never_sent_back(caller, bench):
    answer = caller("GET", f"/v1/jobs/{caller.submitted()}/lines/0/image")
    assert refused(answer) == (409, "not_offered")


def test_what_was_typed_or_cannot_be_drawn_has_no_picture(caller, bench):
    assert refused(caller("GET", f"{submit_form(caller, bench)}/lines/2/image")) == (409, "not_offered")
    assert refused(caller("GET", f"{submit_form(caller, bench, REGIONS)}/lines/1/image")) == (409, "not_offered")


def test_a_picture_that_is_not_kept_says_so(caller, bench):
    path = submit_form(caller, bench)
    assert caller("GET", f"{path}/lines/0/image").status_code == 200
    bench.forget_images()
    assert refused(caller("GET", f"{path}/lines/0/image")) == (410, "not_kept")


@pytest.mark.parametrize("index", ["3", "-1", "01", "1e3", "x", "%00", "..%2F0", "9" * 10, "9" * 10_000, "0' OR 1=1--"])
def test_a_line_that_is_not_there_is_not_found(caller, bench, index):
    assert refused(caller("GET", f"{submit_form(caller, bench)}/lines/{index}/image"))[0] == 404


@pytest.mark.parametrize("job_id", ODD_IDS)
def test_a_job_that_cannot_exist_is_not_found(caller, job_id):
    assert refused(caller("GET", f"/v1/jobs/{job_id}/lines/0/image"))[0] == 404


def test_another_clients_picture_looks_absent_and_a_deleted_one_is_gone(caller, stranger, bench):
    path = submit_form(caller, bench)
    assert refused(stranger("GET", f"{path}/lines/0/image")) == (404, "not_found")
    caller("DELETE", path)
    assert refused(caller("GET", f"{path}/lines/0/image")) == (410, "expired")


def test_a_picture_needs_the_scope_to_read_and_takes_no_parameters(app, bench, caller):
    path = submit_form(caller, bench)
    writer = Caller(app.test_client(), bench.key_of("forms", Scope.WRITE))
    assert refused(writer("GET", f"{path}/lines/0/image")) == (403, "insufficient_scope")
    assert refused(caller("GET", f"{path}/lines/0/image?width=10")) == (422, "unknown_field")
