"""What a worker writes to the database about the lines it holds, and how long it keeps trying."""

import threading
import time
import uuid
from collections.abc import Sequence

import structlog
from sqlalchemy.orm import Session, sessionmaker

from core.claims import ClaimedLine, Outcome, claim_lines, record_outcomes, release_lines, release_orphans
from core.database import translated_errors
from core.errors import RecognitionError, TransientError
from core.recovery import give_up
from core.settings import Settings
from core.transcription import Transcription
from worker.held_lines import HeldLines
from worker.metrics import LINES, STALE_WRITES

log = structlog.get_logger(__name__)

_RECORD_PAUSE_SECONDS = 0.2
_AUTOCOMMIT = {"isolation_level": "AUTOCOMMIT"}  # a claim is one statement, which needs no BEGIN and COMMIT around it


class Ledger:
    """Claims, records, releases and charges lines for one worker slot. Its methods may run in different threads."""

    def __init__(
        self,
        *,
        settings: Settings,
        sessions: sessionmaker[Session],
        held: HeldLines,
        slot_id: uuid.UUID,
        model: str,
        revision: str,
    ) -> None:
        self._settings = settings
        self._sessions = sessions
        self._held = held
        self._slot_id = slot_id
        self._model = model
        self._revision = revision
        self._claiming = threading.Lock()  # between a claim's commit and `hold`, its lines look like orphans
        self._has_doubt = False

    def claim(self, limit: int) -> list[ClaimedLine]:
        """Claim up to `limit` lines; their leases are renewed until they are recorded, released or charged.

        Raises:
            TransientError: the database is away.
        """
        with self._claiming:
            try:
                with translated_errors(), self._sessions() as session:
                    session.connection(execution_options=_AUTOCOMMIT)
                    lines = claim_lines(
                        session,
                        model=self._model,
                        revision=self._revision,
                        slot=self._slot_id,
                        limit=limit,
                        lease_seconds=self._settings.leases.seconds,
                    )
            except TransientError:
                self._has_doubt = True  # it may have been committed all the same
                raise
            self._held.hold(lines)
        return lines

    def settle_doubt(self) -> None:
        """Give back what a claim has leased whose answer was lost; without a doubt, do nothing.

        Raises:
            sqlalchemy.exc.DBAPIError: the database is away; the doubt remains.
        """
        if not self._has_doubt:
            return
        with self._claiming:
            held, _ = self._held.snapshot()
            with self._sessions.begin() as session:
                orphans = release_orphans(session, self._slot_id, held)
            self._has_doubt = False
        log.info("claim.settled", orphans=orphans)

    def record(self, outcomes: Sequence[Outcome]) -> int | None:
        """Record outcomes, and keep trying while the database is away and the leases may still be ours.

        Returns:
            How many were dropped because their lease was lost; None when the database stayed away for too long.
        """
        until = time.monotonic() + self._settings.leases.seconds
        try:
            while True:
                try:
                    with translated_errors(), self._sessions.begin() as session:
                        stale = record_outcomes(session, outcomes, keep_images=self._settings.keep_images)
                    break
                except TransientError as error:
                    log.warning("record.postponed", lines=len(outcomes), error=error.code)
                    if time.monotonic() > until:
                        return None
                    time.sleep(_RECORD_PAUSE_SECONDS)
                    self._held.progress()
        finally:
            self._held.let_go([outcome.line for outcome in outcomes])
        succeeded = sum(isinstance(outcome.result, Transcription) for outcome in outcomes)
        LINES.labels(self._model, "succeeded").inc(succeeded)
        LINES.labels(self._model, "failed").inc(len(outcomes) - succeeded)
        if stale:
            STALE_WRITES.inc(stale)
            log.warning("stale_write.rejected", lines=stale)
        return stale

    def release(self, lines: Sequence[ClaimedLine]) -> None:
        """Give lines back uncharged; if the database is away their leases expire by themselves."""
        self._held.let_go(lines)
        try:
            with translated_errors(), self._sessions.begin() as session:
                release_lines(session, lines)
        except TransientError as error:
            log.warning("release.failed", lines=len(lines), error=error.code)

    def charge(self, lines: Sequence[ClaimedLine], error: type[RecognitionError]) -> None:
        """Give lines back charged with a crash, for a fault that one of them may have caused."""
        self._held.let_go(lines)
        try:
            with translated_errors(), self._sessions.begin() as session:
                give_up(
                    session,
                    lines,
                    error=error,
                    max_crashes=self._settings.leases.max_crashes,
                    keep_images=self._settings.keep_images,
                )
        except TransientError as failure:
            log.warning("charge.failed", lines=len(lines), error=failure.code)
