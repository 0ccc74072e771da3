"""Rows A42 to A46 and A48, A49: one attempt after another, with time moved by the test."""

import datetime as dt
import email.utils
import json
import time

import pytest

from core.tables import WebhookEndpoint
from core.webhooks.deliveries import claim_deliveries
from core.webhooks.endpoints import disable, enable, find_endpoint, rotate_secret
from core.webhooks.history import redeliver, replay
from core.webhooks.schedule import MOST_ATTEMPTS, PAUSES_SECONDS
from core.webhooks.signing import BadSignature
from core.words import DeliveryStatus, EventType, Include
from tests.integration.webhooks.conftest import PostOffice, now
from tests.integration.webhooks.receiver import drip, hang, receiving, status
from tests.invariants import check_events


def test_a_finished_job_arrives_signed_and_thin(office: PostOffice) -> None:
    with receiving(status(200, body=b"thank you")) as receiver:
        endpoint = office.register(receiver.url)
        job_id = office.job(2)
        assert office.send_due() == [DeliveryStatus.SUCCEEDED]
    (received,) = receiver.received
    body = json.loads(received.verified(endpoint.secret or b"").body)
    assert (body["type"], body["data"]["id"], body["data"]["counts"]["succeeded"]) == (
        "job.succeeded",
        f"job_{job_id.hex}",
        2,
    )
    assert "lines" not in body["data"]
    assert received.headers["content-type"] == "application/json"
    (event,) = office.events()
    assert received.body == event.body
    (delivery,) = office.deliveries()
    assert (delivery.response_status, delivery.response_start, delivery.attempt) == (200, "thank you", 1)
    check_events(office.sessions, receiver.received)


def test_failures_are_tried_again_on_schedule_with_one_id_and_new_timestamps(office: PostOffice) -> None:
    with receiving(status(500), status(500), status(500)) as receiver:
        endpoint = office.register(receiver.url)
        office.job()
        outcomes = office.send_due()
        for pause in PAUSES_SECONDS[:3]:
            wait = office.seconds_to_next()
            assert pause * 0.79 < wait <= pause * 1.2
            assert office.send_due() == []  # not before it is due
            time.sleep(1.01 - time.time() % 1)  # timestamps are whole seconds
            office.travel(wait + 0.1)
            outcomes += office.send_due()
    assert outcomes == [DeliveryStatus.FAILED] * 3 + [DeliveryStatus.SUCCEEDED]
    for received in receiver.received:
        received.verified(endpoint.secret or b"")
    assert len({received.event_id for received in receiver.received}) == 1
    assert len({received.body for received in receiver.received}) == 1
    assert len({received.headers["webhook-timestamp"] for received in receiver.received}) == 4
    assert [delivery.attempt for delivery in office.deliveries()] == [1, 2, 3, 4]
    check_events(office.sessions, receiver.received)


@pytest.mark.parametrize("answer", [hang, drip])
def test_an_attempt_ends_in_time_whatever_the_receiver_does(office: PostOffice, answer) -> None:
    hasty = office.with_policy(attempt_seconds=1.0)
    with receiving(answer) as receiver:
        office.register(receiver.url)
        office.job()
        assert hasty.send_due() == [DeliveryStatus.FAILED]
    (first, _) = office.deliveries()
    assert first.error_code == "timeout"
    assert 900 <= (first.duration_ms or 0) < 2_000


def test_a_body_that_never_ends_after_a_2xx_is_a_success(office: PostOffice) -> None:
    def endless(handler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 100)
        hang(handler)

    flooded = 0

    def flood(handler) -> None:
        nonlocal flooded
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            handler.wfile.write(b"x" * 10_000)
            flooded += 10_000

    with receiving(endless, flood) as receiver:
        office.register(receiver.url)
        office.job()
        office.job()
        assert office.send_due() == [DeliveryStatus.SUCCEEDED] * 2
    assert all(len(delivery.response_start or "") <= 1024 for delivery in office.deliveries())
    assert flooded < 16 * 1024 * 1024  # what two sockets' buffers hold; two seconds would bring far more


def test_a_receiver_that_says_gone_is_left_alone_until_somebody_enables_it(office: PostOffice) -> None:
    with receiving(status(410)) as receiver:
        endpoint = office.register(receiver.url)
        office.job()
        assert office.send_due() == [DeliveryStatus.EXHAUSTED]
        office.job()
        office.travel(86_400)
        assert office.send_due() == []
        assert (office.endpoint(endpoint.id).disabled_reason, len(receiver.received)) == ("gone", 1)
        with office.sessions.begin() as session:
            found = find_endpoint(session, office.client_id, endpoint.id, lock=True)
            enable(found)
            session.flush()
            assert replay(session, found, since=now() - dt.timedelta(days=2), until=now()).planned == 2
        assert office.send_due() == [DeliveryStatus.SUCCEEDED] * 2
    assert office.endpoint(endpoint.id).disabled_at is None
    check_events(office.sessions, receiver.received)


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_honoured(office: PostOffice, form: str) -> None:
    header = "7" if form == "seconds" else email.utils.formatdate(time.time() + 8, usegmt=True)
    with receiving(status(429, {"Retry-After": header})) as receiver:
        office.register(receiver.url)
        office.job()
        assert office.send_due() == [DeliveryStatus.FAILED]
        assert 5.9 < office.seconds_to_next() <= 8


