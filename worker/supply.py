"""What a recogniser takes lines from: claimed across jobs and decoded in the sandbox, the next while it reads.

Lines that arrive while it reads join it; only when nothing is ready and nothing is to be claimed does it run dry.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import structlog

from core.claims import ClaimedLine, Outcome
from core.errors import RecognitionFailed, TransientError
from worker.line_image import LineImage
from worker.recognizer.base import LineToRead

log = structlog.get_logger(__name__)

# how often to look for lines that came after a look that found fewer than there is room for
_LOOK_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Batch:
    """Claimed lines with their pixels; those that the sandbox refused have failed already."""

    lines: list[ClaimedLine]
    readable: list[tuple[ClaimedLine, LineImage]]
    failed: list[Outcome]
    queued_seconds: float
    decode_seconds: float

    @property
    def is_suspect(self) -> bool:
        """Whether this is a line to be read alone; it is claimed alone."""
        return bool(self.lines) and self.lines[0].is_suspect


class Supply:
    """The lines of one drain, in rounds: a suspect is a round of its own, beside which nothing is claimed or read.

    Everything but `prepare` happens in the thread of the recogniser.
    """

    def __init__(
        self,
        *,
        prepare: Callable[[int], Batch],
        is_open: Callable[[], bool],
        on_prepared: Callable[[Batch], None],
        give_back: Callable[[Sequence[ClaimedLine]], None],
        most: int,
        ahead: int,
        pool: ThreadPoolExecutor,
    ) -> None:
        """Begin with nothing.

        Args:
            prepare: claims and decodes at most so many lines; called in the pool while others are read.
            is_open: whether more may be claimed.
            on_prepared: told of every batch, in the recogniser's thread.
            give_back: takes lines that were claimed and will not be read.
            most: how many lines are taken and not finished at most.
            ahead: how many more are kept ready, at most as many.
            pool: one thread.
        """
        self._prepare = prepare
        self._is_open = is_open
        self._on_prepared = on_prepared
        self._give_back = give_back
        self._most = most
        self._ahead = ahead
        self._pool = pool
        self._ready: deque[tuple[ClaimedLine, LineImage]] = deque()
        self._in_hand: dict[int, ClaimedLine] = {}
        self._taken = 0
        self._upcoming: Future[Batch] | None = None
        self._wanted = 0
        self._looked_at = 0.0
        self._is_queue_empty = False  # at the last look
        self._is_suspect_due = False
        self._failure: Exception | None = None

    @property
    def in_hand(self) -> list[ClaimedLine]:
        """The lines that were taken in this round and are not finished."""
        return list(self._in_hand.values())

    @property
    def has_more(self) -> bool:
        """Whether something is in hand, or ready, or may be on its way."""
        return bool(self._in_hand or self._ready or self._upcoming)

    @property
    def is_alone(self) -> bool:
        """Whether this round is a suspect's: one is never ready or in hand beside others."""
        lines = self.in_hand or [line for line, _ in self._ready]
        return bool(lines) and lines[0].is_suspect

    def begin_round(self) -> bool:
        """Have lines ready for a new round; False when none is queued, or none may be claimed any more.

        Raises:
            TransientError: the database was away when lines were to be claimed; other errors of `prepare` as they are.
        """
        self._in_hand, self._taken, self._is_suspect_due = {}, 0, False
        while self._is_open():
            if self._ready:
                return True
            if self._failure is not None:
                raise self._failure
            batch = self._next_batch()
            self._admit(batch)
            self._ready.extend(batch.readable)
            if not batch.lines:
                break
            if self._ready:  # claimed before the end was called for, so they are read
                return True
        return False

    def take(self, most: int, *, wait: bool) -> Sequence[LineToRead]:
        """Return lines that are ready, and see to it that others will be."""
        if self._taken and not self._is_open():
            return []
        is_due = self._upcoming is not None and (self._upcoming.done() or (wait and not self._ready))
        if is_due:
            try:
                self._join(self._next_batch())
            except Exception as error:  # noqa: BLE001  (what is in hand is read all the same; the next round raises it)
                self._failure = error
        count = min(most, len(self._ready), self._most - len(self._in_hand))
        taken = [self._ready.popleft() for _ in range(count)]
        for line, _ in taken:
            self._in_hand[self._taken] = line
            self._taken += 1
        self._look_ahead()
        return [LineToRead(image, line.decoding) for line, image in taken]

    def finish(self, number: int) -> ClaimedLine:
        """Let go of a line by its number in this round, counted from 0 in the order of taking."""
        return self._in_hand.pop(number)

    def end_round(self) -> None:
        """Note that the recogniser is done.

        Raises:
            RecognitionFailed: it took lines and never finished them.
        """
        if self._in_hand:
            raise RecognitionFailed(f"{len(self._in_hand)} lines were taken and never finished")

    def close(self) -> None:
        """End; give back what was claimed and not taken."""
        left = [line for line, _ in self._ready]
        if self._upcoming is not None:
            try:
                left += self._upcoming.result().lines
            except TransientError as error:
                log.warning("claim.failed", error=error.code)
            except Exception:  # an edge: nothing of it is in hand, and the rest must be given back
                log.exception("claim.failed")
        if left:
            self._give_back(left)

    def _next_batch(self) -> Batch:
        """Return the batch that is on its way, or prepare one here and now: a few, so that reading begins at once."""
        if self._upcoming is None:
            self._wanted = self._ahead
            return self._prepare(self._wanted)
        upcoming, self._upcoming = self._upcoming, None
        return upcoming.result()

    def _admit(self, batch: Batch) -> None:
        self._is_queue_empty = len(batch.lines) < self._wanted
        self._looked_at = time.monotonic()
        self._on_prepared(batch)

    def _join(self, batch: Batch) -> None:
        """Have a batch ready beside what is in hand; a suspect is claimed again when this round is over."""
        self._admit(batch)
        if not batch.is_suspect:
            self._ready.extend(batch.readable)
            return
        self._is_suspect_due = True
        if batch.readable:
            self._give_back([line for line, _ in batch.readable])

    def _look_ahead(self) -> None:
        """Begin to claim lines when few are ready, unless a suspect is to be read next or is being read."""
        is_due = not self._is_queue_empty or time.monotonic() - self._looked_at > _LOOK_SECONDS
        is_reserved = self.is_alone or self._is_suspect_due or self._failure is not None
        if self._upcoming is not None or is_reserved or not is_due or len(self._ready) >= max(1, self._ahead // 2):
            return
        if not self._in_hand or not self._is_open():
            return
        self._wanted = self._most + self._ahead - len(self._in_hand) - len(self._ready)
        self._upcoming = self._pool.submit(self._prepare, self._wanted)
