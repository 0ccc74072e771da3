"""What a URL that we are to call may look like, before anybody asks where it leads: a webhook's, or an image's."""

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from core.settings import Webhooks
from core.webhooks.addresses import Address, is_allowed

MAX_URL_LENGTH = 2_048
NOT_ALLOWED = "This URL is not allowed: it must be https at a public address."

_URL = re.compile(r"[!#-\[\]_a-z~]{1,2048}", re.ASCII | re.IGNORECASE)  # printable, without space " \ ^ ` { | }
_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)", re.ASCII)
# Names that lead inward wherever they resolve at all; an operator who allows networks is judged by address alone.
_INWARD_NAMES = ("localhost", "localdomain", "local", "internal", "intranet", "lan", "home.arpa")
_DEFAULT_PORTS = {"https": 443, "http": 80}


class UrlNotAllowed(ValueError):
    """The URL is refused; the message is a sentence for the client."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a URL leads. `address` is set when the host is an address already."""

    scheme: str
    host: str
    port: int
    path: str
    address: Address | None

    @property
    def host_header(self) -> str:
        """The value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


def parse_url(url: str, policy: Webhooks) -> Target:
    """Return where the URL leads, without asking the network.

    Raises:
        UrlNotAllowed: its form, scheme, port or host is refused. Refused addresses all get the same sentence.
    """
    if len(url) > MAX_URL_LENGTH:
        raise UrlNotAllowed(f"The URL has more than {MAX_URL_LENGTH} characters.")
    if not _URL.fullmatch(url):
        raise UrlNotAllowed("The URL must be printable ASCII; write other characters percent-encoded or as xn--.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise UrlNotAllowed("This is not a URL.") from error
    if parts.scheme not in ({"https", "http"} if policy.allow_http else {"https"}):
        raise UrlNotAllowed("The URL must begin with https://.")
    if "@" in parts.netloc or "#" in url:
        raise UrlNotAllowed("The URL must have no user name and no fragment.")
    port = _DEFAULT_PORTS[parts.scheme] if port is None else port
    if port == 0 or (policy.allowed_ports and port not in policy.allowed_ports):
        raise UrlNotAllowed("This port is not allowed.")
    host, address = _host(parts, policy)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, host, port, path, address)


def _host(parts: SplitResult, policy: Webhooks) -> tuple[str, Address | None]:
    host = (parts.hostname or "").removesuffix(".")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        if "[" in parts.netloc:  # [v1.name] is a form of address that nobody uses
            raise UrlNotAllowed(NOT_ALLOWED) from None
        return _name(host, policy), None
    # A zone, fe80::1%eth0, means something on this machine only, and would go into SNI and Host.
    is_zoned = isinstance(address, ipaddress.IPv6Address) and address.scope_id is not None
    if is_zoned or not is_allowed(address, policy.allowed_networks):
        raise UrlNotAllowed(NOT_ALLOWED)
    return host, address


def _name(host: str, policy: Webhooks) -> str:
    labels = host.split(".")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise UrlNotAllowed(NOT_ALLOWED)
    # 127.1, 0x7f.1, 2852039166: what the C library takes for an IPv4 address (WHATWG URL, "ends in a number").
    if labels[-1].isdigit() or re.fullmatch(r"0x[0-9a-f]*", labels[-1]):
        raise UrlNotAllowed(NOT_ALLOWED)
    is_inward = len(labels) == 1 or any(host == name or host.endswith(f".{name}") for name in _INWARD_NAMES)
    if is_inward and not policy.allowed_networks:
        raise UrlNotAllowed(NOT_ALLOWED)
    return host
