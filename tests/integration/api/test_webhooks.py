"""/v1/webhook-endpoints, /v1/deliveries and the `webhook` of a job, over HTTP; rows B6 and B58."""

import datetime as dt

from core.settings import Webhooks
from core.webhooks.resolving import create_resolver
from core.words import Scope
from tests.integration.api.conftest import Bench, Caller
from tests.integration.webhooks.name_server import name_server

URL = "https://93.184.215.14/hook"  # an address needs no name server
WEBHOOKS = "/v1/webhook-endpoints"


def registered(caller: Caller, **fields: object) -> dict:
    answer = caller("POST", WEBHOOKS, json={"url": URL, **fields})
    assert answer.status_code == 201, answer.text
    return answer.json


def code_of(answer) -> tuple[int, str]:
    return answer.status_code, answer.json["code"]


def test_an_endpoint_shows_its_secret_once(caller: Caller) -> None:
    made = registered(caller, description="billing")
    shown = caller("GET", f"{WEBHOOKS}/{made['id']}")
    assert made["secret"].startswith("whsec_")
    assert "secret" not in shown.json
    assert shown.json["events"] == ["job.succeeded", "job.partial", "job.failed", "job.canceled"]
    assert (shown.json["status"], shown.json["kind"], shown.json["description"]) == ("enabled", "registered", "billing")


def test_endpoints_are_listed_page_by_page(caller: Caller, stranger: Caller) -> None:
    ids = [registered(caller)["id"] for _ in range(3)]
    registered(stranger)
    first = caller("GET", f"{WEBHOOKS}?limit=2").json
    second = caller("GET", f"{WEBHOOKS}?limit=2&cursor={first['next_cursor']}").json
    assert [one["id"] for one in first["data"] + second["data"]] == ids[::-1]
    assert second["next_cursor"] is None


def test_a_client_has_a_limited_number_of_endpoints(caller: Caller) -> None:
    for _ in range(Webhooks().max_endpoints):
        registered(caller)
    assert code_of(caller("POST", WEBHOOKS, json={"url": URL})) == (422, "too_many")


def test_a_rotated_secret_is_shown_and_the_old_one_has_a_day(caller: Caller) -> None:
    made = registered(caller)
    rotated = caller("POST", f"{WEBHOOKS}/{made['id']}/rotate").json
    assert rotated["secret"] != made["secret"]
    ends = dt.datetime.fromisoformat(rotated["previous_secret_expires_at"]) - dt.datetime.now(dt.UTC)
    assert dt.timedelta(hours=23.9) < ends < dt.timedelta(hours=24.1)


def test_a_secret_of_the_client_s_own_making_is_taken(caller: Caller) -> None:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    assert registered(caller, secret=secret)["secret"] == secret


def test_a_name_with_a_private_address_behind_its_public_one_is_refused(caller: Caller) -> None:
    services = caller.http.application.extensions["inkpost"]
    with name_server({"mixed.example": ["93.184.215.14", "fd00::1"], "good.example": ["93.184.215.14"]}) as server:
        policy = services.settings.webhooks.model_copy(update={"nameservers": (server.address,)})
        services.webhook_urls._resolve = create_resolver(policy)
        refused = caller("POST", WEBHOOKS, json={"url": "https://mixed.example/"})
        unknown = caller("POST", WEBHOOKS, json={"url": "https://unknown.example/"})
        taken = caller("POST", WEBHOOKS, json={"url": "https://good.example/"})
    assert code_of(refused) == code_of(unknown) == (422, "url_not_allowed")
    assert refused.json["errors"] == unknown.json["errors"]
    assert taken.status_code == 201


def test_an_endpoint_can_be_changed_disabled_enabled_and_deleted(caller: Caller) -> None:
    path = f"{WEBHOOKS}/{registered(caller)['id']}"
    changed = caller("PATCH", path, json={"events": ["job.failed"], "include": "results"}).json
    assert (changed["events"], changed["include"]) == (["job.failed"], "results")
    disabled = caller("POST", f"{path}/disable").json
    assert (disabled["status"], disabled["disabled_reason"]) == ("disabled", "client")
    assert code_of(caller("POST", f"{path}/test")) == (409, "endpoint_disabled")
    assert caller("POST", f"{path}/enable").json["status"] == "enabled"
    assert caller("DELETE", path).status_code == 204
    assert caller("GET", path).status_code == 404


