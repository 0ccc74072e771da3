import ast
import re
import threading
import time
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from api.app import OPERATIONS, create_app
from api.openapi import describe, template_of
from api.problems import STATUSES
from core import faults
from core.ids import new_uuid
from core.presence import say_alive
from core.settings import Api
from core.tables import WorkerPresence
from tests.cut_forms import FORM, form
from tests.integration.api.conftest import Caller, line


def test_the_document_is_valid_openapi():
    OpenAPIV31SpecValidator(describe(OPERATIONS)).validate()


def test_every_route_is_described_and_every_described_route_is_there(app):
    routed = {
        (template_of(rule.rule), method) for rule in app.url_map.iter_rules() for method in rule.methods - {"HEAD"}
    }
    document = app.test_client().get("/openapi.json").json
    described = {(path, method.upper()) for path, methods in document["paths"].items() for method in methods}
    assert described == routed


def test_every_route_answers_as_it_is_described(caller, bench):
    document = caller("GET", "/openapi.json").json
    driven = set()

    def drive(method: str, path: str, template: str | None = None, **options):
        answer = caller(method, path, **options)
        template = template or path
        driven.add((template, method))
        responses = document["paths"][template][method.lower()]["responses"]
        assert str(answer.status_code) in responses, (method, path, answer.status_code)
        content = responses[str(answer.status_code)].get("content", {})
        if answer.status_code != 304 and answer.data:
            assert answer.mimetype in content
            schema = content[answer.mimetype]["schema"]
            if "$ref" in schema:
                whole = {**schema, "components": document["components"]}
                Draft202012Validator(whole, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(answer.json)
        return answer

    job = drive("POST", "/v1/jobs", json={"lines": [line("a"), line()], "review_threshold": 0.99}).json
    one, own = "/v1/jobs/{job_id}", f"/v1/jobs/{job['id']}"
    drive("GET", own, one)
    bench.read_lines(damaged=(1,))
    drive("GET", own, one)
    drive("GET", own, one, headers={"If-None-Match": caller("GET", own).headers["ETag"]})
    drive("GET", "/v1/jobs")
    drive("GET", f"{own}/lines", f"{one}/lines")
    drive("POST", f"{own}/cancel", f"{one}/cancel")
    drive("POST", f"/v1/jobs/{caller.submitted()}/cancel", f"{one}/cancel")
    drive("DELETE", own, one)
    drive("GET", own, one)
    drive("GET", f"/v1/jobs/job_{'0' * 32}", one)
    drive("POST", "/v1/jobs", json={"lines": [{}]})
    drive("POST", "/v1/jobs", data=b"x", content_type="text/plain")
    drive("POST", "/v1/templates", json={"name": "form"})
    drive("PUT", "/v1/templates/form", "/v1/templates/{template_name}", json={"cut": "page"})
    drive("GET", "/v1/templates/form", "/v1/templates/{template_name}")
    drive("GET", "/v1/templates")
    document_job = drive("POST", "/v1/jobs", json={"document": form(template="form")}).json
    drive("GET", f"/v1/jobs/{document_job['id']}", one)
    transcript, image = f"{one}/transcript", f"{one}/lines/{{line_index}}/image"
    drive("GET", f"/v1/jobs/{document_job['id']}/transcript", transcript)
    bench.cut_documents(FORM)
    drive("GET", f"/v1/jobs/{document_job['id']}/lines/0/image", image)
    drive("GET", f"/v1/jobs/{document_job['id']}/lines/9/image", image)
    bench.read_lines()
    drive("GET", f"/v1/jobs/{document_job['id']}", one)
    for wanted in ("txt", "csv", "jsonl", "json", "page", "alto", "hocr"):
        drive("GET", f"/v1/jobs/{document_job['id']}/transcript?format={wanted}", transcript)
    drive("GET", "/v1/jobs")
    drive("DELETE", "/v1/templates/form", "/v1/templates/{template_name}")
    for path in (
        "/v1/limits",
        "/v1/models",
        "/v1/capacity",
        "/v1/usage",
        "/metrics",
        "/livez",
        "/readyz",
        "/openapi.json",
        "/docs",
    ):
        drive("GET", path)
        if path.startswith("/v1"):
            drive("GET", path, headers={"Authorization": ""})
    drive("GET", "/v1/models?x=1", "/v1/models")
    drive("GET", "/v1/models/fake", "/v1/models/{model_id}")
    drive("GET", "/v1/models/gpt-4o", "/v1/models/{model_id}")

    # Those of webhooks need a receiver, those of OpenAI's dialect a reader; they are driven where these are.
    elsewhere = {"Webhooks", "OpenAI's dialect"}
    others = [operation for operation in OPERATIONS if operation.tag not in elsewhere]
    assert driven == {(template_of(operation.path), operation.method) for operation in others}


def test_the_page_to_read_is_self_contained_and_names_every_call_and_error(app):
    answer = app.test_client().get("/docs")
    assert answer.mimetype == "text/html"
    assert "<script" not in answer.text
    assert not re.search(r"(?:src|href)=['\"](?:https?:)?//", answer.text)
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    for operation in OPERATIONS:
        assert template_of(operation.path) in answer.text
    assert "`" not in answer.text


def test_every_code_of_an_error_has_a_place_on_the_page_and_every_link_leads_somewhere(app):
    page = app.test_client().get("/docs").text
    places = re.findall(r"\bid='([^']+)'", page)
    assert len(places) == len(set(places))
    assert set(re.findall(r"href='#([^']+)'", page)) <= set(places)
    codes = {error.code for error in STATUSES} | written_codes()
    assert {"idempotency_mismatch", "too_few", "image_dimensions"} < codes
    assert codes <= set(places)


def written_codes() -> set[str]:
    """Return the codes of faults that stand in the source."""
    codes = set(faults._CODES.values())
    for path in [*Path("api").rglob("*.py"), *Path("core").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                place = {"Fault": 2, "BadUpload": 0, "HeaderFault": 0, "InputError": 0}.get(node.func.id, 9)
                if len(node.args) > place and isinstance(node.args[place], ast.Constant):
                    codes.add(node.args[place].value)
    return codes


def test_a_host_that_is_not_trusted_is_refused_but_probes_are_answered(settings, bench):
    app = create_app(settings.model_copy(update={"trusted_hosts": ("forms.example.org",)}))
    caller = Caller(app.test_client(), bench.key_of("forms"))
    for host, status in [("forms.example.org", 200), ("FORMS.example.org:8443", 200), ("evil.example", 400), ("", 400)]:
        answer = caller("GET", "/v1/limits", headers={"Host": host})
        assert answer.status_code == status
    assert answer.json["code"] == "invalid_host"
    assert caller("GET", "/livez", headers={"Host": "10.0.0.7:8000"}).status_code == 200
    app.extensions["inkpost"].close()


def test_models_are_the_default_and_what_workers_serve(caller, bench):
    assert [
        (model["id"], model["live_workers"], model["is_default"]) for model in caller("GET", "/v1/models").json["data"]
    ] == [("fake", 0, True)]
    with bench.sessions.begin() as session:
        say_alive(
            session,
            WorkerPresence(
                slot=new_uuid(), model="large", model_revision="r1", device="cpu", precision="float32", host="h", pid=1
            ),
        )
    models = caller("GET", "/v1/models").json["data"]
    assert {(model["id"], model["revision"], model["live_workers"]) for model in models} == {
        ("fake", None, 0),
        ("large", "r1", 1),
    }
    assert caller.submit(model="large").status_code == 202


def test_capacity_counts_what_waits_and_how_fast_it_goes(caller, bench, app):
    caller.submitted(line(), line(), priority="bulk")
    caller.submitted()
    [model] = caller("GET", "/v1/capacity").json["models"]
    assert model["queued_lines"] == {"interactive": 0, "default": 1, "bulk": 2}
    assert model["oldest_queued_seconds"] >= 0
    assert model["estimated_wait_seconds"] is None
    bench.read_lines()
    caller.submitted()
    app.extensions["inkpost"].backlog_gauge._taken_at = 0  # a second later
    [model] = caller("GET", "/v1/capacity").json["models"]
    assert model["recent_lines_per_second"] == pytest.approx(3 / 60)
    assert model["estimated_wait_seconds"] == pytest.approx(20)


def test_capacity_and_metrics_tell_of_documents_that_wait(caller, bench, app):
    assert caller("GET", "/v1/capacity").json["documents"] == {
        "queued_documents": 0, "queued_renditions": 0, "oldest_queued_seconds": None,
    }  # fmt: skip
    caller("POST", "/v1/jobs", json={"document": form()})
    app.extensions["inkpost"].backlog_gauge._taken_at = 0  # a second later
    documents = caller("GET", "/v1/capacity").json["documents"]
    assert (documents["queued_documents"], documents["queued_renditions"]) == (1, 0)
    assert documents["oldest_queued_seconds"] >= 0
    metrics = caller("GET", "/metrics").text
    assert "inkpost_queued_documents 1.0" in metrics
    assert "inkpost_queued_renditions 0.0" in metrics


def test_metrics_count_requests_and_show_the_queue(caller):
    caller.submitted()
    caller("GET", "/nope")
    caller("BREW", "/v1/jobs")
    metrics = caller("GET", "/metrics").text
    assert 'inkpost_requests_total{method="POST",operation="submit_job",status="202"} 1.0' in metrics
    assert 'inkpost_requests_total{method="OTHER",operation="none",status="405"} 1.0' in metrics
    assert 'inkpost_queued_lines{model="fake",priority="default"} 1.0' in metrics


def test_a_long_poll_is_answered_as_soon_as_the_job_has_finished(caller, bench):
    job_id = caller.submitted()
    threading.Timer(0.3, bench.read_lines).start()
    started = time.monotonic()
    job = caller("GET", f"/v1/jobs/{job_id}?wait=30").json
    assert job["status"] == "succeeded"
    assert time.monotonic() - started < 15  # far from the 30 s asked for


def test_a_long_poll_ends_when_its_time_is_over(caller):
    answer = caller("GET", f"/v1/jobs/{caller.submitted()}?wait=0.2")
    assert (answer.status_code, answer.json["status"], answer.headers["Retry-After"]) == (200, "queued", "1")


def test_a_long_poll_ends_when_its_job_is_deleted(app, caller):
    job_id = caller.submitted()
    other = Caller(app.test_client(), caller.key)
    threading.Timer(0.2, lambda: other("DELETE", f"/v1/jobs/{job_id}")).start()
    assert caller("GET", f"/v1/jobs/{job_id}?wait=30").status_code == 410


def test_only_half_of_the_threads_may_wait_and_the_next_is_answered_at_once(settings, bench):
    app = create_app(settings.model_copy(update={"api": Api(threads=4)}))
    key = bench.key_of("forms")
    job_id = Caller(app.test_client(), key).submitted()
    waiting = [
        threading.Thread(target=lambda: Caller(app.test_client(), key)("GET", f"/v1/jobs/{job_id}?wait=30"))
        for _ in range(2)
    ]
    for thread in waiting:
        thread.start()
    room = app.extensions["inkpost"].waiting_room
    while room._free_seats:
        time.sleep(0.01)
    answer = Caller(app.test_client(), key)("GET", f"/v1/jobs/{job_id}?wait=30")
    assert (answer.json["status"], answer.headers["Retry-After"]) == ("queued", "1")
    room.close()
    for thread in waiting:
        thread.join(10)
        assert not thread.is_alive()
    app.extensions["inkpost"].close()


def test_readiness_tells_database_and_broker_apart(caller):
    assert caller("GET", "/readyz").json == {"status": "ok", "database": "ok", "broker": "ok"}
