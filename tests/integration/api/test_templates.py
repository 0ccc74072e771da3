"""Templates over HTTP."""

import pytest

from core.settings import Limits
from core.tables import Document, Job
from core.words import Scope
from tests.cut_forms import REGION, form
from tests.integration.api.conftest import Caller, open_facade
from tests.integration.api.test_refusals import refused

WHOLE = {"cut": "regions", "pages": "1-2", "regions": [{**REGION, "unit": "points"}]}


def test_a_template_is_made_looked_at_replaced_and_deleted(caller):
    made = caller("POST", "/v1/templates", json={"name": "intake-2024", **WHOLE})
    assert made.status_code == 201
    assert made.headers["Location"] == "/v1/templates/intake-2024"
    assert made.json.items() >= {"object": "template", "name": "intake-2024", **WHOLE}.items()
    assert caller("GET", made.headers["Location"]).json == made.json

    replaced = caller("PUT", made.headers["Location"], json={"cut": "page"})
    assert replaced.status_code == 200
    assert (replaced.json["cut"], replaced.json["pages"], replaced.json["regions"]) == ("page", None, None)
    assert replaced.json["created_at"] == made.json["created_at"]

    assert caller("DELETE", made.headers["Location"]).status_code == 204
    assert refused(caller("GET", made.headers["Location"])) == (404, "not_found")
    assert refused(caller("DELETE", made.headers["Location"])) == (404, "not_found")


def test_a_put_makes_a_template_that_is_not_there(caller):
    made = caller("PUT", "/v1/templates/new", json={})
    assert (made.status_code, made.headers["Location"], made.json["cut"]) == (201, "/v1/templates/new", "auto")


def test_a_name_is_taken_once_for_each_client(caller, stranger):
    assert caller("POST", "/v1/templates", json={"name": "form"}).status_code == 201
    assert refused(caller("POST", "/v1/templates", json={"name": "form"})) == (409, "template_exists")
    assert stranger("POST", "/v1/templates", json={"name": "form", "cut": "page"}).status_code == 201
    assert caller("GET", "/v1/templates/form").json["cut"] == "auto"


def test_another_clients_template_looks_absent(caller, stranger):
    caller("PUT", "/v1/templates/form", json=WHOLE)
    assert stranger("GET", "/v1/templates").json["data"] == []
    assert refused(stranger("GET", "/v1/templates/form")) == (404, "not_found")
    assert refused(stranger("DELETE", "/v1/templates/form")) == (404, "not_found")
    body = {"document": form(template="form")}
    assert refused(stranger("POST", "/v1/jobs", json=body)) == (422, "unknown_template")
    assert caller("GET", "/v1/templates/form").status_code == 200


def test_templates_are_listed_by_name_page_by_page(caller, stranger):
    names = [f"form-{number}" for number in range(7)]
    for name in reversed(names):
        caller("PUT", f"/v1/templates/{name}", json={})
    seen, cursor = [], ""
    while cursor is not None:
        page = caller("GET", f"/v1/templates?limit=3{f'&cursor={cursor}' if cursor else ''}").json
        seen += [template["name"] for template in page["data"]]
        last, cursor = cursor, page["next_cursor"]
    assert seen == names
    assert refused(stranger("GET", f"/v1/templates?cursor={last}")) == (422, "invalid_cursor")


def document_of(bench) -> Document:
    with bench.sessions() as session:
        return session.query(Document).join(Job, Job.id == Document.job_id).order_by(Job.id.desc()).first()


def test_a_documents_template_says_how_it_is_cut_whatever_becomes_of_the_template(caller, bench):
    caller("PUT", "/v1/templates/intake", json=WHOLE)
    accepted = caller("POST", "/v1/jobs", json={"document": form(template="intake", password="sesame")})
    assert accepted.json["document"]["asked"] == {"cut": "regions", "pages": "1-2"}
    assert accepted.json["document"]["template"] == "intake"
    caller("DELETE", "/v1/templates/intake")
    document = document_of(bench)
    assert (document.asked_cut, document.pages, document.regions) == ("regions", [[1, 2]], WHOLE["regions"])
    assert document.password == "sesame"
    assert caller("GET", accepted.headers["Location"]).json == accepted.json


