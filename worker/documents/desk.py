"""A thread that claims one thing at a time, works on it in a sandbox child, and records what came of it.

Which thing is up to its `Work`: documents are cut at one desk and renditions written at another, so that a long
document keeps nobody waiting who wants to see a finished one.
"""

import threading
import time
import uuid
from collections.abc import Callable
from signal import SIGKILL
from typing import Generic, Protocol, TypeVar

import structlog
from sqlalchemy.orm import Session, sessionmaker

from core.bells import DOCUMENTS_QUEUE, Bells
from core.database import translated_errors
from core.documents.leases import Lease, Leased, release_lease, release_orphans, renew_lease
from core.documents.recovery import give_up_lease
from core.errors import DocumentError, InkpostError, TransientError
from core.failpoints import Failpoints
from core.ids import public_id
from core.representation import JOB_PREFIX
from core.settings import Settings
from worker.metrics import STALE_WRITES
from worker.sandbox.child_process import ChildDied

log = structlog.get_logger(__name__)

GRACE_SECONDS = 10.0  # what is in hand may go on for so long when the process is told to end
_TROUBLE_SECONDS = 0.5
_RECORD_PAUSE_SECONDS = 0.2


class Claimed(Protocol):
    """What a desk works on."""

    @property
    def lease(self) -> Lease:
        """The claim on it."""


Held = TypeVar("Held", bound=Claimed)
Result = TypeVar("Result")


class Work(Protocol[Held, Result]):
    """One kind of work. `name` is that of its log events and failpoints."""

    name: str
    table: Leased

    def claim(self, session: Session, *, slot: uuid.UUID, lease_seconds: float) -> Held | None:
        """Claim something, or return None when nothing is queued."""

    def do(self, held: Held, on_progress: Callable[[], None]) -> Result:
        """Work on it; raise a DocumentError when that is impossible, SandboxUnavailable, or what `on_progress` does."""

    def record(self, session: Session, held: Held, result: Result | DocumentError) -> bool:
        """Store what came of it; return whether the lease was still ours."""

    def tell(self, held: Held, result: Result | DocumentError, seconds: float) -> None:
        """Log and count what was recorded."""

    def close(self) -> None:
        """Let the sandbox child go."""


class Interrupted(Exception):
    """What is in hand need not go on: its lease is lost, or the process has to end."""


