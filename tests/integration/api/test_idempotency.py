import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from api.app import create_app
from core.tables import Job
from tests.integration.api.conftest import Caller, line
from tests.unit.api.pictures import png

KEY = {"Idempotency-Key": "batch-7"}


def test_the_same_key_and_body_get_the_same_answer(caller, bench):
    body = {"lines": [line("a")], "client_reference": "x"}
    first = caller("POST", "/v1/jobs", json=body, headers=KEY)
    bench.read_lines()
    again = caller("POST", "/v1/jobs", json=body, headers=KEY)
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.json == first.json
    assert again.headers["Location"] == first.headers["Location"]
    assert (first.headers.get("Idempotent-Replayed"), again.headers.get("Idempotent-Replayed")) == (None, "true")
    with bench.sessions() as session:
        assert session.query(Job).count() == 1


def test_without_a_key_every_submission_is_a_job(caller):
    assert caller.submitted() != caller.submitted()


def test_the_same_key_with_another_body_is_refused(caller):
    caller.submit(line("a"), headers=KEY)
    answer = caller.submit(line("b"), headers=KEY)
    assert (answer.status_code, answer.json["code"]) == (422, "idempotency_mismatch")


def test_the_same_bytes_as_another_content_type_are_another_body(caller):
    image = png()
    assert caller("POST", "/v1/jobs", data=image, content_type="image/png", headers=KEY).status_code == 202
    part = b'--BB\r\nContent-Disposition: form-data; name="image"\r\n\r\n' + image + b"\r\n--BB--\r\n"
    answer = caller("POST", "/v1/jobs", data=part, content_type="multipart/form-data; boundary=BB", headers=KEY)
    assert answer.json["code"] == "idempotency_mismatch"


def test_the_same_parts_behind_another_boundary_are_the_same_body(caller):
    answers = []
    for boundary in ("first-boundary", "second-one"):
        body = f'--{boundary}\r\nContent-Disposition: form-data; name="image"\r\n\r\n'.encode() + png()
        body += f"\r\n--{boundary}--\r\n".encode()
        kind = f"multipart/form-data; boundary={boundary}"
        answers.append(caller("POST", "/v1/jobs", data=body, content_type=kind, headers=KEY))
    assert answers[1].json == answers[0].json


def test_two_clients_may_use_the_same_key(caller, stranger):
    ours, theirs = caller.submit(headers=KEY), stranger.submit(headers=KEY)
    assert ours.json["id"] != theirs.json["id"]


def test_a_refused_submission_leaves_its_key_free(caller):
    assert caller.submit(priority="urgent", headers=KEY).status_code == 422
    assert caller.submit(headers=KEY).status_code == 202


def test_the_key_of_a_deleted_job_does_not_make_it_again(caller):
    body = {"lines": [line()]}
    first = caller("POST", "/v1/jobs", json=body, headers=KEY)
    caller("DELETE", f"/v1/jobs/{first.json['id']}")
    answer = caller("POST", "/v1/jobs", json=body, headers=KEY)
    assert (answer.status_code, answer.json["code"]) == (410, "expired")


@pytest.mark.parametrize("key", ["", " ", "x" * 256, "x" * 10_000, "a b", "tab\there"])
def test_a_key_that_is_not_printable_is_refused(caller, key):
    answer = caller.submit(headers={"Idempotency-Key": key})
    assert (answer.status_code, answer.json["code"]) == (400, "invalid_idempotency_key")


def test_twenty_at_once_make_one_job(settings, bench):
    app = create_app(settings.model_copy(update={"database_pool_size": 20}))
    caller = Caller(app.test_client(), bench.key_of("forms"))
    body, together = json.dumps({"lines": [line()]}), threading.Barrier(20)

    def submit(_: int) -> tuple[int, str | None, bool]:
        together.wait()
        answer = Caller(app.test_client(), caller.key)(
            "POST", "/v1/jobs", data=body, content_type="application/json", headers=KEY
        )
        return answer.status_code, answer.json.get("id"), "Idempotent-Replayed" in answer.headers

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(submit, range(20)))

    assert {status for status, _, _ in answers} <= {202, 409}
    assert len({job_id for status, job_id, _ in answers if status == 202}) == 1
    assert sum(status == 202 and not is_replay for status, _, is_replay in answers) == 1
    with bench.sessions() as session:
        assert session.query(Job).count() == 1
    app.extensions["inkpost"].close()
