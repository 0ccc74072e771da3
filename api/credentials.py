"""Who is calling, from the Authorization header."""

from api.services import Services
from core.clients import Principal, authenticate
from core.errors import InsufficientScope, InvalidCredentials, MissingCredentials
from core.words import Scope

_LONGEST_HEADER = 200


def identify(services: Services, header: str | None, scope: Scope) -> Principal:
    """Return the caller, who must hold a key with the scope.

    Raises:
        MissingCredentials, InvalidCredentials, KeyRevoked, InsufficientScope: there is no such caller.
    """
    if not header:
        raise MissingCredentials
    kind, _, key = header.partition(" ")
    if kind.lower() != "bearer" or len(header) > _LONGEST_HEADER or not key.isascii():
        raise InvalidCredentials
    principal = services.key_cache.recall(key)
    if principal is None:
        with services.transaction() as session:
            principal = authenticate(session, key)
        services.key_cache.remember(key, principal)
    if scope not in principal.scopes:
        raise InsufficientScope(f"The API key lacks the scope {scope.value}.")
    return principal
