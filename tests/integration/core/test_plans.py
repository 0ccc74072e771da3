"""What the database does for a claim or a record does not grow with the backlog.

Checked by the plans that PostgreSQL really used (auto_explain), over enough rounds that prepared statements have got
their generic plans, before and after the statistics know of the backlog.
"""

import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from psycopg.errors import Diagnostic
from sqlalchemy import Engine, event, text

from core.database import create_database_engine, create_session_factory
from core.fair_share import next_fair_tag
from core.housekeeping import _waiting_models
from core.jobs import list_jobs
from core.settings import Settings
from tests.integration.core.scenario import MODEL, Scenario

Plan = dict[str, Any]
# psycopg prepares a statement at its sixth run, and the server may go over to a generic plan five runs later.
ROUNDS = 14


class Watched(Scenario):
    """A scenario on one connection that collects the plans of all that it runs."""

    plans: list[tuple[str, Plan]]

    def ways_to_lines(self) -> set[str]:
        """Return by which indexes lines were reached since the last call; a sequential scan has none."""
        nodes = [node for _, plan in self.plans for node in _nodes(plan)]
        self.plans.clear()
        scans = [node for node in nodes if node.get("Relation Name") == "lines" and "Scan" in node["Node Type"]]
        ways = {node.get("Index Name", node["Node Type"]) for node in scans} - {"Bitmap Heap Scan"}
        return ways | {node["Index Name"] for node in nodes if node["Node Type"] == "Bitmap Index Scan"}


@pytest.fixture
def watched(scenario: Scenario, database_settings: Settings) -> Iterator[Watched]:
    plans: list[tuple[str, Plan]] = []

    def collect(notice: Diagnostic) -> None:
        _, found, plan = (notice.message_primary or "").partition("plan:\n")
        if found:
            explained = json.loads(plan)
            plans.append((explained["Query Text"], explained["Plan"]))

    def watch(connection: Any, _: object) -> None:
        connection.add_notice_handler(collect)
        connection.execute("LOAD 'auto_explain'")
        connection.execute("SET auto_explain.log_min_duration = 0")
        connection.execute("SET auto_explain.log_format = json")
        connection.execute("SET client_min_messages = log")
        connection.commit()

    engine = create_database_engine(database_settings.model_copy(update={"database_pool_size": 1}), "inkpost-test")
    event.listen(engine, "connect", watch)
    watched = Watched(create_session_factory(engine))
    object.__setattr__(watched, "plans", plans)
    yield watched
    engine.dispose()


def _nodes(plan: Plan) -> Iterator[Plan]:
    yield plan
    for child in plan.get("Plans", []):
        yield from _nodes(child)


def _analyse(engine: Engine) -> None:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))


def _forgive(scenario: Scenario) -> None:
    """Let nobody be suspect, so that claims are of many lines again."""
    with scenario.sessions.begin() as session:
        session.execute(text("UPDATE lines SET crash_attempts = 0 WHERE crash_attempts > 0"))


def test_no_statement_of_a_worker_walks_through_the_backlog_or_sorts_it(
    scenario: Scenario, watched: Watched, client_id: uuid.UUID, engine: Engine
) -> None:
    for _ in range(5):
        scenario.submit(client_id, 10_000)
    for prepare in (lambda: None, lambda: _analyse(engine)):
        prepare()
        scenario.claim(1_000)  # which the statistics know nothing of

        held = [watched.claim(64) for _ in range(ROUNDS)]
        assert _picks_that_sort(watched) == []
        assert watched.ways_to_lines() == {"ix_lines_suspect", "ix_lines_claim", "pk_lines"}

        for lines in held:
            watched.renew(lines)
            watched.release(lines[:32])
            watched.record(lines[32:])
        assert watched.ways_to_lines() == {"pk_lines"}

        for _ in range(ROUNDS):
            watched.recover()
        scenario.expire_leases()
        watched.recover()
        assert watched.ways_to_lines() <= {"ix_lines_lease", "pk_lines"}
        _forgive(scenario)


def _picks_that_sort(watched: Watched) -> list[Plan]:
    picks = [
        node
        for _, plan in watched.plans
        for node in _nodes(plan)
        if node.get("Subplan Name") in {"CTE suspect", "CTE fresh"}
    ]
    assert len(picks) == 2 * ROUNDS
    return [node for pick in picks for node in _nodes(pick) if "Sort" in node["Node Type"]]


@pytest.mark.parametrize(
    ("look", "ways"),
    [
        (
            lambda session, client_id: next_fair_tag(session, client_id, MODEL, 1),
            {"ix_lines_claim", "ix_lines_share", "ix_lines_lease"},
        ),
        (lambda session, _: _waiting_models(session), {"ix_lines_claim"}),
    ],
    ids=["fair tag", "waiting models"],
)
def test_a_look_at_the_backlog_is_a_look_at_its_ends(
    scenario: Scenario,
    watched: Watched,
    client_id: uuid.UUID,
    engine: Engine,
    look: Callable[..., object],
    ways: set[str],
) -> None:
    scenario.submit(client_id, 10_000)
    for prepare in (lambda: None, lambda: _analyse(engine)):
        prepare()
        for _ in range(ROUNDS):
            with watched.sessions() as session:
                look(session, client_id)
        assert watched.ways_to_lines() == ways


def test_a_page_of_jobs_is_read_from_its_index(
    scenario: Scenario, watched: Watched, client_id: uuid.UUID, engine: Engine
) -> None:
    with scenario.sessions.begin() as session:
        session.execute(
            text(
                "INSERT INTO jobs (id, client_id, model, decoding, client_metadata, retention_seconds, lines_total) "
                "SELECT gen_random_uuid(), :client, 'fake', '{}', '{}', 60, 1 FROM generate_series(1, 20000)"
            ),
            {"client": client_id},
        )
    _analyse(engine)

    for _ in range(ROUNDS):
        with watched.sessions() as session:
            list_jobs(session, client_id, limit=20, before=uuid.uuid4())

    for _, plan in watched.plans:
        nodes = list(_nodes(plan))
        assert "ix_jobs_client_id_id" in [node.get("Index Name") for node in nodes]
        assert not [node for node in nodes if "Sort" in node["Node Type"]]
