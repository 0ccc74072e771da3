"""Images that a call names by URL: fetched only where the operator allows it, through the guard of the webhooks."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
from pydantic import SecretStr
from werkzeug.test import TestResponse

from cli.local.redis import LocalRedis
from core.settings import Leases, Limits, OpenAI, Settings, Webhooks, Worker
from tests.integration.api.conftest import open_facade
from tests.integration.openai.conftest import Place, asking, data_uri, picture, serving
from tests.integration.openai.test_batches import answers, ended, started
from tests.integration.webhooks.name_server import name_server
from tests.integration.webhooks.receiver import Answer, drip, hang, receiving, status
from tests.integration.webhooks.test_addresses import (  # noqa: F401 - a fixture is found by name here
    NAME,
    Certificates,
    certificates,
    tls_receiving,
)
from tests.processes import WebhooksProcess, WorkerProcess
from tests.servers import TemplatedPostgres

LOCAL = Webhooks(allow_http=True, allowed_ports=(), allowed_networks=["127.0.0.0/8"])  # type: ignore[arg-type]
PARAM = "messages[0].content[0].image_url.url"
GENERIC = "This URL is not allowed: it must be https at a public address."


def naming(*urls: str) -> list[dict[str, object]]:
    """The messages that ask for the images behind URLs."""
    return [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}} for url in urls]}]


def image(png: bytes) -> Answer:
    return status(200, {"Content-Type": "application/octet-stream"}, png)


def asked(settings: Settings, *urls: str, webhooks: Webhooks = LOCAL, **own: object) -> TestResponse:
    """Ask an API that fetches for the images behind URLs, where nobody reads."""
    changes = {"webhooks": webhooks, "openai": OpenAI(**{"fetch_images": True, "answer_seconds": 0.1, **own})}
    with open_facade(settings.model_copy(update=changes)) as facade:
        return facade.caller("POST", "/v1/chat/completions", json={"model": "fake", "messages": naming(*urls)})


def told(answer: TestResponse) -> tuple[int, str, str]:
    error = answer.json["error"]
    return answer.status_code, error["code"], error["param"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("image-urls")


@pytest.fixture(scope="module")
def place(postgres: TemplatedPostgres, redis_server: LocalRedis, folder: Path) -> Iterator[Place]:
    """Give a service that fetches images from this machine, with every worker."""
    with postgres.fresh_database() as url:
        settings = Settings(
            database_url=SecretStr(url),
            redis_url=SecretStr(redis_server.url),
            default_model="fake",
            leases=Leases(seconds=3.0, sweep_seconds=0.5),
            worker=Worker(model="fake"),
            webhooks=LOCAL,
            openai=OpenAI(fetch_images=True),
        )
        with WorkerProcess(settings, folder), WebhooksProcess(settings, folder), serving(settings, folder) as service:
            yield service


def test_images_behind_urls_are_read_among_others_and_in_order(client: openai.OpenAI, folder: Path) -> None:
    first, second, third = picture(), picture(), picture()
    with receiving(image(first.png), image(third.png)) as server:
        messages = naming(f"{server.url}?signature=hidden", data_uri(second.png), server.url)
        answer = client.chat.completions.create(model="fake", messages=messages)
    assert answer.choices[0].message.content == f"{first.text}\n{second.text}\n{third.text}"
    headers = server.received[0].headers
    assert server.received[0].path == "/hook?signature=hidden"
    assert headers["host"] == f"127.0.0.1:{server.port}"
    assert headers["accept-encoding"] == "identity"
    assert not {"authorization", "cookie", "x-request-id"} & set(headers)
    assert "hidden" not in "".join(log.read_text() for log in folder.glob("api-*.log"))


def test_a_response_reads_an_image_behind_a_url_too(client: openai.OpenAI) -> None:
    one = picture()
    with receiving(image(one.png)) as server:
        parts = [{"type": "input_image", "image_url": server.url, "detail": "auto"}]
        answer = client.responses.create(model="fake", input=[{"role": "user", "content": parts}])
    assert answer.output_text == one.text


def test_the_same_call_again_finds_its_job_and_fetches_nothing(client: openai.OpenAI) -> None:
    with receiving(image(picture().png), status(403)) as server:
        first = client.chat.completions.create(model="fake", messages=naming(server.url))
        again = client.chat.completions.create(model="fake", messages=naming(server.url))
    assert again.id == first.id
    assert len(server.received) == 1


def test_a_model_that_nobody_serves_costs_no_fetch(client: openai.OpenAI) -> None:
    with receiving() as server, pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="gpt-4o", messages=naming(server.url))
    assert server.received == []


def test_a_url_in_a_batch_is_refused_and_not_fetched(client: openai.OpenAI) -> None:
    with receiving() as server:
        bodies = [{"model": "fake", "messages": naming(server.url)}, {"model": "fake", "messages": asking(picture())}]
        lines = [
            {"custom_id": str(number), "method": "POST", "url": "/v1/chat/completions", "body": body}
            for number, body in enumerate(bodies)
        ]
        done = ended(client, started(client, *lines))
    assert (done.request_counts.completed, done.request_counts.failed) == (1, 1)
    refused = answers(client, done.error_file_id)["0"]["response"]["body"]["error"]
    assert (refused["code"], refused["param"]) == ("image_url_not_allowed", PARAM)
    assert server.received == []


def test_without_the_operator_s_leave_nothing_is_fetched(settings: Settings) -> None:
    with receiving() as server:
        answer = asked(settings, server.url, fetch_images=False)
    assert told(answer) == (422, "image_url_not_allowed", PARAM)
    assert "not fetched" in answer.json["error"]["message"]
    assert server.received == []


def test_every_address_that_is_refused_gets_the_same_sentence_and_no_connection(settings: Settings) -> None:
    closed = Webhooks(allow_http=True, allowed_ports=())
    with socket.create_server(("127.0.0.1", 0)) as listener, name_server({
        "inward.example": ["127.0.0.1"],
        "mixed.example": ["93.184.215.14", "127.0.0.1"],
    }) as names:  # fmt: skip
        listener.setblocking(False)
        port = listener.getsockname()[1]
        policy = closed.model_copy(update={"nameservers": (names.address,)})
        hosts = ["127.0.0.1", "169.254.169.254", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "localhost"]
        for host in (*hosts, "inward.example", "mixed.example", "unknown.example"):
            answer = asked(settings, f"http://{host}:{port}/a.png", webhooks=policy)
            assert told(answer) == (422, "image_url_not_allowed", PARAM), host
            assert answer.json["error"]["message"] == GENERIC
        with pytest.raises(BlockingIOError):
            listener.accept()


@pytest.mark.parametrize("url", ["http://example.org/a.png", "https://u:p@example.org/", "https://example.org:25/"])
def test_the_rules_of_webhooks_hold_for_the_form_of_a_url(settings: Settings, url: str) -> None:
    assert told(asked(settings, url, webhooks=Webhooks())) == (422, "image_url_not_allowed", PARAM)


def test_a_name_server_that_is_silent_is_left_in_time(settings: Settings) -> None:
    with name_server({}) as names:
        names.is_silent = True
        policy = LOCAL.model_copy(update={"nameservers": (names.address,), "connect_seconds": 0.3})
        assert told(asked(settings, "http://a.example/", webhooks=policy)) == (422, "image_not_fetched", PARAM)


def test_a_redirect_is_not_followed(settings: Settings) -> None:
    with receiving(image(picture().png)) as aim, receiving(status(302, {"Location": aim.url})) as server:
        answer = asked(settings, server.url)
    assert told(answer) == (422, "image_not_fetched", PARAM)
    assert (len(server.received), aim.received) == (1, [])


def _short(handler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + picture().png[:100])


def _babble(handler) -> None:
    handler.wfile.write(b"220 mail.example ESMTP\r\n" * 10)


def _dripping_body(handler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while not handler.server.is_closing.wait(0.05):
        handler.wfile.write(b"a")


@pytest.mark.parametrize(
    "answer", [status(404), status(500), status(204), status(206, body=picture().png), _short, _babble,
               status(200, {"Content-Encoding": "gzip"}, picture().png)]
)  # fmt: skip
def test_what_is_not_the_image_as_it_is_is_not_fetched(settings: Settings, answer: Answer) -> None:
    with receiving(answer) as server:
        assert told(asked(settings, server.url)) == (422, "image_not_fetched", PARAM)


@pytest.mark.parametrize("answer", [hang, drip, _dripping_body])
def test_a_server_that_takes_its_time_is_left_when_the_budget_is_spent(settings: Settings, answer: Answer) -> None:
    with receiving(answer) as server:
        failure = asked(settings, server.url, fetch_seconds=0.5)
    assert told(failure) == (422, "image_not_fetched", PARAM)
    assert "in time" in failure.json["error"]["message"]


def test_nobody_who_listens_and_nobody_who_speaks_tls_is_an_error(settings: Settings) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/"
        assert told(asked(settings, url)) == (422, "image_not_fetched", PARAM)
    with receiving() as server:
        url = server.url.replace("http:", "https:")
        assert told(asked(settings, url)) == (422, "image_not_fetched", PARAM)
    assert server.received == []


def test_the_server_of_an_image_must_prove_its_name(settings: Settings, certificates: Certificates) -> None:  # noqa: F811
    known = {NAME: ["127.0.0.1"], "x.example": ["127.0.0.1"]}
    with tls_receiving(certificates, NAME) as port, name_server(known) as names:
        policy = LOCAL.model_copy(update={"nameservers": (names.address,)})
        trusting = policy.model_copy(update={"ca_file": certificates.authority})
        reached = asked(settings, f"https://{NAME}:{port}/", webhooks=trusting)
        assert told(reached) == (422, "unsupported_image_format", PARAM)  # its empty answer
        for name, own in (("x.example", trusting), (NAME, policy)):
            failed = asked(settings, f"https://{name}:{port}/", webhooks=own)
            assert told(failed) == (422, "image_not_fetched", PARAM)
            assert "TLS" in failed.json["error"]["message"]


def _says_much(handler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n")
    handler.server.is_closing.wait(30)


def _sends_much(handler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while not handler.server.is_closing.is_set():
        handler.wfile.write(b"a" * 1024)


def _long_chunks(handler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while not handler.server.is_closing.is_set():
        handler.wfile.write(b"400\r\n" + b"a" * 1024 + b"\r\n")


@pytest.mark.parametrize("answer", [_says_much, _sends_much, _long_chunks])
def test_an_image_that_is_too_large_is_not_read_to_its_end(settings: Settings, answer: Answer) -> None:
    small = settings.model_copy(update={"limits": Limits(max_image_bytes=4_096)})
    with receiving(answer) as server:
        assert told(asked(small, server.url)) == (413, "image_too_large", PARAM)


def test_all_images_of_a_call_together_are_no_larger_than_a_body(settings: Settings) -> None:
    own = settings.model_copy(update={"limits": Limits(max_body_bytes=2_000)})
    with receiving(*(image(picture().png) for _ in range(2))) as server:
        answer = asked(own, server.url, server.url)
    assert told(answer) == (413, "image_too_large", PARAM.replace("content[0]", "content[1]"))


def test_bytes_that_are_no_image_are_refused_like_any(settings: Settings) -> None:
    with receiving(status(200, {"Content-Type": "image/png"}, b"<html></html>")) as server:
        assert told(asked(settings, server.url)) == (422, "unsupported_image_format", PARAM)


def test_more_images_than_are_fetched_are_refused_before_the_first(settings: Settings) -> None:
    with receiving() as server:
        answer = asked(settings, *[server.url] * 3, max_fetched_images=2)
    assert told(answer) == (422, "too_many", PARAM.replace("content[0]", "content[2]"))
    assert server.received == []


def test_a_bad_image_in_the_body_is_told_before_anything_is_fetched(settings: Settings) -> None:
    with receiving() as server:
        answer = asked(settings, server.url, "data:image/png;base64,AAAA")
    assert told(answer) == (422, "unsupported_image_format", PARAM.replace("content[0]", "content[1]"))
    assert server.received == []


def test_calls_beyond_those_that_may_fetch_are_told_to_come_again(settings: Settings) -> None:
    changes = {"webhooks": LOCAL, "openai": OpenAI(fetch_images=True, answer_seconds=0.1)}
    with open_facade(settings.model_copy(update=changes)) as facade, receiving() as server:
        free = facade.app.extensions["inkpost"].image_urls._free
        taken = 0
        while free.acquire(blocking=False):
            taken += 1
        body = json.dumps({"model": "fake", "messages": naming(server.url)})
        answer = facade.caller("POST", "/v1/chat/completions", data=body, content_type="application/json")
    assert taken == settings.api.threads // 8
    assert (answer.status_code, answer.json["error"]["code"]) == (503, "overloaded")
    assert answer.headers["Retry-After"]
    assert server.received == []
