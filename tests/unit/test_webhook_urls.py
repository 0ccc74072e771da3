"""Which URLs and addresses a webhook may go to, with and without the operator's leave."""

import ipaddress
import socket
import threading

import pytest

from core.settings import Webhooks
from core.webhooks.addresses import is_allowed
from core.webhooks.resolving import NameServerSilent, SystemResolver
from core.webhooks.schedule import MOST_ATTEMPTS, PAUSES_SECONDS, pause_after
from core.webhooks.urls import UrlNotAllowed, parse_url

DENIED = """
0.0.0.0 0.1.2.3 10.0.0.1 100.64.0.1 127.0.0.1 127.255.255.254 169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.8
192.0.2.1 192.88.99.1 192.168.1.1 198.18.0.1 198.51.100.7 203.0.113.9 224.0.0.1 239.255.255.250 240.0.0.1
255.255.255.255 168.63.129.16
:: ::1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::7f00:1 64:ff9b::7f00:1 64:ff9b:1::1 100::1 2001::1 2001:2::1 2001:10::1
2001:20::1 2001:db8::1 2002:7f00:1:: 2002:5db8:d822::1 3fff::1 5f00::1 fc00::1 fd00:ec2::254 fe80::1 fec0::1 ff02::1
"""
PUBLIC = "1.1.1.1 93.184.215.14 172.15.0.1 172.32.0.1 192.0.1.1 168.63.129.17 2606:2800:220:1::1 2a00:1450::1"

# What urllib, the C library and browsers read differently; none of it may lead past the check.
READ_IN_TWO_WAYS = """
https://0177.0.0.1/ https://0x7f.0x1/ https://127.0.0.1./ https://127.0.0.1../ https://1.2.3/ https://1.2.3.4.5/
https://a.1/ https://a.0x7f/ https://[::1]./ https://[::1%25lo]/ https://[fe80::1%25eth0]/
https://[2606:2800:220:1::1%25eth0]/ https://[::ffff:93.184.215.14%25eth0]/ https://[v1.x]/ https://[127.0.0.1]/
https://[::ffff:7f00:1]/ https://[::ffff:0:127.0.0.1]/ https://127.0.0.1%2f.example.com/
https://example.com\\@127.0.0.1/ https://example.com#@127.0.0.1/ https://127.0.0.1?.example.com/
https://127.0.0.1;.example.com/ https://1.1.1.1:443:80/ https://a.com:99999/ https://a.com:-1/ https://a.com:0/
https://a.com:\N{ARABIC-INDIC DIGIT ONE}/ https://1\N{IDEOGRAPHIC FULL STOP}1.1.1/ https:/a.com https:a.com
//a.com/ https://-a.com/ https://a_b.com/ https://foo.localhost/ https://metadata/ https://a.lan/
"""


@pytest.mark.parametrize("text", DENIED.split())
def test_no_address_that_leads_inward_or_nowhere_is_allowed(text: str) -> None:
    assert not is_allowed(ipaddress.ip_address(text), ())


@pytest.mark.parametrize("text", PUBLIC.split())
def test_public_addresses_are_allowed(text: str) -> None:
    assert is_allowed(ipaddress.ip_address(text), ())


def test_an_operator_opens_an_intranet_on_purpose() -> None:
    intranet = (ipaddress.ip_network("10.1.0.0/16"), ipaddress.ip_network("fd00:1::/32"))
    assert is_allowed(ipaddress.ip_address("10.1.2.3"), intranet)
    assert is_allowed(ipaddress.ip_address("::ffff:10.1.2.3"), intranet)
    assert is_allowed(ipaddress.ip_address("fd00:1::5"), intranet)
    assert not is_allowed(ipaddress.ip_address("10.2.0.1"), intranet)
    assert not is_allowed(ipaddress.ip_address("127.0.0.1"), intranet)


def test_http_needs_the_operator_s_leave() -> None:
    with pytest.raises(UrlNotAllowed):
        parse_url("http://example.com/", Webhooks())
    assert parse_url("http://example.com/", Webhooks(allow_http=True)).port == 80


def test_a_name_inside_an_opened_intranet_is_judged_by_its_address() -> None:
    for url in ("https://receiver:8443/", "https://forms.internal/"):
        with pytest.raises(UrlNotAllowed):
            parse_url(url, Webhooks())
        parse_url(url, Webhooks(allowed_networks=(ipaddress.IPv4Network("10.1.0.0/16"),)))


@pytest.mark.parametrize(
    ("url", "host", "port", "path", "host_header"),
    [
        ("https://EXAMPLE.com", "example.com", 443, "/", "example.com"),
        ("https://example.com./a?b=c", "example.com", 443, "/a?b=c", "example.com"),
        ("https://example.com:8443/%20", "example.com", 8443, "/%20", "example.com:8443"),
        ("https://[2606:2800:220:1::1]:8443/", "2606:2800:220:1::1", 8443, "/", "[2606:2800:220:1::1]:8443"),
        ("https://xn--mller-kva.example/", "xn--mller-kva.example", 443, "/", "xn--mller-kva.example"),
    ],
)
def test_a_good_url_is_taken_apart(url: str, host: str, port: int, path: str, host_header: str) -> None:
    target = parse_url(url, Webhooks())
    assert (target.host, target.port, target.path, target.host_header) == (host, port, path, host_header)


@pytest.mark.parametrize("url", READ_IN_TWO_WAYS.split())
def test_a_url_that_can_be_read_in_two_ways_is_refused(url: str) -> None:
    with pytest.raises(UrlNotAllowed):
        parse_url(url, Webhooks(allow_http=True, allowed_ports=()))


def test_pauses_grow_to_a_day_and_end() -> None:
    pauses = [pause_after(attempt, None, chance=0.5) for attempt in range(1, MOST_ATTEMPTS)]
    assert pauses == list(PAUSES_SECONDS)
    assert pause_after(MOST_ATTEMPTS, None) is None
    assert [pause_after(1, None, chance=chance) for chance in (0.0, 1.0)] == [4.0, 6.0]


def test_the_defaults_are_what_is_promised() -> None:
    policy = Webhooks()
    assert (policy.attempt_seconds, policy.connect_seconds) == (15, 3)
    assert (policy.max_in_flight_per_endpoint, policy.secret_overlap_seconds) == (4, 86_400)
    assert policy.give_up_seconds == 5 * 86_400
    minute, hour = 60, 3_600
    assert list(PAUSES_SECONDS) == [5, 5 * minute, 30 * minute, *(n * hour for n in (2, 5, 10, 14, 20, 24))]


def test_retry_after_lengthens_a_pause_to_a_day_at_most() -> None:
    assert pause_after(1, 7.0, chance=0.5) == 7.0
    assert pause_after(2, 7.0, chance=0.5) == 300.0
    assert pause_after(1, 1e9, chance=0.5) == 86_400.0


def test_a_resolver_that_hangs_is_left_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    is_over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: is_over.wait(30) and [])
    resolve = SystemResolver()
    try:
        with pytest.raises(NameServerSilent):
            resolve("forms.example", 0.05)
    finally:
        is_over.set()


def test_the_machine_s_own_resolver_is_asked() -> None:
    assert ipaddress.ip_address("127.0.0.1") in SystemResolver()("localhost", 5.0)
