"""The check of a webhook's URL when a client names it; each delivery checks it again."""

from core.errors import Fault, InvalidRequest
from core.settings import Webhooks
from core.webhooks.resolving import NameNotFound, NameServerSilent, Resolver, allowed_addresses
from core.webhooks.urls import NOT_ALLOWED, UrlNotAllowed, parse_url

CODE = "url_not_allowed"


def check_url(url: str, policy: Webhooks, resolve: Resolver, *, pointer: str, timeout_seconds: float) -> None:
    """Refuse a URL that could not be delivered to. A name server that is silent proves nothing against it.

    Raises:
        InvalidRequest: the URL is refused; the sentence is the same for every address and name that is.
    """
    try:
        allowed_addresses(parse_url(url, policy), policy, resolve, timeout_seconds)
    except UrlNotAllowed as error:
        raise InvalidRequest([Fault(pointer, str(error), CODE)]) from error
    except NameNotFound as error:
        raise InvalidRequest([Fault(pointer, NOT_ALLOWED, CODE)]) from error
    except NameServerSilent:
        return
