"""One HTTP exchange with a server that a client has named: at a checked address, within a deadline, without redirects.

No proxy has a say, for none is ever asked: the socket is our own.
"""

import http.client
import ssl
from collections.abc import Mapping

from core.settings import Webhooks
from core.webhooks.resolving import Resolver, allowed_addresses
from core.webhooks.timed_sockets import Deadline, TimedSocket, TimedTlsSocket, connect, create_tls_context
from core.webhooks.urls import Target

_MOST_ADDRESSES = 3


class Connector:
    """Connects to where a URL leads, if that is allowed; safe to share between threads."""

    def __init__(self, policy: Webhooks, resolve: Resolver) -> None:
        self._policy = policy
        self._resolve = resolve
        self._tls = create_tls_context(str(policy.ca_file) if policy.ca_file else None)

    def connect(self, target: Target, whole: Deadline, max_read_bytes: int) -> TimedSocket | TimedTlsSocket:
        """Resolve, check and connect to one of the addresses, in their order; the budget to connect is for all of them.

        Raises:
            UrlNotAllowed: an address is denied.
            NameNotFound, TimeoutError, ssl.SSLError, OSError: it did not come to that.
        """
        looking_up = whole.left(self._policy.connect_seconds)
        addresses = allowed_addresses(target, self._policy, self._resolve, looking_up)
        connecting = whole.sooner(self._policy.connect_seconds)
        tried = addresses[:_MOST_ADDRESSES]
        for number, address in enumerate(tried):
            share = connecting.left() / (len(tried) - number)
            try:
                return connect(
                    address,
                    target.port,
                    tls=self._tls if target.scheme == "https" else None,
                    name=target.host,
                    connecting=connecting.sooner(share),
                    whole=whole,
                    max_read_bytes=max_read_bytes,
                )
            except ssl.SSLCertVerificationError:
                raise
            except OSError:
                if number + 1 == len(tried):
                    raise
        raise ConnectionError  # never: there is at least one address


def exchange(
    own: TimedSocket | TimedTlsSocket,
    target: Target,
    method: str,
    headers: Mapping[str, str],
    body: bytes | None = None,
) -> http.client.HTTPResponse:
    """Send one request over a connection and return the answer, its head read and its body to come.

    Raises:
        http.client.HTTPException, OSError: there was no answer, or not one of HTTP.
    """
    connection = http.client.HTTPConnection(target.host, target.port)
    connection.sock = own
    connection.auto_open = 0
    connection.putrequest(method, target.path, skip_host=True, skip_accept_encoding=True)
    ours = {"Host": target.host_header, "Accept-Encoding": "identity", "Connection": "close"}
    for name, value in {**ours, **headers}.items():
        connection.putheader(name, value)
    connection.endheaders(body)
    return connection.getresponse()
