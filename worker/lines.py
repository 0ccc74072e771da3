"""The lines queue: claim lines across jobs, decode them in the sandbox, recognise them, record what became of them.

The four overlap: while the model reads, the next lines are claimed and decoded, and join as soon as there is room; what
is finished is recorded.
"""

import datetime as dt
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import structlog

from core.bells import Bells, lines_queue
from core.claims import ClaimedLine, Outcome
from core.errors import DeviceLost, LineError, RecognitionFailed, TransientError
from core.failpoints import Failpoints
from core.settings import Settings
from worker.held_lines import HeldLines
from worker.ledger import Ledger
from worker.line_image import LineImage
from worker.metrics import BATCH_LINES, PHASE_SECONDS, QUEUED_SECONDS
from worker.recognizer.base import Recognizer
from worker.recording import Recorder
from worker.sandbox.image_sandbox import ImageSandbox
from worker.slot import Slot, SlotState
from worker.supply import Batch, Supply

log = structlog.get_logger(__name__)


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
        self._most = min(settings.worker.max_batch or recognizer.max_batch, recognizer.max_batch)
        self._slice_seconds = settings.worker.slice_seconds
        self._preparing = ThreadPoolExecutor(1, "prepare")
        self._recorder = Recorder(ledger, most=self._most)

    def drain(self) -> None:
        """Read lines until none is queued, the time slice is over or the worker is told to end.

        A second run is harmless: it claims what is queued then, which may be nothing.
        """
        self._bells.answer(self._queue)
        until = time.monotonic() + self._slice_seconds
        supply = Supply(
            prepare=self._prepare,
            is_open=lambda: self._slot.is_open and time.monotonic() < until,
            on_prepared=self._note_prepared,
            give_back=self._ledger.release,
            most=self._most,
            ahead=min(self._recognizer.max_ahead, self._most),
            pool=self._preparing,
        )
        is_empty = self._recorder.has_recorded = False
        try:
            while self._slot.state is not SlotState.BROKEN and supply.begin_round():
                if supply.is_alone:  # if it kills this process, nothing else may be charged for it
                    self._recorder.record_here()
                self._read(supply)
            is_empty = self._slot.is_open and time.monotonic() < until
        except TransientError as error:  # the sweeper rings again
            log.warning("drain.postponed", error=error.code)
            is_empty = True
        finally:
            try:
                self._recorder.record_here()
            finally:
                supply.close()
        if self._recorder.has_recorded:
            self._failpoints.reach("worker.before_ack")
        if not is_empty:
            self._bells.ring(self._queue)

    def close(self) -> None:
        """End the helper threads."""
        self._preparing.shutdown()
        self._recorder.close()

    def _prepare(self, most: int) -> Batch:
        """Claim lines and decode them.

        Raises:
            TransientError: the database is away.
        """
        with PHASE_SECONDS.labels("claim").time():
            lines = self._ledger.claim(most)
        if not lines:
            return Batch([], [], [], 0.0, 0.0)
        self._failpoints.reach("worker.after_claim")
        started_at = time.monotonic()
        failed: list[Outcome] = []
        readable: list[tuple[ClaimedLine, LineImage]] = []
        try:
            for line, image in zip(lines, self._sandbox.stream([line.image for line in lines]), strict=True):
                self._held.progress()
                if isinstance(image, LineError):
                    failed.append(Outcome(line, image))
                else:
                    readable.append((line, image))
        except Exception:
            self._ledger.release(lines)
            raise
        if len(lines) == most:
            self._bells.ring(self._queue)  # there may be more than one worker's work
        return Batch(lines, readable, failed, _count_waits(lines), time.monotonic() - started_at)

    def _note_prepared(self, batch: Batch) -> None:
        self._recorder.note_prepared(
            batch.failed, queued_seconds=batch.queued_seconds, decode_seconds=batch.decode_seconds
        )

    def _read(self, supply: Supply) -> None:
        """Read a round of lines; a fault that may be theirs charges those in hand."""
        self._held.progress()
        try:
            for progress in self._recognizer.stream(supply):
                self._held.progress()
                BATCH_LINES.labels(self._recognizer.name).observe(progress.lines)
                outcomes = [Outcome(supply.finish(number), result) for number, result in progress.finished]
                self._recorder.note_read(outcomes, progress.phases)
                if outcomes:
                    self._failpoints.reach("worker.after_infer")
                # A lone line is done the sooner for having both the processor and this thread to itself: measured,
                # 2 ms of 16 from POST to finished.
                if supply.has_more:
                    self._recorder.record_beside()
                else:
                    self._recorder.record_here()
            supply.end_round()
        except DeviceLost:
            log.exception("worker.device_lost", lines=len(supply.in_hand))
            self._ledger.charge(supply.in_hand, DeviceLost)
            self._slot.give_up(SlotState.BROKEN)
        except Exception:  # the edge of these lines: a bad one must not end the worker
            log.exception("batch.failed", lines=len(supply.in_hand))
            self._ledger.charge(supply.in_hand, RecognitionFailed)


def _count_waits(lines: Sequence[ClaimedLine]) -> float:
    """Count how long each line waited since its job was submitted, and return the longest wait in seconds."""
    now = dt.datetime.now(dt.UTC)
    waits = [max(0.0, (now - line.submitted_at).total_seconds()) for line in lines]  # our clock may be behind
    for wait in waits:
        QUEUED_SECONDS.observe(wait)
    return max(waits)
