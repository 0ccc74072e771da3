"""What must happen every few seconds somewhere, and does no harm when it happens twice.

Two rounds, each in a transaction of its own, so that trouble with old rows never keeps live ones waiting: `sweep`
brings back what died, `tidy` forgets what is over. Every worker process tries both at each turn; an advisory lock lets
one through. Each step repeats its condition in its own write, so that even two at once are correct.
"""

import datetime as dt
import uuid
from dataclasses import dataclass, field

from sqlalchemy import delete, func, select, text
from sqlalchemy.orm import Session

from core.documents.recovery import recover_expired_documents
from core.jobs import forget_jobs
from core.openai.files import forget_expired_files
from core.outbox import record_running
from core.recovery import Recovered, recover_expired
from core.settings import Settings
from core.tables import (
    LINE_IS_QUEUED,
    Batch,
    Delivery,
    Event,
    IdempotencyKey,
    Job,
    Line,
    WebhookEndpoint,
    WorkerPresence,
)
from core.webhooks.deliveries import requeue_expired, seconds_until_due
from core.words import DeliveryStatus

_SWEEP_LOCK, _TIDY_LOCK = 0x1_4E4B_5057, 0x1_4E4B_5058  # any numbers that nothing else in this database locks
_JOBS_PER_SWEEP = 200
_EXPIRED_LINES_PER_SWEEP = 20_000  # while lines go, the jobs that were recovered before are locked
_TOMBSTONE_DAYS = 30
_PRESENCE_DAYS = 7
_PROGRESS_SECONDS = 5.0
_EVENTS_PER_SWEEP = 5_000
_FILES_PER_SWEEP = 50
_BATCHES_PER_SWEEP = 5


@dataclass(frozen=True, slots=True)
class Sweep:
    """What one sweep did. `waiting_models` have queued lines and deserve a bell once the sweep is committed."""

    recovered: Recovered = field(default_factory=Recovered)
    recovered_documents: Recovered = field(default_factory=Recovered)
    has_queued_documents: bool = False
    requeued_deliveries: int = 0
    has_due_deliveries: bool = False
    waiting_models: tuple[str, ...] = ()


def sweep(session: Session, settings: Settings) -> Sweep | None:
    """Recover what was leased and died, and find what deserves a bell; None when another process is at it."""
    if not _is_ours(session, _SWEEP_LOCK):
        return None
    recovered = recover_expired(session, max_crashes=settings.leases.max_crashes, keep_images=settings.keep_images)
    recovered_documents = recover_expired_documents(session, max_crashes=settings.leases.max_crashes)
    requeued = requeue_expired(session)
    record_running(session, progress_seconds=_PROGRESS_SECONDS)
    due_in = seconds_until_due(session)
    return Sweep(
        recovered=recovered,
        recovered_documents=recovered_documents,
        has_queued_documents=bool(session.scalars(_HAS_QUEUED_DOCUMENTS).one()),
        requeued_deliveries=requeued,
        has_due_deliveries=due_in is not None and due_in <= 0,
        waiting_models=_waiting_models(session),
    )


_HAS_QUEUED_DOCUMENTS = text("""
SELECT EXISTS (SELECT FROM documents WHERE status = 'queued') OR EXISTS (SELECT FROM renditions WHERE status = 'queued')
""")


def tidy(session: Session, settings: Settings) -> int:
    """Forget expired jobs and purge what nobody will ask for again; return how many jobs expired.

    A bounded number at a time: the next turn goes on. Nothing happens while another process is at it.
    """
    if not _is_ours(session, _TIDY_LOCK):
        return 0
    expired = _forget_expired_jobs(session)
    _purge(session, settings)
    _purge_webhooks(session, settings)
    _purge_batches(session)
    forget_expired_files(session, limit=_FILES_PER_SWEEP)
    return expired


def _is_ours(session: Session, lock: int) -> bool:
    return bool(session.scalars(select(func.pg_try_advisory_xact_lock(lock))).one())


def _forget_expired_jobs(session: Session) -> int:
    query = select(Job.id, Job.lines_total).where(Job.expires_at <= func.now(), Job.gone_at.is_(None)).order_by(Job.id)
    job_ids: list[uuid.UUID] = []
    lines = 0
    for job_id, lines_total in session.execute(query.limit(_JOBS_PER_SWEEP).with_for_update(skip_locked=True)):
        lines += lines_total
        if job_ids and lines > _EXPIRED_LINES_PER_SWEEP:
            break
        job_ids.append(job_id)
    if job_ids:
        forget_jobs(session, job_ids)
    return len(job_ids)


def _purge(session: Session, settings: Settings) -> None:
    """Drop idempotency keys, tombstones and workers that nobody will ask for again."""
    old_key = func.now() - dt.timedelta(seconds=settings.idempotency_seconds)
    session.execute(delete(IdempotencyKey).where(IdempotencyKey.created_at < old_key))
    tombstones = select(Job.id).where(Job.gone_at < func.now() - dt.timedelta(days=_TOMBSTONE_DAYS))
    session.execute(delete(Job).where(Job.id.in_(tombstones.limit(_JOBS_PER_SWEEP))))
    session.execute(
        delete(WorkerPresence).where(WorkerPresence.seen_at < func.now() - dt.timedelta(days=_PRESENCE_DAYS))
    )


def _purge_webhooks(session: Session, settings: Settings) -> None:
    """Drop events of long ago with their deliveries, and endpoints that no job names any more."""
    old = func.now() - dt.timedelta(seconds=settings.webhooks.history_seconds)
    under_way = select(Delivery.id).where(
        Delivery.event_id == Event.id, Delivery.status.in_([DeliveryStatus.QUEUED, DeliveryStatus.RUNNING])
    )
    events = select(Event.id).where(Event.created_at < old, ~under_way.exists()).limit(_EVENTS_PER_SWEEP)
    session.execute(delete(Event).where(Event.id.in_(events)))
    named = select(Job.id).where(Job.webhook_endpoint_id == WebhookEndpoint.id)
    sent = select(Delivery.id).where(Delivery.endpoint_id == WebhookEndpoint.id)
    unused = select(WebhookEndpoint.id).where(
        ~WebhookEndpoint.is_registered, WebhookEndpoint.created_at < old, ~named.exists(), ~sent.exists()
    )
    session.execute(delete(WebhookEndpoint).where(WebhookEndpoint.id.in_(unused.limit(_EVENTS_PER_SWEEP))))


def _purge_batches(session: Session) -> None:
    """Drop batches of long ago; their files go by themselves."""
    old = func.now() - dt.timedelta(days=_TOMBSTONE_DAYS)
    ended = select(Batch.id).where(Batch.created_at < old, Batch.look_at.is_(None)).limit(_BATCHES_PER_SWEEP)
    session.execute(delete(Batch).where(Batch.id.in_(ended)))


def _waiting_models(session: Session) -> tuple[str, ...]:
    """Return the models that have queued lines, by hopping over the claim index: one step a model, not a line."""
    models: list[str] = []
    while True:
        query = select(func.min(Line.model)).where(LINE_IS_QUEUED)
        model: str | None = session.scalars(query.where(Line.model > models[-1]) if models else query).one()
        if model is None:
            return tuple(models)
        models.append(model)