def test_a_retry_after_of_a_year_waits_a_day(office: PostOffice) -> None:
    with receiving(status(503, {"Retry-After": str(365 * 86_400)})) as receiver:
        office.register(receiver.url)
        office.job()
        office.send_due()
        assert 86_390 < office.seconds_to_next() <= 86_400


def test_a_redirect_is_a_failure_and_is_never_followed(office: PostOffice) -> None:
    with receiving() as secret_place, receiving(status(302, {"Location": secret_place.url})) as receiver:
        office.register(receiver.url)
        office.job()
        assert office.send_due() == [DeliveryStatus.FAILED]
    assert secret_place.received == []
    assert (office.deliveries()[0].error_code, office.deliveries()[0].response_status) == ("redirected", 302)


def test_a_receiver_that_stays_down_exhausts_the_schedule_and_gets_everything_by_replay(office: PostOffice) -> None:
    patient = office.with_policy(give_up_seconds=30 * 86_400)
    with receiving() as receiver:
        receiver.default = status(500)
        endpoint = office.register(receiver.url)
        office.job()
        outcomes = patient.send_due()
        while office.deliveries(status="queued"):
            office.travel(office.seconds_to_next() + 1)
            outcomes += patient.send_due()
        assert outcomes == [DeliveryStatus.FAILED] * (MOST_ATTEMPTS - 1) + [DeliveryStatus.EXHAUSTED]
        receiver.default = status(200)
        (exhausted,) = office.deliveries(status="exhausted")
        with office.sessions.begin() as session:
            redeliver(session, office.client_id, exhausted.id)
        assert office.send_due() == [DeliveryStatus.SUCCEEDED]
        with office.sessions.begin() as session:
            found = find_endpoint(session, office.client_id, endpoint.id)
            whole = {"since": now() - dt.timedelta(days=9), "until": now()}
            assert replay(session, found, **whole).planned == 0  # it has arrived
            assert replay(session, found, **whole, is_missed_only=False).planned == 1
        assert office.send_due() == [DeliveryStatus.SUCCEEDED]
    assert len({received.event_id for received in receiver.received}) == 1
    check_events(office.sessions, receiver.received)


def test_five_days_of_nothing_but_failures_disable_an_endpoint(office: PostOffice) -> None:
    with receiving() as receiver:
        receiver.default = status(500)
        endpoint = office.register(receiver.url)
        for _ in range(3):
            office.job()
            office.travel(2 * 86_400)
            office.send_due()
        office.job()
        assert office.endpoint(endpoint.id).disabled_at is None
        office.travel(2 * 86_400)
        office.send_due()
    assert office.endpoint(endpoint.id).disabled_reason == "failing"
    assert office.deliveries(status="queued") == []
    assert office.deliveries(status="failed")[-1].attempt < MOST_ATTEMPTS


def test_one_success_in_between_keeps_an_endpoint(office: PostOffice) -> None:
    with receiving(status(500), status(200), status(500)) as receiver:
        endpoint = office.register(receiver.url)
        office.job()
        office.send_due()
        for _ in range(2):
            office.travel(3 * 86_400)
            office.send_due()
            office.job()
        office.travel(3 * 86_400)
        office.send_due()
    assert office.endpoint(endpoint.id).disabled_at is None


def test_a_secret_rotated_between_attempts_signs_along_for_a_day(office: PostOffice) -> None:
    with receiving(status(500), status(500), status(500)) as receiver:
        old = office.register(receiver.url).secret or b""
        office.job()
        office.send_due()
        with office.sessions.begin() as session:
            endpoint = session.query(WebhookEndpoint).one()
            new = rotate_secret(session, endpoint, None, office.policy)
        office.travel(600)
        office.send_due()
        office.travel(86_400)
        office.send_due()
    first, during, after = receiver.received
    first.verified(old)
    during.verified(old)
    during.verified(new)
    after.verified(new)
    with pytest.raises(BadSignature):
        after.verified(old)
    assert len(during.headers["webhook-signature"].split(" ")) == 2


def test_lines_are_in_the_body_where_asked_for(office: PostOffice) -> None:
    with receiving() as receiver:
        office.register(receiver.url + "/thin")
        office.register(receiver.url + "/thick", include=Include.RESULTS)
        office.job([b"one", b"damaged"])
        office.send_due()
    bodies = {received.path: json.loads(received.body) for received in receiver.received}
    assert "lines" not in bodies["/hook/thin"]["data"]
    lines = bodies["/hook/thick"]["data"]["lines"]
    assert [(line["text"], (line["error"] or {}).get("code")) for line in lines] == [
        ("reading of one", None),
        (None, "corrupt_image"),
    ]
    assert bodies["/hook/thick"]["type"] == "job.partial"


