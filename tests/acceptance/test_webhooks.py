"""`inkpost up` tells the receivers of `examples/` what became of a job."""

import datetime as dt
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.local.ports import free_port
from core.webhooks.signing import new_secret, secret_text
from tests.example_receivers import EXAMPLES, installed_node_receiver, listening
from tests.running_up import RunningUp
from tests.waiting import eventually

LOCAL_RECEIVERS = {
    "INKPOST_WEBHOOKS__ALLOW_HTTP": "true",
    "INKPOST_WEBHOOKS__ALLOWED_PORTS": "[]",
    "INKPOST_WEBHOOKS__ALLOWED_NETWORKS": '["127.0.0.0/8"]',
}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningUp]:
    folder = tmp_path_factory.mktemp("webhooks") / "data"
    with RunningUp(folder, "--model", "fake", environment=LOCAL_RECEIVERS) as running:
        yield running


def post(service: RunningUp, path: str, **body: Any) -> dict[str, Any]:
    with service.client() as client:
        answer = client.post(path, json=body)
        assert answer.is_success, answer.text
        return dict(answer.json())


@pytest.mark.parametrize("name", ["flask_receiver.py", "receiver.mjs"])
def test_the_example_receivers_are_told_and_believe_it(service: RunningUp, tmp_path: Path, name: str) -> None:
    secret, port = new_secret(), free_port()
    url = f"http://127.0.0.1:{port}/"
    endpoint = post(service, "/v1/webhook-endpoints", url=url, secret=secret_text(secret))
    job_id = service.submit(1)
    service.finished(job_id)  # while the receiver is still down
    command = [sys.executable, str(EXAMPLES / name)]
    if name.endswith(".mjs"):
        command = ["node", str(installed_node_receiver(tmp_path))]
    with listening(command, port, secret, tmp_path / "receiver.log") as receiver:
        eventually(lambda: f"job.succeeded {job_id}" in receiver.output(), 30, "the event never arrived")
        with service.client() as client:
            told = client.get("/v1/deliveries", params={"job_id": job_id, "endpoint_id": endpoint["id"]}).json()["data"]
            eventually(
                lambda: client.get(f"/v1/webhook-endpoints/{endpoint['id']}").json()["deliveries"]["succeeded"] == 1
            )
        assert {delivery["event_id"] for delivery in told} == {told[0]["event_id"]}
        post(service, f"/v1/webhook-endpoints/{endpoint['id']}/test")
        eventually(lambda: "webhook.test" in receiver.output(), 30, "the test never arrived")
    with service.client() as client:
        assert client.delete(f"/v1/webhook-endpoints/{endpoint['id']}").status_code == 204


def test_a_receiver_that_says_gone_is_seen_as_disabled_and_can_be_enabled_by_hand(
    service: RunningUp, tmp_path: Path
) -> None:
    secret, port = new_secret(), free_port()
    command = [sys.executable, "-m", "cli", "webhooks", "listen", "--port", str(port), "--status", "410"]
    with listening(command, port, secret, tmp_path / "listener.log"):
        made = post(service, "/v1/webhook-endpoints", url=f"http://127.0.0.1:{port}/", secret=secret_text(secret))
        path = f"/v1/webhook-endpoints/{made['id']}"
        delivery = post(service, f"{path}/test")

        def disabled() -> dict[str, Any] | None:
            with service.client() as client:
                shown = dict(client.get(path).json())
            return shown if shown["status"] == "disabled" else None

        shown = eventually(disabled)
        assert (shown["disabled_reason"], shown["deliveries"]["exhausted"]) == ("gone", 1)
        with service.client() as client:
            listed = client.get("/v1/deliveries", params={"status": "exhausted", "endpoint_id": made["id"]}).json()[
                "data"
            ]
            assert [(one["id"], one["response_status"]) for one in listed] == [(delivery["id"], 410)]
            assert client.post(f"{path}/test").status_code == 409
    assert post(service, f"{path}/enable")["status"] == "enabled"
    with service.client() as client:
        assert client.delete(path).status_code == 204


def test_a_job_s_own_url_is_told_with_the_client_s_secret(service: RunningUp, tmp_path: Path) -> None:
    secret, port = new_secret(), free_port()
    post(service, "/v1/webhook-secret/rotate", secret=secret_text(secret))
    command = [sys.executable, "-m", "cli", "webhooks", "listen", "--port", str(port), "--json"]
    with listening(command, port, secret, tmp_path / "listener.log") as receiver:
        webhook = {"url": f"http://127.0.0.1:{port}/", "include": "results"}
        job_id = service.submit(2, webhook=webhook)
        eventually(lambda: job_id in receiver.output(), 30, "the event never arrived")
        assert '"is_verified": true' in receiver.output()
        assert '"text": "fake-' in receiver.output()
        since = (dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)).isoformat()
        with service.client() as client:
            (endpoint,) = client.get("/v1/webhook-endpoints").json()["data"]
        path = f"/v1/webhook-endpoints/{endpoint['id']}/replay"
        eventually(lambda: post(service, path, since=since, scope="all")["planned"] == 1)
        eventually(lambda: receiver.output().count(job_id) >= 2 * receiver.output().splitlines()[0].count(job_id))
