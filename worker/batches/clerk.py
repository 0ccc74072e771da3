"""The thread that makes batches go on, one at a time: check, turn into jobs, follow, answer.

It lives in the webhooks worker, which holds no model: a long file keeps no line from being read.
"""

import threading
import time

import structlog
from sqlalchemy.orm import Session, sessionmaker

from core.database import translated_errors
from core.errors import InkpostError
from core.failpoints import Failpoints
from core.ids import public_id
from core.openai.batch_answers import AnswerWriter
from core.openai.batch_input import check_input
from core.openai.batch_steps import (
    BatchClaim,
    begin_batch,
    cancel_jobs,
    claim_batch,
    count_read,
    end_batch,
    follow_jobs,
    hold_batch,
    is_overdue,
    read_chunk,
)
from core.openai.batches import BATCH_PREFIX
from core.openai.files import read_part
from core.settings import Settings
from core.tables import Batch
from core.words import FINISHED_BATCH, BatchStatus

log = structlog.get_logger(__name__)


class Clerk:
    """Runs from `start` to `stop`; `wake` says that there is a new batch, or one to cancel."""

    def __init__(self, settings: Settings, sessions: sessionmaker[Session]) -> None:
        self._settings = settings
        self._sessions = sessions
        self._failpoints = Failpoints(settings)
        self._count_at = 0.0
        self._call = threading.Event()
        self._is_stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="clerk", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """Look for batches now."""
        self._call.set()

    def stop(self) -> None:
        """End after the step in hand."""
        self._is_stopping.set()
        self._call.set()
        self._thread.join(timeout=10)

    def _run(self) -> None:
        while not self._is_stopping.is_set():
            self._call.clear()
            try:
                with translated_errors():
                    self._work()
            except InkpostError as error:
                log.warning("batches.postponed", error=error.code)
            except Exception:  # the edge of this thread: it must live as long as the process
                log.exception("batches.failed")
            self._call.wait(self._settings.leases.sweep_seconds)

    def _work(self) -> None:
        while not self._is_stopping.is_set():
            with self._sessions.begin() as session:
                claim = claim_batch(session, lease_seconds=self._settings.leases.seconds)
            if claim is None:
                return
            while not self._is_stopping.is_set() and self._step(claim):
                self._failpoints.reach("batches.after_step")

    def _step(self, claim: BatchClaim) -> bool:
        """Do one step, and return whether another can follow at once."""
        with self._sessions() as session:
            batch = session.get(Batch, claim.batch_id)
        if batch is not None and batch.status == BatchStatus.VALIDATING:
            return self._check(claim, batch)
        with self._sessions.begin() as session:
            held = hold_batch(session, claim, lease_seconds=self._settings.leases.seconds)
            if held is None:
                return False
            before = held.status, held.requests_read
            self._move(session, held)
            after = held.status, held.requests_read
        if held.status in FINISHED_BATCH:
            log.info(
                f"batch.{held.status}",
                batch_id=public_id(BATCH_PREFIX, held.id),
                requests=held.requests_total,
                completed=held.requests_completed,
                failed=held.requests_failed,
            )
        return before != after and held.status not in FINISHED_BATCH

    def _check(self, claim: BatchClaim, batch: Batch) -> bool:
        """Check the file without holding the batch's row, so that its client may look at it or cancel it."""

        def read(number: int) -> bytes | None:
            with self._sessions() as session:
                return read_part(session, batch.input_file_id, number)

        total, errors = check_input(read, self._settings)
        with self._sessions.begin() as session:
            held = hold_batch(session, claim, lease_seconds=self._settings.leases.seconds)
            if held is None:
                return False
            if held.status == BatchStatus.VALIDATING:
                begin_batch(session, held, total, errors)
                log.info("batch.checked", batch_id=public_id(BATCH_PREFIX, held.id), status=held.status, requests=total)
        return held.status not in FINISHED_BATCH

    def _move(self, session: Session, batch: Batch) -> None:
        settings = self._settings
        if batch.status in FINISHED_BATCH:
            batch.look_at = None
        elif batch.status == BatchStatus.FINALIZING:
            end_batch(session, batch, AnswerWriter(settings).write)
        elif batch.status == BatchStatus.CANCELLING or is_overdue(session, batch):
            cancel_jobs(session, batch, keep_images=settings.keep_images)
            end_batch(session, batch, AnswerWriter(settings).write)
        elif batch.requests_read < batch.requests_total:
            read_chunk(session, batch, settings)
            if time.monotonic() >= self._count_at:  # a count looks at all that was read, so not after each chunk
                count_read(session, batch)
                self._count_at = time.monotonic() + settings.leases.sweep_seconds
        else:
            follow_jobs(session, batch, look_seconds=settings.leases.sweep_seconds)
