"""Clients and keys: who may come in, and who not any more."""

import datetime as dt
import threading
import uuid
import zlib

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from core.clients import Principal, authenticate, create_client, create_key, list_clients, revoke_key
from core.errors import InvalidCredentials, KeyRevoked, NotFound
from core.words import Scope
from tests.integration.core.scenario import Scenario
from tests.waiting import eventually


@pytest.fixture
def key(scenario: Scenario, client_id: uuid.UUID) -> str:
    return _make_key(scenario, client_id)


def _make_key(scenario: Scenario, client_id: uuid.UUID, **options: object) -> str:
    with scenario.sessions.begin() as session:
        return create_key(session, client_id, **options)  # type: ignore[arg-type]


def _enter(scenario: Scenario, key: str) -> Principal:
    with scenario.sessions() as session:
        return authenticate(session, key)


def _with_checksum(body: str) -> str:
    return f"{body}{zlib.crc32(body.encode()):08x}"


def test_a_key_opens_the_door_to_its_client(scenario: Scenario, client_id: uuid.UUID, key: str) -> None:
    principal = _enter(scenario, key)

    assert principal.client_id == client_id
    assert principal.key_id == key.split("_")[1]
    assert principal.scopes == frozenset(Scope)


def test_a_key_may_do_only_what_it_was_made_for(scenario: Scenario, client_id: uuid.UUID) -> None:
    key = _make_key(scenario, client_id, scopes=[Scope.READ])

    assert _enter(scenario, key).scopes == {Scope.READ}


def test_a_scope_of_a_later_version_is_passed_over(scenario: Scenario, key: str) -> None:
    """A55: an older API beside a newer one."""
    with scenario.sessions.begin() as session:
        session.execute(text("UPDATE api_keys SET scopes = ARRAY['jobs:read', 'moon:land']"))

    assert _enter(scenario, key).scopes == {Scope.READ}


@pytest.mark.parametrize(
    "damage",
    [
        lambda key: "",
        lambda key: "Bearer " + key,
        lambda key: key[:-1],
        lambda key: key + "0",
        lambda key: key + "\n",
        lambda key: key.upper(),
        lambda key: key[:30] + ("A" if key[30] != "A" else "B") + key[31:],
        lambda key: key.replace("_", "\u00df", 1),
        lambda key: key[:-1] + "\u0664",
        lambda key: "x" * 1_000_000,
    ],
)
def test_a_mistyped_key_is_refused_without_the_database(damage, key: str) -> None:
    """B2."""
    with pytest.raises(InvalidCredentials):
        authenticate(Session(), damage(key))  # a session without an engine


def test_a_wrong_secret_and_an_unknown_id_look_the_same(scenario: Scenario, key: str) -> None:
    """B3."""
    _, key_id, _ = key.split("_", 2)
    wrong_secret = _with_checksum(f"ink_{key_id}_{'A' * 43}")
    unknown_id = _with_checksum(f"ink_{'0' * 16}_{'A' * 43}")

    messages = set()
    for other in (wrong_secret, unknown_id):
        with pytest.raises(InvalidCredentials) as caught:
            _enter(scenario, other)
        messages.add(caught.value.detail)
    assert len(messages) == 1


def test_a_revoked_key_is_refused_from_then_on(scenario: Scenario, client_id: uuid.UUID, key: str) -> None:
    """B4."""
    other = _make_key(scenario, client_id)
    with scenario.sessions.begin() as session:
        revoke_key(session, key.split("_")[1])

    with pytest.raises(KeyRevoked):
        _enter(scenario, key)
    assert _enter(scenario, other).client_id == client_id


def test_revoking_twice_keeps_the_first_time(scenario: Scenario, key: str) -> None:
    for _ in range(2):
        with scenario.sessions.begin() as session:
            revoke_key(session, key.split("_")[1])
        first = scenario.scalar("SELECT min(revoked_at) FROM api_keys")
    assert scenario.scalar("SELECT revoked_at FROM api_keys") == first


def test_revoking_a_key_that_is_not_there_says_so(scenario: Scenario) -> None:
    with pytest.raises(NotFound), scenario.sessions() as session:
        revoke_key(session, "0" * 16)


@pytest.mark.parametrize(("days", "is_over"), [(-1, True), (1, False)])
def test_a_key_expires(scenario: Scenario, client_id: uuid.UUID, days: int, is_over: bool) -> None:
    key = _make_key(scenario, client_id, expires_at=dt.datetime.now(dt.UTC) + dt.timedelta(days=days))

    if is_over:
        with pytest.raises(KeyRevoked):
            _enter(scenario, key)
    else:
        assert _enter(scenario, key).client_id == client_id


def test_the_secret_itself_is_nowhere_in_the_database(scenario: Scenario, key: str) -> None:
    row = scenario.scalar("SELECT api_keys::text FROM api_keys")

    assert key[21:-8] not in row


def test_two_that_make_the_same_client_at_once_get_the_same(scenario: Scenario) -> None:
    late: list[uuid.UUID] = []
    with scenario.sessions() as first:
        made = create_client(first, "the same").id
        second = threading.Thread(target=lambda: late.append(scenario.client("the same")))
        second.start()
        eventually(lambda: scenario.count_waiting() == 1, message="the second never waited")
        first.commit()
    second.join()

    assert late == [made]


def test_clients_are_listed_with_their_keys(scenario: Scenario) -> None:
    none, two = scenario.client("a without"), scenario.client("b with")
    keys = [_make_key(scenario, two, label=label) for label in ("old", "new")]

    with scenario.sessions() as session:
        listed = [(client.id, key and key.id) for client, key in list_clients(session)]

    assert listed == [(none, None), *[(two, key.split("_")[1]) for key in keys]]
