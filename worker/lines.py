"""The lines queue: claim lines across jobs, decode them in the sandbox, recognise them, record what became of them.

Under load the three overlap: while the model reads one batch, the next is claimed and decoded and the last is recorded.
"""

import datetime as dt
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import structlog

from core.bells import Bells, lines_queue
from core.claims import ClaimedLine, Outcome
from core.errors import DeviceLost, LineError, OutOfMemory, RecognitionFailed, TransientError
from core.failpoints import Failpoints
from core.settings import Settings
from core.transcription import Transcription
from worker.held_lines import HeldLines
from worker.ledger import Ledger
from worker.line_image import LineImage
from worker.metrics import BATCH_LINES, PHASE_SECONDS, QUEUED_SECONDS
from worker.recognizer.base import LineToRead, PhaseSeconds, Recognizer
from worker.sandbox.image_sandbox import ImageSandbox
from worker.slot import Slot, SlotState

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Batch:
    """Claimed lines with their pixels; those that the sandbox refused have failed already."""

    lines: list[ClaimedLine]
    readable: list[tuple[ClaimedLine, LineImage]]
    failed: list[Outcome]
    queued_seconds: float
    decode_seconds: float


class LineReader:
    """Everything that one process needs to read lines; built once per process, after the fork."""

    def __init__(
        self,
        *,
        settings: Settings,
        slot: Slot,
        ledger: Ledger,
        bells: Bells,
        held: HeldLines,
        sandbox: ImageSandbox,
        recognizer: Recognizer,
    ) -> None:
        self._slot = slot
        self._ledger = ledger
        self._bells = bells
        self._held = held
        self._sandbox = sandbox
        self._recognizer = recognizer
        self._failpoints = Failpoints(settings)
        self._queue = lines_queue(recognizer.name)
        self._limit = settings.worker.max_batch or recognizer.max_batch
        self._slice_seconds = settings.worker.slice_seconds
        self._preparing = ThreadPoolExecutor(1, "prepare")
        self._recording = ThreadPoolExecutor(1, "record")

    def drain(self) -> None:
        """Read lines until none is queued, the time slice is over or the worker is told to end.

        A second run is harmless: it claims what is queued then, which may be nothing.
        """
        self._bells.answer(self._queue)
        until = time.monotonic() + self._slice_seconds
        upcoming: Future[Batch] | None = None
        recorded: Future[None] | None = None
        is_empty = has_recorded = False
        try:
            while self._slot.is_open and time.monotonic() < until:
                batch = self._prepare() if upcoming is None else upcoming.result()
                upcoming = None
                if not batch.lines:
                    is_empty = True
                    break
                # The steps overlap while there is more than one batch to read. A lone line is done the sooner for
                # having both the processor and this thread to itself: measured, 2 ms of 16 from POST to finished.
                is_full = len(batch.lines) == self._limit and self._slot.is_open
                # Nothing is prepared, nor recorded, beside a suspect (it comes alone, so never a full batch unless the
                # limit is one): if it kills this process, only the lines in hand may be charged for it.
                is_alone = batch.lines[0].is_suspect
                if is_full:
                    self._bells.ring(self._queue)  # there may be more than one worker's work
                if is_full and not is_alone:
                    upcoming = self._preparing.submit(self._prepare)
                if is_alone:
                    _wait_for(recorded)
                outcomes, phases = self._recognise_batch(batch)
                _wait_for(recorded)
                if upcoming is not None:
                    recorded = self._recording.submit(self._record, batch, outcomes, phases)
                else:
                    self._record(batch, outcomes, phases)
                has_recorded = True
        except TransientError as error:  # the sweeper rings again
            log.warning("drain.postponed", error=error.code)
            is_empty = True
        finally:
            try:
                _wait_for(recorded)
            finally:
                self._give_back(upcoming)
        if has_recorded:
            self._failpoints.reach("worker.before_ack")
        if not is_empty:
            self._bells.ring(self._queue)

    def close(self) -> None:
        """End the helper threads."""
        self._preparing.shutdown()
        self._recording.shutdown()

    def _prepare(self) -> Batch:
        """Claim lines and decode them.

        Raises:
            TransientError: the database is away.
        """
        with _phase("claim"):
            lines = self._ledger.claim(self._limit)
        if not lines:
            return Batch([], [], [], 0.0, 0.0)
        self._failpoints.reach("worker.after_claim")
        started_at = time.monotonic()
        try:
            with _phase("decode"):
                decoded = self._sandbox.decode([line.image for line in lines])
        except Exception:
            self._ledger.release(lines)
            raise
        failed: list[Outcome] = []
        readable: list[tuple[ClaimedLine, LineImage]] = []
        for line, image in zip(lines, decoded, strict=True):
            if isinstance(image, LineError):
                failed.append(Outcome(line, image))
            else:
                readable.append((line, image))
        return Batch(lines, readable, failed, _count_waits(lines), time.monotonic() - started_at)

    def _give_back(self, upcoming: Future[Batch] | None) -> None:
        """Release a batch that was prepared and will not be read, if there is one."""
        if upcoming is None:
            return
        error = upcoming.exception()
        if error is None:
            self._ledger.release(upcoming.result().lines)
        elif not isinstance(error, TransientError):
            raise error

    def _recognise_batch(self, batch: Batch) -> tuple[list[Outcome], PhaseSeconds]:
        """Read the batch's lines; a fault that may be theirs charges them, and leaves only those that had failed."""
        self._held.progress()
        phases = PhaseSeconds()
        outcomes = list(batch.failed)
        lines = [line for line, _ in batch.readable]
        try:
            with _phase("recognise"):
                outcomes += self._recognise(batch.readable)
            if batch.readable:
                phases = self._recognizer.last_phases
        except DeviceLost:
            log.exception("worker.device_lost", lines=len(lines))
            self._ledger.charge(lines, DeviceLost)
            self._slot.give_up(SlotState.BROKEN)
        except Exception:  # the edge of this batch: one bad batch must not end the worker
            log.exception("batch.failed", lines=len(lines))
            self._ledger.charge(lines, RecognitionFailed)
        self._failpoints.reach("worker.after_infer")
        self._held.progress()
        return outcomes, phases

    def _recognise(self, readable: Sequence[tuple[ClaimedLine, LineImage]]) -> list[Outcome]:
        if not readable:
            return []
        BATCH_LINES.labels(self._recognizer.name).observe(len(readable))
        try:
            transcriptions = self._recognizer.recognise([LineToRead(image, line.decoding) for line, image in readable])
        except OutOfMemory as error:
            if len(readable) == 1:
                return [Outcome(readable[0][0], error)]
            return [outcome for one in readable for outcome in self._recognise([one])]
        if len(transcriptions) != len(readable):
            raise RecognitionFailed(f"{len(readable)} lines in, {len(transcriptions)} transcriptions out")
        return [Outcome(line, result) for (line, _), result in zip(readable, transcriptions, strict=True)]

    def _record(self, batch: Batch, outcomes: Sequence[Outcome], phases: PhaseSeconds) -> None:
        if not outcomes:
            return
        started_at = time.monotonic()
        try:
            with _phase("record"):
                stale = self._ledger.record(outcomes)
        except Exception:  # the edge of this batch, as above: alone, only the line that cannot be recorded will fail
            log.exception("record.failed", lines=len(outcomes))
            self._ledger.charge([outcome.line for outcome in outcomes], RecognitionFailed)
            return
        PHASE_SECONDS.labels("encode").observe(phases.encode)
        PHASE_SECONDS.labels("generate").observe(phases.generate)
        log.info(
            "batch.recognised",
            lines=len(batch.lines),
            failed=sum(not isinstance(outcome.result, Transcription) for outcome in outcomes),
            stale=stale,
            queued_ms=_milliseconds(batch.queued_seconds),
            decode_ms=_milliseconds(batch.decode_seconds),
            preprocess_ms=_milliseconds(phases.preprocess),
            encode_ms=_milliseconds(phases.encode),
            generate_ms=_milliseconds(phases.generate),
            record_ms=_milliseconds(time.monotonic() - started_at),
        )


def _wait_for(recorded: Future[None] | None) -> None:
    if recorded is not None:
        recorded.result()


@contextmanager
def _phase(name: str) -> Iterator[None]:
    with PHASE_SECONDS.labels(name).time():
        yield


def _count_waits(lines: Sequence[ClaimedLine]) -> float:
    """Count how long each line waited since its job was submitted, and return the longest wait in seconds."""
    now = dt.datetime.now(dt.UTC)
    waits = [max(0.0, (now - line.submitted_at).total_seconds()) for line in lines]  # our clock may be behind
    for wait in waits:
        QUEUED_SECONDS.observe(wait)
    return max(waits)


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 1)
