"""Record what is finished beside the reading: one transaction at a time, with all that finished since the last."""

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import structlog

from core.claims import Outcome
from core.errors import RecognitionFailed
from core.transcription import Transcription
from worker.ledger import Ledger
from worker.metrics import PHASE_SECONDS
from worker.recognizer.base import PhaseSeconds

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Finished:
    """Outcomes that are recorded together, and where the time went since those before them."""

    outcomes: list[Outcome] = field(default_factory=list)
    queued_seconds: float = 0.0  # the longest wait
    decode_seconds: float = 0.0
    phases: PhaseSeconds = field(default_factory=PhaseSeconds)


class Recorder:
    """Collects outcomes and records them through the ledger. To be used by one thread."""

    def __init__(self, ledger: Ledger, *, most: int) -> None:
        """`most` is how many outcomes wait for those before them until the reading waits as well."""
        self._ledger = ledger
        self._most = most
        self._finished = Finished()
        self._recording: Future[None] | None = None
        self._pool = ThreadPoolExecutor(1, "record")
        self.has_recorded = False

    def note_prepared(self, failed: Sequence[Outcome], *, queued_seconds: float, decode_seconds: float) -> None:
        """Note a batch that was made ready: the lines that failed at it, how long one waited, what decoding took."""
        self._finished.outcomes += failed
        self._finished.queued_seconds = max(self._finished.queued_seconds, queued_seconds)
        self._finished.decode_seconds += decode_seconds

    def note_read(self, outcomes: Sequence[Outcome], phases: PhaseSeconds) -> None:
        """Note what a forward pass finished, and its time."""
        self._finished.outcomes += outcomes
        self._finished.phases += phases

    def record_beside(self) -> None:
        """Begin to record what was noted, unless the last is still being recorded and not too much has piled up."""
        if not self._finished.outcomes:
            return
        if self._recording is not None and not self._recording.done() and len(self._finished.outcomes) < self._most:
            return
        self._wait()
        finished, self._finished = self._finished, Finished()
        self._recording = self._pool.submit(self._record, finished)

    def record_here(self) -> None:
        """Record what was noted, and return when everything is recorded."""
        self._wait()
        finished, self._finished = self._finished, Finished()
        self._record(finished)

    def close(self) -> None:
        """End the thread."""
        self._pool.shutdown()

    def _wait(self) -> None:
        recording, self._recording = self._recording, None
        if recording is not None:
            recording.result()

    def _record(self, finished: Finished) -> None:
        outcomes, phases = finished.outcomes, finished.phases
        if not outcomes:
            return
        self.has_recorded = True
        started_at = time.monotonic()
        try:
            stale = self._ledger.record(outcomes)
        except Exception:  # the edge of these lines: alone, only the one that cannot be recorded will fail
            log.exception("record.failed", lines=len(outcomes))
            self._ledger.charge([outcome.line for outcome in outcomes], RecognitionFailed)
            return
        seconds = {
            "decode": finished.decode_seconds,
            "preprocess": phases.preprocess,
            "encode": phases.encode,
            "generate": phases.generate,
            "record": time.monotonic() - started_at,
        }
        for phase, spent in seconds.items():
            if phase == "decode" and not spent:  # none was made ready since the last
                continue
            PHASE_SECONDS.labels(phase).observe(spent)
        log.info(
            "batch.recognised",
            lines=len(outcomes),
            failed=sum(not isinstance(outcome.result, Transcription) for outcome in outcomes),
            stale=stale,
            queued_ms=_milliseconds(finished.queued_seconds),
            **{f"{phase}_ms": _milliseconds(spent) for phase, spent in seconds.items()},
        )


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 1)
