"""One attempt: find the receiver, connect to an address that was checked, POST the stored bytes, read a little."""

import email.utils
import http.client
import math
import ssl
import time
from dataclasses import dataclass

import structlog

from core.ids import public_id
from core.settings import Webhooks
from core.webhooks.deliveries import ClaimedDelivery
from core.webhooks.exchanges import Connector, exchange
from core.webhooks.history import EVENT_PREFIX
from core.webhooks.receipts import Receipt
from core.webhooks.resolving import NameNotFound, NameServerSilent, Resolver
from core.webhooks.signing import signed_headers
from core.webhooks.timed_sockets import Deadline, TimedSocket, TimedTlsSocket
from core.webhooks.urls import Target, UrlNotAllowed, parse_url

log = structlog.get_logger(__name__)

MAX_RESPONSE_BYTES = 64 * 1024
KEPT_RESPONSE_BYTES = 1024
_BODY_SECONDS = 2.0  # the head has decided; what follows it is for the history only
USER_AGENT = "inkpost-webhooks/1"


@dataclass(frozen=True, slots=True)
class _Answer:
    """What the receiver said. The first line decides; `start` is the beginning of the body."""

    status: int
    retry_after_seconds: float | None
    start: str


class Sender:
    """Sends deliveries; safe to share between threads."""

    def __init__(self, policy: Webhooks, resolve: Resolver) -> None:
        self._policy = policy
        self._connector = Connector(policy, resolve)

    def send(self, delivery: ClaimedDelivery) -> Receipt:
        """Make one attempt, within its time, and say what became of it. Never raises."""
        started_at = time.monotonic()
        error_code: str | None = None
        answer: _Answer | None = None
        try:
            answer = self._exchange(delivery, Deadline(self._policy.attempt_seconds))
            error_code = _judge(answer.status)
        except UrlNotAllowed:
            error_code = "url_not_allowed"
        except NameNotFound:
            error_code = "name_not_found"
        except NameServerSilent:
            error_code = "name_server_silent"
        except TimeoutError:
            error_code = "timeout"
        except ssl.SSLError:
            error_code = "tls_failed"
        except http.client.HTTPException:
            error_code = "invalid_response"
        except OSError:
            error_code = "connection_failed"
        except Exception:  # the edge of this delivery
            log.exception("delivery.broke", delivery=delivery.id.hex)
            error_code = "internal_error"
        return Receipt(
            delivery=delivery,
            duration_seconds=time.monotonic() - started_at,
            error_code=error_code,
            response_status=answer.status if answer else None,
            response_start=answer.start if answer else None,
            retry_after_seconds=answer.retry_after_seconds if answer else None,
        )

    def _exchange(self, delivery: ClaimedDelivery, whole: Deadline) -> _Answer:
        target = parse_url(delivery.url, self._policy)
        event_id = public_id(EVENT_PREFIX, delivery.event_id)
        with self._connector.connect(target, whole, MAX_RESPONSE_BYTES) as own:
            # The timestamp is that of the attempt: a receiver refuses one that is minutes old.
            headers = signed_headers(delivery.secrets, event_id, int(time.time()), delivery.body)
            return _post(own, target, headers, delivery.body, whole)


def _post(
    own: TimedSocket | TimedTlsSocket, target: Target, headers: dict[str, str], body: bytes, whole: Deadline
) -> _Answer:
    sent = {
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "User-Agent": USER_AGENT,
        **headers,
    }
    response = exchange(own, target, "POST", sent, body)
    own.budget.deadline = whole.sooner(_BODY_SECONDS)
    return _Answer(response.status, _retry_after(response.getheader("Retry-After")), _start(response))


def _start(response: http.client.HTTPResponse) -> str:
    """Read the body to its end or as far as it goes, so that the receiver is not cut off, and return its start."""
    start = b""
    try:
        while chunk := response.read1(8 * 1024):
            start += chunk[: KEPT_RESPONSE_BYTES - len(start)]
    except (OSError, http.client.HTTPException):
        pass
    return start.decode(errors="replace").replace("\0", "")


def _judge(status: int) -> str | None:
    """Return the code of the failure that a status is, or None for success. A redirect is never followed."""
    if 200 <= status < 300:
        return None
    return "redirected" if 300 <= status < 400 else "http_status"


def _retry_after(header: str | None) -> float | None:
    """Return the seconds in a Retry-After, given as a number or as a date; None when there is no sense in it."""
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        seconds = email.utils.parsedate_to_datetime(text).timestamp() - time.time()
    except (ValueError, TypeError, OverflowError):
        return None
    return max(0.0, seconds) if math.isfinite(seconds) else None