def test_too_many_lines_become_a_link(office: PostOffice) -> None:
    with receiving() as receiver:
        office.register(receiver.url, include=Include.RESULTS)
        job_id = office.job([b"x" * 3_000 for _ in range(100)])
        office.send_due()
    (received,) = receiver.received
    data = json.loads(received.body)["data"]
    assert len(received.body) < 2_000
    assert "lines" not in data
    assert data["lines_omitted"] == {"reason": "body_too_large", "link": f"/v1/jobs/job_{job_id.hex}/lines"}


def test_a_url_of_the_job_s_own_is_signed_with_the_client_s_secret(office: PostOffice) -> None:
    with receiving() as receiver:
        office.job(webhook=office.webhook(receiver.url, include=Include.RESULTS))
        office.job()  # nobody listens to this one
        assert office.send_due() == [DeliveryStatus.SUCCEEDED]
        failures = office.webhook(receiver.url, events=(EventType.JOB_FAILED,))
        office.job(webhook=failures)
        office.job([b"damaged"], webhook=failures)
        assert office.send_due() == [DeliveryStatus.SUCCEEDED]
    for received in receiver.received:
        received.verified(office.client_secret() or b"")
    assert [json.loads(received.body)["type"] for received in receiver.received] == ["job.succeeded", "job.failed"]
    assert "lines" in json.loads(receiver.received[0].body)["data"]


def test_a_filter_keeps_other_events_away(office: PostOffice) -> None:
    with receiving() as receiver:
        office.register(receiver.url, events=(EventType.JOB_CANCELED,))
        office.job()
        job_id = office.scenario.submit(office.client_id, 2)
        office.scenario.cancel(office.client_id, job_id)
        assert office.send_due() == [DeliveryStatus.SUCCEEDED]
    (received,) = receiver.received
    assert json.loads(received.body)["data"]["id"] == f"job_{job_id.hex}"


def test_what_a_deleted_job_held_is_sent_to_nobody_any_more(office: PostOffice) -> None:
    with receiving(status(500, body=b"reading of secret-name")) as receiver:
        office.register(receiver.url, include=Include.RESULTS)
        job_id = office.job([b"secret-name"], client_reference="case 4711")
        office.send_due()
        assert b"secret-name" in receiver.received[0].body
        office.scenario.delete(office.client_id, job_id)
        stored = office.scenario.scalar(
            "SELECT string_agg(concat(body, body_with_lines, response_start), '') FROM events"
            " JOIN deliveries ON deliveries.event_id = events.id"
        )
        assert bytes("secret-name", "ascii").hex() not in stored
        assert "secret-name" not in stored
        office.travel(10)
        assert office.send_due() == [DeliveryStatus.SUCCEEDED]
    body = json.loads(receiver.received[1].body)
    assert body["data"] == {"object": "job", "id": f"job_{job_id.hex}", "status": "succeeded", "gone": True}
    assert receiver.received[0].event_id == receiver.received[1].event_id
    check_events(office.sessions, receiver.received)


def test_a_disabled_endpoint_misses_nothing_that_a_replay_cannot_bring(office: PostOffice) -> None:
    with receiving() as receiver:
        endpoint = office.register(receiver.url)
        office.job()
        with office.sessions.begin() as session:
            disable(session, find_endpoint(session, office.client_id, endpoint.id, lock=True))
        office.job()
        assert office.send_due() == []
        assert [delivery.status for delivery in office.deliveries()] == ["canceled"]
        with office.sessions.begin() as session:
            found = find_endpoint(session, office.client_id, endpoint.id, lock=True)
            enable(found)
            session.flush()
            replay(session, found, since=now() - dt.timedelta(hours=1), until=now() + dt.timedelta(seconds=1))
        assert office.send_due() == [DeliveryStatus.SUCCEEDED] * 2
    check_events(office.sessions, receiver.received)


def test_nobody_listening_costs_no_event(office: PostOffice) -> None:
    office.job(3)
    assert office.events() == []
    assert office.deliveries() == []


def test_urls_of_jobs_that_differ_in_their_query_share_an_endpoint_and_keep_their_query(office: PostOffice) -> None:
    with receiving() as receiver:
        for number in range(3):
            office.job(webhook=office.webhook(f"{receiver.url}?form={number}"))
        assert office.send_due() == [DeliveryStatus.SUCCEEDED] * 3
    assert {received.path for received in receiver.received} == {f"/hook?form={number}" for number in range(3)}
    assert len({delivery.endpoint_id for delivery in office.deliveries()}) == 1


def test_a_client_with_many_endpoints_leaves_half_of_the_places_to_others(office: PostOffice) -> None:
    small = office.with_policy(max_in_flight=8)
    for number in range(5):
        office.register(f"http://127.0.0.1:9/{number}")
    for _ in range(4):
        office.job()
    other = office.scenario.client("another")
    office.register("http://127.0.0.1:9/other", client_id=other)
    office.scenario.submit(other)
    office.scenario.drain()
    with office.sessions.begin() as session:
        claimed = claim_deliveries(session, small.policy, limit=8)
        assert len(claimed) == 5
        assert claim_deliveries(session, small.policy, limit=8) == []
    assert {delivery.endpoint_id for delivery in claimed} & {
        delivery.endpoint_id for delivery in office.deliveries(client_id=other)
    }
