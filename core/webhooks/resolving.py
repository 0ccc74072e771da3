"""From a host name to addresses that a webhook may be sent to, within a deadline.

Every answer counts: when one of them is denied the name is refused, so that an attacker cannot hide a private address
behind a public one. The caller connects to an address returned here and never resolves again.
"""

import ipaddress
import queue
import socket
import threading
from collections.abc import Callable, Sequence

import dns.exception
import dns.rdatatype
import dns.resolver

from core.settings import Webhooks
from core.webhooks.addresses import Address, is_allowed
from core.webhooks.urls import NOT_ALLOWED, Target, UrlNotAllowed

Resolver = Callable[[str, float], Sequence[Address]]
_MOST_LOOKUPS = 64


class NameNotFound(LookupError):
    """The name has no address."""


class NameServerSilent(TimeoutError):
    """The name could not be looked up now."""


def create_resolver(policy: Webhooks) -> Resolver:
    """Return the resolver that the settings ask for."""
    return _NameServers(policy.nameservers) if policy.nameservers else SystemResolver()


def allowed_addresses(target: Target, policy: Webhooks, resolve: Resolver, timeout_seconds: float) -> list[Address]:
    """Return the addresses of a target, all of them allowed.

    Raises:
        UrlNotAllowed: an address is denied.
        NameNotFound, NameServerSilent: there is none, or it could not be learned in time.
    """
    addresses = [target.address] if target.address is not None else resolve(target.host, timeout_seconds)
    if not addresses:
        raise NameNotFound(target.host)
    if not all(is_allowed(address, policy.allowed_networks) for address in addresses):
        raise UrlNotAllowed(NOT_ALLOWED)
    return list(dict.fromkeys(addresses))


class SystemResolver:
    """The C library's resolver. It knows no deadline, so it is asked from threads that may be left behind."""

    def __init__(self) -> None:
        self._free = threading.BoundedSemaphore(_MOST_LOOKUPS)

    def __call__(self, host: str, timeout_seconds: float) -> Sequence[Address]:
        """Return the addresses of a host."""
        if not self._free.acquire(timeout=timeout_seconds):
            raise NameServerSilent(host)
        answers: queue.SimpleQueue[list[Address] | OSError] = queue.SimpleQueue()
        threading.Thread(target=self._look_up, args=(host, answers), name="resolver", daemon=True).start()
        try:
            answer = answers.get(timeout=timeout_seconds)
        except queue.Empty:
            raise NameServerSilent(host) from None
        if isinstance(answer, OSError):
            unknown = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}
            raise (NameNotFound if answer.errno in unknown else NameServerSilent)(host)
        return answer

    def _look_up(self, host: str, answers: "queue.SimpleQueue[list[Address] | OSError]") -> None:
        try:
            found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            answers.put([ipaddress.ip_address(entry[4][0]) for entry in found])
        except (OSError, UnicodeError) as error:
            answers.put(error if isinstance(error, OSError) else OSError(socket.EAI_NONAME, host))
        finally:
            self._free.release()


class _NameServers:
    """Name servers of the operator's choice, asked over the network without the machine's own hosts file."""

    def __init__(self, servers: Sequence[str]) -> None:
        self._resolver = dns.resolver.Resolver(configure=False)
        split = [server.rpartition(":") for server in servers]
        self._resolver.nameservers = [host.strip("[]") for host, _, _ in split]
        self._resolver.nameserver_ports = {host.strip("[]"): int(port) for host, _, port in split}
        self._resolver.cache = None

    def __call__(self, host: str, timeout_seconds: float) -> Sequence[Address]:
        """Return the addresses of a host."""
        try:
            answers = self._resolver.resolve_name(host, lifetime=timeout_seconds, search=False)
            return [ipaddress.ip_address(address) for address in answers.addresses()]
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer) as error:
            raise NameNotFound(host) from error
        except dns.exception.DNSException as error:
            raise NameServerSilent(host) from error
