"""Rows A50 and B58, and TLS: where an attempt really connects to, with a real name server and real certificates."""

import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from sqlalchemy import text

from core.webhooks.registration import check_url
from core.words import DeliveryStatus
from tests.integration.webhooks.conftest import PostOffice
from tests.integration.webhooks.name_server import name_server
from tests.integration.webhooks.receiver import receiving
from tests.servers import unavailable

NAME = "forms.example"
_FORGET = text("DELETE FROM webhook_endpoints")


def attempt_to(office: PostOffice, url: str) -> str | None:
    """Make one attempt to a URL and return its error code."""
    office.register(url)
    office.job()
    office.send_due()
    return office.deliveries()[0].error_code


def test_a_name_is_resolved_once_and_connected_to_there(office: PostOffice) -> None:
    with receiving() as receiver, name_server({NAME: ["127.0.0.1"]}) as names:
        own = office.with_policy(nameservers=(names.address,))
        assert attempt_to(own, f"http://{NAME}:{receiver.port}/hook") is None
    assert receiver.received[0].headers["host"] == f"{NAME}:{receiver.port}"
    assert names.questions.count(f"{NAME} A") == 1


def test_a_name_that_turns_inward_after_it_was_registered_is_refused(office: PostOffice) -> None:
    answers = [["93.184.215.14"], ["127.0.0.1"]]
    with receiving() as receiver, name_server({NAME: answers}) as names:
        closed = office.with_policy(nameservers=(names.address,), allowed_networks=())
        url = f"http://{NAME}:{receiver.port}/hook"
        check_url(url, closed.policy, closed.resolve, pointer="/url", timeout_seconds=5)
        assert attempt_to(closed, url) == "url_not_allowed"
    assert receiver.received == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has all of 127.0.0.0/8 without being told")
def test_an_attempt_connects_to_the_address_that_was_checked_whatever_the_name_says_next(office: PostOffice) -> None:
    answers = [["127.0.0.2"], ["127.0.0.1"]]
    with (
        receiving(host="127.0.0.2") as checked,
        receiving(port=checked.port) as inside,
        name_server({NAME: answers}) as names,
    ):
        own = office.with_policy(nameservers=(names.address,), allowed_networks=[ip_network("127.0.0.2/32")])
        assert attempt_to(own, f"http://{NAME}:{checked.port}/hook") is None
        assert own.resolve(NAME, 5) == [ip_address("127.0.0.1")]  # who asks again is led astray
    assert (len(checked.received), inside.received) == (1, [])


def test_a_name_with_one_denied_address_among_good_ones_is_refused(office: PostOffice) -> None:
    with receiving() as receiver, name_server({NAME: ["127.0.0.1", "fd00::1"]}) as names:
        own = office.with_policy(nameservers=(names.address,))
        assert attempt_to(own, f"http://{NAME}:{receiver.port}/hook") == "url_not_allowed"
    assert receiver.received == []


def test_a_url_that_is_no_longer_allowed_is_not_connected_to(office: PostOffice) -> None:
    with receiving() as receiver:
        assert attempt_to(office.with_policy(allowed_networks=()), receiver.url) == "url_not_allowed"
    assert receiver.received == []


def test_an_unknown_name_and_a_silent_name_server_are_failures_in_time(office: PostOffice) -> None:
    with name_server({}) as names:
        own = office.with_policy(nameservers=(names.address,), connect_seconds=0.5)
        assert attempt_to(own, "http://unknown.example/") == "name_not_found"
        names.is_silent = True
        office.travel(600)
        assert own.send_due() == [DeliveryStatus.FAILED]
    (_, second, _) = office.deliveries()
    assert second.error_code == "name_server_silent"
    assert 400 <= (second.duration_ms or 0) < 3_000


def test_proxies_of_the_environment_have_no_say(office: PostOffice, monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as proxy, receiving() as receiver:
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert attempt_to(office, receiver.url) is None
    assert (len(proxy.received), len(receiver.received)) == (0, 1)


def test_a_port_on_which_nobody_listens_is_a_failed_connection(office: PostOffice) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        assert attempt_to(office, f"http://127.0.0.1:{unused.getsockname()[1]}/") == "connection_failed"


def test_what_is_not_http_is_an_invalid_response(office: PostOffice) -> None:
    def babble(handler) -> None:
        handler.wfile.write(b"220 mail.example ESMTP\r\n" * 10)

    with receiving(babble) as receiver:
        assert attempt_to(office, receiver.url) == "invalid_response"


def test_the_peer_s_certificate_and_name_are_verified(office: PostOffice, certificates: "Certificates") -> None:
    with tls_receiving(certificates, NAME) as port, name_server({NAME: ["127.0.0.1"], "x.example": ["127.0.0.1"]}) as n:
        trusting = office.with_policy(nameservers=(n.address,), ca_file=certificates.authority)
        assert attempt_to(trusting, f"https://{NAME}:{port}/hook") is None
        for url, policy in ((f"https://x.example:{port}/hook", trusting), (f"https://{NAME}:{port}/hook", None)):
            own = policy or office.with_policy(nameservers=(n.address,))
            with office.sessions.begin() as session:
                session.execute(_FORGET)
            assert attempt_to(own, url) == "tls_failed"


def test_a_receiver_that_stalls_the_handshake_is_left_in_time(office: PostOffice) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        own = office.with_policy(connect_seconds=0.5)
        assert attempt_to(own, f"https://127.0.0.1:{mute.getsockname()[1]}/") == "timeout"
    assert (office.deliveries()[0].duration_ms or 0) < 2_000


class Certificates:
    """An authority of the test's own, and a certificate for one name."""

    def __init__(self, folder: Path) -> None:
        self.authority = folder / "authority.pem"
        self.chain = folder / "server.pem"
        key, request = folder / "server.key", folder / "server.csr"
        self.key = key
        extension = folder / "extension"
        extension.write_text(f"subjectAltName=DNS:{NAME}\n")
        _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                 "-subj", "/CN=authority", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
                 "-keyout", folder / "authority.key", "-out", self.authority)  # fmt: skip
        _openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={NAME}",
                 "-keyout", key, "-out", request)  # fmt: skip
        _openssl("x509", "-req", "-in", request, "-CA", self.authority, "-CAkey", folder / "authority.key", "-days",
                 "2", "-CAcreateserial", "-extfile", extension, "-out", self.chain)  # fmt: skip


def _openssl(*words: str | Path) -> None:
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True, timeout=30)


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    if shutil.which("openssl") is None:
        unavailable("needs the openssl command")
    return Certificates(tmp_path)


@contextmanager
def tls_receiving(certificates: Certificates, expected_name: str) -> Iterator[int]:
    """Run a receiver under TLS that answers 200 to whoever asks it for the right name by SNI."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.chain, certificates.key)
    names: list[str | None] = []
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.1)
    is_closing = threading.Event()

    def serve() -> None:
        while not is_closing.is_set():
            try:
                plain, _ = listener.accept()
                plain.settimeout(5)
                with context.wrap_socket(plain, server_side=True) as secure:
                    request = b""
                    while b"}}" not in request and not (request[:4] == b"GET " and b"\r\n\r\n" in request):
                        request += secure.recv(65_536)
                    secure.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            except OSError:
                continue

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        is_closing.set()
        thread.join(5)
        listener.close()
    assert names[0] == expected_name
