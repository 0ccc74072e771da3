"""Which workers are alive and what they serve, by their own word."""

import datetime as dt
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import aggregate_order_by, insert
from sqlalchemy.orm import Session

from core.tables import WorkerPresence

# A worker says that it is alive at each sweep; this many missed sweeps later it counts as gone.
_SWEEPS_UNTIL_GONE = 4


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model that workers have served: its name, revision, when first and last, and how many serve it now."""

    name: str
    revision: str
    first_seen_at: dt.datetime
    live_workers: int


def say_alive(session: Session, worker: WorkerPresence) -> None:
    """Write that the worker is alive, by the database's clock."""
    values = {
        "slot": worker.slot,
        "model": worker.model,
        "model_revision": worker.model_revision,
        "device": worker.device,
        "precision": worker.precision,
        "host": worker.host,
        "pid": worker.pid,
    }
    statement = insert(WorkerPresence).values(**values)
    statement = statement.on_conflict_do_update(
        index_elements=[WorkerPresence.slot], set_={**values, "seen_at": func.now(), "left_at": None}
    )
    session.execute(statement)


def say_goodbye(session: Session, slot: uuid.UUID) -> None:
    """Write that the worker has ended in order: it stops counting as alive, but what it served stays known."""
    session.execute(update(WorkerPresence).where(WorkerPresence.slot == slot).values(left_at=func.now()))


def served_models(session: Session, *, sweep_seconds: float) -> Sequence[ServedModel]:
    """Return the models that workers have served, by name; the revision is that of the latest worker."""
    since = func.now() - dt.timedelta(seconds=_SWEEPS_UNTIL_GONE * sweep_seconds)
    latest = func.array_agg(aggregate_order_by(WorkerPresence.model_revision, WorkerPresence.seen_at.desc()))
    query = (
        select(
            WorkerPresence.model,
            latest,
            func.min(WorkerPresence.started_at),
            func.count().filter(WorkerPresence.seen_at > since, WorkerPresence.left_at.is_(None)),
        )
        .group_by(WorkerPresence.model)
        .order_by(WorkerPresence.model)
    )
    return [
        ServedModel(name, revisions[0], first_seen_at, live)
        for name, revisions, first_seen_at, live in session.execute(query)
    ]


def is_served(session: Session, model: str) -> bool:
    """Tell whether some worker has served this model lately."""
    query = select(WorkerPresence.slot).where(WorkerPresence.model == model).limit(1)
    return session.scalars(query).one_or_none() is not None