class Desk(Generic[Held, Result]):
    """Runs from `start` to `stop`; `wake` says that something may be queued."""

    def __init__(
        self, settings: Settings, sessions: sessionmaker[Session], bells: Bells, work: Work[Held, Result]
    ) -> None:
        self._settings = settings
        self._sessions = sessions
        self._bells = bells
        self._work = work
        self._failpoints = Failpoints(settings)
        self._slot = uuid.uuid4()
        self._lease: Lease | None = None  # on what is in hand
        self._lost: Lease | None = None  # the last one that could not be renewed
        self._progress_at = 0.0
        self._end_by: float | None = None
        self._has_doubt = False
        self._call = threading.Event()
        self._thread = threading.Thread(target=self._run, name=work.name, daemon=True)

    def start(self) -> None:
        """Begin, with a look at what is queued."""
        self._thread.start()

    def wake(self) -> None:
        """Look for work now."""
        self._call.set()

    def drain(self) -> None:
        """Claim nothing more; what is in hand has some seconds left."""
        if self._end_by is None:
            self._end_by = time.monotonic() + GRACE_SECONDS
        self.wake()

    def stop(self) -> None:
        """Drain and wait for it."""
        self.drain()
        self._thread.join(timeout=GRACE_SECONDS + 5)

    def renew(self) -> None:
        """Extend the lease on what is in hand, as long as something moves; called by another thread."""
        lease = self._lease
        if lease is None or time.monotonic() - self._progress_at > self._settings.leases.stall_seconds:
            return
        with self._sessions.begin() as session:
            is_ours = renew_lease(session, lease, self._settings.documents.lease_seconds)
        if not is_ours:
            self._lost = lease

    def _run(self) -> None:
        while self._end_by is None:
            self._call.clear()
            pause_seconds = self._settings.leases.sweep_seconds
            try:
                while self._end_by is None and self._turn():
                    pass
            except InkpostError as error:
                log.warning(f"{self._work.name}.postponed", error=error.code)
                pause_seconds = _TROUBLE_SECONDS
            except Exception:  # the edge of this thread: it must live as long as the process
                log.exception(f"{self._work.name}.broke")
                pause_seconds = _TROUBLE_SECONDS
            if self._end_by is None:
                self._call.wait(pause_seconds)
        self._work.close()

    def _turn(self) -> bool:
        """Take one thing from the queue to its end; return whether there was one."""
        held = self._claim()
        if held is None:
            return False
        self._bells.ring(DOCUMENTS_QUEUE)  # there may be more, and a neighbour who is idle
        self._failpoints.reach(f"{self._work.name}.after_claim")
        started_at = time.monotonic()
        try:
            result = self._do(held)
            seconds = time.monotonic() - started_at
            self._failpoints.reach(f"{self._work.name}.after_work")
            if self._record(held, result):
                self._work.tell(held, result, seconds)
            self._failpoints.reach(f"{self._work.name}.after_record")
        except Interrupted:
            log.info(f"{self._work.name}.interrupted", job_id=_job_id(held))
            self._release(held)
        except TransientError:  # no sandbox child, or a database that is away: nothing that the document did
            self._release(held)
            raise
        except DocumentError as error:
            self._charge(held, error)
        except Exception:  # the edge of this document
            log.exception(f"{self._work.name}.broke", job_id=_job_id(held))
            self._charge(held)
        finally:
            self._lease = None
        return True

    def _claim(self) -> Held | None:
        try:
            with translated_errors(), self._sessions.begin() as session:
                if self._has_doubt:
                    release_orphans(session, self._work.table, self._slot)
                held = self._work.claim(session, slot=self._slot, lease_seconds=self._settings.documents.lease_seconds)
        except TransientError:
            self._has_doubt = True  # it may have been committed all the same
            raise
        self._has_doubt = False
        self._lease = None if held is None else held.lease
        self._progress_at = time.monotonic()
        return held

    def _do(self, held: Held) -> Result | DocumentError:
        """Return what came of it; raise the DocumentError of a child that somebody else has killed."""
        try:
            return self._work.do(held, self._progress)
        except DocumentError as error:
            cause = error.__cause__
            if isinstance(cause, ChildDied) and cause.exit_status == -SIGKILL:
                raise  # by the kernel, for memory, or by an operator: it is worth another try
            return error

    def _progress(self) -> None:
        self._progress_at = time.monotonic()
        if self._lease == self._lost or (self._end_by is not None and self._progress_at > self._end_by):
            raise Interrupted

    def _record(self, held: Held, result: Result | DocumentError) -> bool:
        """Record, and keep trying while the database is away and the lease may still be ours."""
        until = time.monotonic() + self._settings.documents.lease_seconds
        while True:
            self._progress_at = time.monotonic()
            try:
                with translated_errors(), self._sessions.begin() as session:
                    is_recorded = self._work.record(session, held, result)
                break
            except TransientError as error:
                log.warning("record.postponed", work=self._work.name, job_id=_job_id(held), error=error.code)
                if time.monotonic() > until:
                    raise
                time.sleep(_RECORD_PAUSE_SECONDS)
        if not is_recorded:
            STALE_WRITES.inc()
            log.warning("stale_write.rejected", work=self._work.name, job_id=_job_id(held))
        return is_recorded

    def _release(self, held: Held) -> None:
        """Give it back uncharged; if the database is away, that is made good before the next claim."""
        try:
            with translated_errors(), self._sessions.begin() as session:
                release_lease(session, held.lease)
        except TransientError as error:
            self._has_doubt = True
            log.warning("release.failed", work=self._work.name, error=error.code)

    def _charge(self, held: Held, error: DocumentError | None = None) -> None:
        """Give it back charged with a crash, for a fault that it may have caused; the last one fails it."""
        with translated_errors(), self._sessions.begin() as session:
            recovered = give_up_lease(session, held.lease, max_crashes=self._settings.leases.max_crashes, error=error)
        log.warning(
            f"{self._work.name}.charged",
            job_id=_job_id(held),
            error=error.code if error else None,
            is_over=recovered.failed > 0,
        )


def _job_id(held: Claimed) -> str:
    return public_id(JOB_PREFIX, held.lease.job_id)
