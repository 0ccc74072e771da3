"""What receivers see: the examples, our own commands and two public verifiers, each of a real delivery."""

import sys
import time
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner
from openai import OpenAI
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from cli.local.ports import free_port
from cli.main import main
from core.webhooks.signing import new_secret, secret_text
from core.words import DeliveryStatus
from tests.example_receivers import EXAMPLES, installed_node_receiver, listening
from tests.integration.webhooks.conftest import PostOffice
from tests.integration.webhooks.receiver import receiving
from tests.processes import RealProcess
from tests.waiting import eventually


@pytest.fixture
def node_receiver(tmp_path: Path) -> Path:
    return installed_node_receiver(tmp_path)


def check_receiver(office: PostOffice, process: RealProcess, url: str, secret: bytes) -> None:
    office.register(url, secret=secret)
    stranger = office.register(url)  # signs with a secret that the receiver does not know
    job_id = office.job()
    outcomes = office.send_due()
    assert sorted(outcomes) == [DeliveryStatus.FAILED, DeliveryStatus.SUCCEEDED]
    (refused,) = office.deliveries(status="failed")
    assert (refused.endpoint_id, refused.response_status) == (stranger.id, 400)
    eventually(lambda: f"job_{job_id.hex}" in process.output())
    assert "job.succeeded" in process.output()


@pytest.mark.parametrize("name", ["flask_receiver.py", "fastapi_receiver.py"])
def test_the_python_examples_verify_a_delivery_and_refuse_a_forged_one(
    office: PostOffice, tmp_path: Path, name: str
) -> None:
    secret, port = new_secret(), free_port()
    with listening([sys.executable, str(EXAMPLES / name)], port, secret, tmp_path / "log") as process:
        check_receiver(office, process, f"http://127.0.0.1:{port}/", secret)


def test_the_node_example_verifies_a_delivery_and_refuses_a_forged_one(
    office: PostOffice, tmp_path: Path, node_receiver: Path
) -> None:
    secret, port = new_secret(), free_port()
    with listening(["node", str(node_receiver)], port, secret, tmp_path / "log") as process:
        check_receiver(office, process, f"http://127.0.0.1:{port}/", secret)


def test_our_own_listener_verifies_and_prints(office: PostOffice, tmp_path: Path) -> None:
    secret, port = new_secret(), free_port()
    command = [sys.executable, "-m", "cli", "webhooks", "listen", "--port", str(port), "--json"]
    with listening(command, port, secret, tmp_path / "log") as process:
        check_receiver(office, process, f"http://127.0.0.1:{port}/", secret)
        assert '"is_verified": true' in process.output()
        assert '"is_verified": false' in process.output()


def test_our_own_listener_tells_people_what_it_refuses(tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "cli", "webhooks", "listen", "--port", str(port)]
    with listening(command, port, new_secret(), tmp_path / "log") as process:
        url = f"http://127.0.0.1:{port}/"
        assert httpx.get(url).status_code == 405
        assert httpx.post(url, content=b"not JSON").status_code == 400
        assert httpx.post(url, json={"a": 1}, headers={"webhook-id": "evt_1"}).status_code == 400
        eventually(lambda: "evt_1 refused: The header webhook-timestamp is missing." in process.output())
        assert "(no webhook-id) refused: The header webhook-id is missing." in process.output()
        assert "null" not in process.output()


def test_two_public_verifiers_and_our_own_accept_a_delivery(office: PostOffice, tmp_path: Path) -> None:
    with receiving() as receiver:
        secret = office.register(receiver.url).secret or b""
        office.job(client_reference="Müller")
        office.send_due()
    (received,) = receiver.received
    assert abs(time.time() - int(received.headers["webhook-timestamp"])) < 60
    Webhook(secret_text(secret)).verify(received.body, received.headers)
    OpenAI(api_key="none", webhook_secret=secret_text(secret)).webhooks.verify_signature(
        received.body, received.headers
    )
    with pytest.raises(WebhookVerificationError):
        Webhook(secret_text(secret)).verify(received.body + b" ", received.headers)
    kept = tmp_path / "body.json"
    kept.write_bytes(received.body)
    words = ["webhooks", "verify", "--id", received.event_id, "--timestamp", received.headers["webhook-timestamp"]]
    words += ["--signature", received.headers["webhook-signature"], str(kept)]
    environment = {"INKPOST_WEBHOOK_SECRET": secret_text(secret)}
    assert CliRunner().invoke(main, words, env=environment).exit_code == 0
    kept.write_bytes(received.body + b" ")
    refused = CliRunner().invoke(main, words, env=environment)
    assert refused.exit_code == 1
    assert "No signature fits" in refused.output
    assert CliRunner().invoke(main, words, env={"INKPOST_WEBHOOK_SECRET": ""}).exit_code == 2
