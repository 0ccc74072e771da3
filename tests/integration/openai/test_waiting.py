"""What the facade does while lines are read, and that its answers are as they are described."""

import io
import json

import pytest
from jsonschema import Draft202012Validator
from sqlalchemy import event

from api.app import OPERATIONS
from api.openapi import template_of
from core.settings import OpenAI, Settings
from tests.integration.api.conftest import (  # noqa: F401 - fixtures are found by name here
    bench,
    caller,
    facade,
    open_facade,
)
from tests.integration.openai.conftest import asking, data_uri
from tests.integration.openai.test_refusals import BATCHES, CHAT, FILES, IMAGE, RESPONSES, refused


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Have calls wait for a moment only: nobody reads here."""
    return settings.model_copy(update={"openai": OpenAI(answer_seconds=0.2)})


def test_a_call_that_waits_too_long_names_its_job_which_goes_on(caller, bench):  # noqa: F811
    body = {"model": "fake", "messages": asking(IMAGE)}
    late = caller("POST", CHAT, json=body)
    assert refused(late) == (504, "still_reading")
    assert late.headers["X-Should-Retry"] == "true"
    assert int(late.headers["Retry-After"]) >= 1
    (job,) = caller("GET", "/v1/jobs").json["data"]
    assert job["id"] in late.json["error"]["message"]
    assert (job["priority"], job["status"]) == ("interactive", "queued")
    bench.read_lines()
    assert caller("POST", CHAT, json=body).json["choices"][0]["message"]["content"] == "text 0"
    assert len(caller("GET", "/v1/jobs").json["data"]) == 1


def test_a_call_that_waits_leaves_the_database_alone(settings):
    with open_facade(settings.model_copy(update={"openai": OpenAI(answer_seconds=1.5)})) as own:
        statements = []
        engine = own.app.extensions["inkpost"].engine
        event.listen(engine, "before_cursor_execute", lambda *arguments: statements.append(arguments[2]))
        answer = own.caller("POST", CHAT, json={"model": "fake", "messages": asking(IMAGE)})
    assert answer.status_code == 504
    assert sum("FROM lines" in statement for statement in statements) <= 4


def test_a_stream_that_waits_too_long_ends_with_the_failure(caller):  # noqa: F811
    answer = caller("POST", CHAT, json={"model": "fake", "messages": asking(IMAGE), "stream": True})
    events = [event.removeprefix("data: ") for event in answer.text.strip().split("\n\n")]
    assert json.loads(events[-1])["error"]["code"] == "still_reading"
    assert "[DONE]" not in answer.text


def test_a_call_whose_job_is_deleted_meanwhile_is_told_so(caller, bench):  # noqa: F811
    body = {"model": "fake", "messages": asking(IMAGE)}
    first = caller("POST", CHAT, json=body)
    job = caller("GET", "/v1/jobs").json["data"][0]["id"]
    caller("POST", f"/v1/jobs/{job}/cancel")
    assert refused(caller("POST", CHAT, json=body)) == (410, "expired")
    caller("DELETE", f"/v1/jobs/{job}")
    assert refused(caller("POST", CHAT, json=body)) == (504, "still_reading")
    assert first.status_code == 504


def test_an_idempotency_key_is_honoured(caller):  # noqa: F811
    body, other = ({"model": "fake", "messages": asking(IMAGE), "seed": seed} for seed in (1, 2))
    key = {"Idempotency-Key": "k1"}
    assert caller("POST", CHAT, json=body, headers=key).status_code == 504
    assert caller("POST", CHAT, json=body, headers=key).status_code == 504
    assert len(caller("GET", "/v1/jobs").json["data"]) == 1
    assert refused(caller("POST", CHAT, json=other, headers=key)) == (422, "idempotency_mismatch")
    assert refused(caller("POST", CHAT, json=body, headers={"Idempotency-Key": ""})) == (400, "invalid_idempotency_key")


def test_every_route_answers_as_it_is_described(caller, bench):  # noqa: F811
    document = caller("GET", "/openapi.json").json
    driven = set()

    def drive(method: str, path: str, template: str | None = None, **options):
        answer = caller(method, path, **options)
        template = template or path
        driven.add((template, method))
        responses = document["paths"][template][method.lower()]["responses"]
        assert str(answer.status_code) in responses, (method, path, answer.status_code, answer.text)
        content = responses[str(answer.status_code)]["content"]
        assert answer.mimetype in content
        schema = content[answer.mimetype]["schema"]
        if "$ref" in schema:
            Draft202012Validator({**schema, "components": document["components"]}).validate(answer.json)
        return answer

    chat = {"model": "fake", "messages": asking(IMAGE), "logprobs": True}
    parts = [{"type": "input_image", "image_url": data_uri(IMAGE.png)}]
    response = {"model": "fake", "input": [{"role": "user", "content": parts}]}
    for path, body in [(CHAT, chat), (RESPONSES, response)]:
        drive("POST", path, json=body)
        bench.read_lines()
        assert drive("POST", path, json=body).status_code == 200
        drive("POST", path, json={})
        drive("POST", path, json=body, headers={"Authorization": ""})
    upload = {"purpose": "batch", "file": (io.BytesIO(b"{}"), "in.jsonl")}
    file = drive("POST", FILES, data=upload, content_type="multipart/form-data").json["id"]
    drive("GET", FILES)
    drive("GET", f"{FILES}/{file}", f"{FILES}/{{file_id}}")
    assert drive("GET", f"{FILES}/{file}/content", f"{FILES}/{{file_id}}/content").data == b"{}"
    wanted = {"input_file_id": file, "endpoint": CHAT, "completion_window": "24h", "metadata": {"a": "b"}}
    batch = drive("POST", BATCHES, json=wanted).json["id"]
    drive("POST", BATCHES, json={**wanted, "input_file_id": "x"})
    drive("GET", BATCHES)
    drive("GET", f"{BATCHES}/{batch}", f"{BATCHES}/{{batch_id}}")
    assert drive("DELETE", f"{FILES}/{file}", f"{FILES}/{{file_id}}").status_code == 409
    drive("POST", f"{BATCHES}/{batch}/cancel", f"{BATCHES}/{{batch_id}}/cancel")
    assert drive("DELETE", f"{FILES}/{file}", f"{FILES}/{{file_id}}").status_code == 200
    assert driven == {
        (template_of(operation.path), operation.method)
        for operation in OPERATIONS
        if operation.tag == "OpenAI's dialect"
    }