def test_another_client_s_webhooks_do_not_exist(caller: Caller, stranger: Caller) -> None:
    path = f"{WEBHOOKS}/{registered(caller)['id']}"
    delivery = caller("POST", f"{path}/test").json
    assert stranger("GET", path).status_code == 404
    for call in ("rotate", "enable", "disable", "test"):
        assert stranger("POST", f"{path}/{call}").status_code == 404
    assert stranger("DELETE", path).status_code == 404
    assert stranger("PATCH", path, json={"description": "mine"}).status_code == 404
    assert stranger("GET", f"/v1/deliveries/{delivery['id']}").status_code == 404
    assert stranger("POST", f"/v1/deliveries/{delivery['id']}/redeliver").status_code == 404
    assert stranger("GET", "/v1/deliveries").json["data"] == []
    for nonsense in ("whe_x", "../../etc/passwd", "whe_" + "0" * 32):
        assert caller("GET", f"{WEBHOOKS}/{nonsense}").status_code == 404


def test_webhooks_need_a_scope_of_their_own(bench: Bench, caller: Caller) -> None:
    writer = Caller(caller.http, bench.key_of("forms", Scope.READ, Scope.WRITE))
    assert code_of(writer("POST", WEBHOOKS, json={"url": URL})) == (403, "insufficient_scope")
    assert code_of(writer("GET", "/v1/deliveries")) == (403, "insufficient_scope")


def test_deliveries_tell_each_attempt_and_can_be_asked_for_again(caller: Caller, bench: Bench) -> None:
    endpoint = registered(caller)
    job_id = caller.submitted()
    bench.read_lines()
    (planned,) = caller("GET", f"/v1/deliveries?job_id={job_id}").json["data"]
    assert (planned["status"], planned["event_type"], planned["attempt"]) == ("queued", "job.succeeded", 1)
    again = caller("POST", f"/v1/deliveries/{planned['id']}/redeliver")
    assert again.status_code == 202
    assert again.json["event_id"] == planned["event_id"]
    listed = caller("GET", f"/v1/deliveries?endpoint_id={endpoint['id']}&status=queued&limit=1").json
    assert listed["data"][0]["id"] == again.json["id"]
    rest = caller("GET", f"/v1/deliveries?limit=1&cursor={listed['next_cursor']}").json
    assert rest["data"][0]["id"] == planned["id"]
    assert caller("GET", f"{WEBHOOKS}/{endpoint['id']}").json["deliveries"]["queued"] == 2


def test_a_replay_plans_what_was_missed_in_its_range(caller: Caller, bench: Bench) -> None:
    path = f"{WEBHOOKS}/{registered(caller)['id']}"
    caller("POST", f"{path}/disable")
    caller.submitted()
    bench.read_lines()
    caller("POST", f"{path}/enable")
    now = dt.datetime.now(dt.UTC)
    before = {"since": (now - dt.timedelta(days=2)).isoformat(), "until": (now - dt.timedelta(days=1)).isoformat()}
    assert caller("POST", f"{path}/replay", json=before).json["planned"] == 0
    answer = caller("POST", f"{path}/replay", json={"since": before["until"]})
    assert (answer.status_code, answer.json["planned"]) == (202, 1)
    backwards = {"since": before["until"], "until": before["since"]}
    assert code_of(caller("POST", f"{path}/replay", json=backwards)) == (422, "out_of_range")


def test_a_job_s_own_url_needs_a_secret_first(caller: Caller, bench: Bench) -> None:
    refused = caller.submit(webhook={"url": URL})
    assert code_of(refused) == (422, "webhook_secret_required")
    secret = caller("POST", "/v1/webhook-secret/rotate").json
    assert secret["secret"].startswith("whsec_")
    assert secret["previous_secret_expires_at"] is None
    job_id = caller.submitted(webhook={"url": URL, "events": ["job.succeeded"], "include": "results"})
    bench.read_lines()
    (planned,) = caller("GET", f"/v1/deliveries?job_id={job_id}").json["data"]
    (endpoint,) = caller("GET", WEBHOOKS).json["data"]
    assert (endpoint["kind"], endpoint["id"]) == ("job", planned["endpoint_id"])


def test_a_job_s_webhook_is_checked_like_everything_else(caller: Caller) -> None:
    answer = caller.submit(webhook={"url": "https://10.0.0.1/"})
    assert code_of(answer) == (422, "url_not_allowed")
    assert answer.json["errors"][0]["pointer"] == "/webhook/url"
    assert code_of(caller.submit(webhook={"url": URL, "events": []})) == (422, "too_few")
    assert code_of(caller.submit(webhook={"url": URL, "events": ["job.eaten"]})) == (422, "invalid_value")
    assert code_of(caller.submit(webhook={"url": URL, "events": ["job.failed"] * 7})) == (422, "too_many")
    assert code_of(caller("POST", WEBHOOKS, json={"url": URL, "events": ["job.failed"] * 7})) == (422, "too_many")
    assert code_of(caller.submit(webhook={"url": URL, "secret": "mine"})) == (422, "unknown_field")
    assert caller("GET", "/v1/jobs").json["data"] == []