def test_pages_beside_a_template_take_the_place_of_its_own_and_nothing_else_may_stand_there(caller, bench):
    caller("PUT", "/v1/templates/intake", json=WHOLE)
    accepted = caller("POST", "/v1/jobs", json={"document": form(template="intake", pages="4")})
    assert accepted.json["document"]["asked"]["pages"] == "4"
    answer = caller("POST", "/v1/jobs", json={"document": form(template="intake", cut="page", regions=[REGION])})
    assert refused(answer) == (422, "invalid_value")
    assert [fault["pointer"] for fault in answer.json["errors"]] == ["/document/cut", "/document/regions"]


def test_a_client_keeps_so_many_templates_and_may_still_replace_one(settings):
    with open_facade(settings.model_copy(update={"limits": Limits(max_templates=2)})) as facade:
        for name in ("a", "b"):
            assert facade.caller("PUT", f"/v1/templates/{name}", json={}).status_code == 201
        assert refused(facade.caller("PUT", "/v1/templates/c", json={})) == (422, "too_many")
        assert refused(facade.caller("POST", "/v1/templates", json={"name": "c"})) == (422, "too_many")
        assert facade.caller("PUT", "/v1/templates/a", json={"cut": "page"}).status_code == 200
        assert facade.stranger("PUT", "/v1/templates/a", json={}).status_code == 201


def test_a_template_of_as_many_regions_as_there_may_be_is_kept(caller):
    regions = [{**REGION, "name": f"{number}{'ж' * 200}", "unit": "points"} for number in range(1_000)]
    assert caller("PUT", "/v1/templates/large", json={"regions": regions}).json["regions"] == regions
    answer = caller("PUT", "/v1/templates/larger", json={"regions": [*regions, REGION]})
    assert refused(answer) == (422, "too_many")


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({}, "/name", "required"),
        ({"name": ""}, "/name", "too_short"),
        ({"name": "x" * 1_000}, "/name", "too_long"),
        ({"name": "a/b"}, "/name", "invalid_value"),
        ({"name": ".."}, "/name", "invalid_value"),
        ({"name": "a\n"}, "/name", "invalid_value"),
        ({"name": "a", "password": "x"}, "/password", "unknown_field"),
        ({"name": "a", "client_id": "x"}, "/client_id", "unknown_field"),
        ({"name": "a", "pages": "-"}, "/pages", "invalid_pages"),
        ({"name": "a", "cut": "regions"}, "/regions", "required"),
        ({"name": "a", "regions": [{**REGION, "box": [5, 5, 5, 5]}]}, "/regions/0/box", "invalid_box"),
    ],
)
def test_a_field_that_does_not_fit_is_named(caller, body, pointer, code):
    answer = caller("POST", "/v1/templates", json=body)
    assert refused(answer) == (422, code)
    assert answer.json["errors"][0]["pointer"] == pointer


@pytest.mark.parametrize("name", ["%00", "..%2F..%2Fetc%2Fpasswd", ".", "' OR 1=1--", "💥", "0" * 10_000])
def test_a_name_that_cannot_exist_is_not_found(caller, name):
    assert refused(caller("GET", f"/v1/templates/{name}"))[0] == 404
    assert refused(caller("DELETE", f"/v1/templates/{name}"))[0] == 404
    assert refused(caller("PUT", f"/v1/templates/{name}", json={}))[0] in {404, 405, 422}


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=1000000", "cursor=x", "cursor=" + "a" * 5_000, "name=form", "sort=x"]
)
def test_a_query_that_does_not_fit_is_refused(caller, query):
    assert refused(caller("GET", f"/v1/templates?{query}"))[0] == 422


def test_a_key_may_look_at_templates_or_change_them_by_its_scope(app, bench):
    reader = Caller(app.test_client(), bench.key_of("forms", Scope.READ))
    writer = Caller(app.test_client(), bench.key_of("forms", Scope.WRITE))
    assert refused(reader("PUT", "/v1/templates/form", json={})) == (403, "insufficient_scope")
    assert writer("PUT", "/v1/templates/form", json={}).status_code == 201
    assert refused(writer("GET", "/v1/templates/form")) == (403, "insufficient_scope")
    assert reader("GET", "/v1/templates/form").status_code == 200
