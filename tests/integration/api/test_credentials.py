import datetime as dt
import secrets

import pytest

from api.app import OPERATIONS, create_app
from core.clients import _checksum, create_client, create_key, revoke_key
from core.settings import Api
from core.words import Scope
from tests.integration.api.conftest import Caller
from tests.waiting import eventually

GUARDED = [operation for operation in OPERATIONS if operation.scope is not None]
OPEN = {"/livez", "/readyz", "/openapi.json", "/docs"}


@pytest.fixture
def facade(shared_facade):
    return shared_facade


def test_no_route_but_health_and_docs_answers_without_a_key():
    assert {operation.path for operation in OPERATIONS} - {operation.path for operation in GUARDED} == OPEN


@pytest.mark.parametrize("operation", GUARDED, ids=lambda operation: operation.name)
@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        (None, "missing_credentials"),
        ("", "missing_credentials"),
        ("Basic dXNlcjpwYXNz", "invalid_credentials"),
        ("Bearer", "invalid_credentials"),
        ("Bearer ink_x", "invalid_credentials"),
        ("Bearer " + "é" * 10, "invalid_credentials"),
        ("Bearer ink_" + "a" * 8_000, "invalid_credentials"),
    ],
)
def test_a_call_without_a_good_key_is_refused(app, operation, authorization, code):
    path = operation.path.replace("<job_id>", "job_" + "0" * 32)
    headers = {} if authorization is None else {"Authorization": authorization.encode().decode("latin-1")}
    answer = app.test_client().open(path, method=operation.method, headers=headers)
    assert answer.status_code == 401
    assert (answer.json.get("code") or answer.json["error"]["code"]) == code
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_mistyped_key_an_unknown_one_and_a_wrong_secret_look_the_same(app, bench):
    key = bench.key_of("forms")
    unknown = f"ink_{secrets.token_hex(8)}{key[20:-8]}"
    wrong = key[:-12] + ("AAAA" if key[-12:-8] != "AAAA" else "BBBB")
    answers = [
        Caller(app.test_client(), attempt)("GET", "/v1/limits")
        for attempt in (
            key[:-1] + ("0" if key[-1] != "0" else "1"),
            unknown + _checksum(unknown),
            wrong + _checksum(wrong),
        )
    ]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.text.replace(answer.json["request_id"], "") for answer in answers}) == 1


def test_a_revoked_key_stops_working_within_five_seconds_even_while_it_is_used(app, bench):
    caller = Caller(app.test_client(), bench.key_of("forms"))
    assert caller("GET", "/v1/limits").status_code == 200
    with bench.sessions.begin() as session:
        revoke_key(session, caller.key.split("_")[1])
    answer = eventually(lambda: (found := caller("GET", "/v1/limits")).status_code == 401 and found, 5.0)
    assert answer.json["code"] == "key_revoked"


def test_an_expired_key_is_refused(app, bench):
    with bench.sessions.begin() as session:
        client = create_client(session, "forms")
        key = create_key(session, client.id, expires_at=dt.datetime.now(dt.UTC) - dt.timedelta(seconds=1))
    answer = Caller(app.test_client(), key)("GET", "/v1/limits")
    assert (answer.status_code, answer.json["code"]) == (401, "key_revoked")


@pytest.mark.parametrize("operation", GUARDED, ids=lambda operation: operation.name)
def test_a_key_without_the_scope_is_refused(app, bench, operation):
    other = Scope.READ if operation.scope == Scope.WRITE else Scope.WRITE
    caller = Caller(app.test_client(), bench.key_of("forms", other))
    answer = caller(operation.method, operation.path.replace("<job_id>", "job_" + "0" * 32))
    assert answer.status_code == 403
    assert (answer.json.get("code") or answer.json["error"]["code"]) == "insufficient_scope"


def test_metrics_may_be_opened_by_the_operator(settings):
    app = create_app(settings.model_copy(update={"api": Api(open_metrics=True)}))
    assert app.test_client().get("/metrics").status_code == 200
    assert app.test_client().get("/v1/limits").status_code == 401
    app.extensions["inkpost"].close()
