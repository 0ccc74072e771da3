"""One sweep and the bells that it calls for: the same in every kind of worker."""

import structlog
from sqlalchemy.orm import Session, sessionmaker

from core.bells import DOCUMENTS_QUEUE, WEBHOOKS_QUEUE, Bells, lines_queue
from core.housekeeping import Sweep, sweep, tidy
from core.recovery import Recovered
from core.settings import Settings
from worker.metrics import RECOVERED

log = structlog.get_logger(__name__)


def sweep_and_ring(sessions: sessionmaker[Session], settings: Settings, bells: Bells) -> None:
    """Do what has to be done every few seconds somewhere, unless another process is at it."""
    with sessions.begin() as session:
        swept = sweep(session, settings)
    if swept is not None:
        _report(swept)
        for model in swept.waiting_models:
            bells.ring(lines_queue(model), is_forced=True)
        if swept.has_queued_documents:
            bells.ring(DOCUMENTS_QUEUE, is_forced=True)
        if swept.has_due_deliveries:
            bells.ring(WEBHOOKS_QUEUE, is_forced=True)
    with sessions.begin() as session:
        expired = tidy(session, settings)
    if expired:
        log.info("jobs.expired", jobs=expired)


def _report(swept: Sweep) -> None:
    RECOVERED.labels("requeued").inc(swept.recovered.requeued)
    RECOVERED.labels("failed").inc(swept.recovered.failed)
    documents = swept.recovered_documents
    if swept.recovered != Recovered() or documents != Recovered() or swept.requeued_deliveries:
        log.info(
            "sweep.done",
            requeued=swept.recovered.requeued,
            failed=swept.recovered.failed,
            requeued_documents=documents.requeued,
            failed_documents=documents.failed,
            requeued_deliveries=swept.requeued_deliveries,
        )
