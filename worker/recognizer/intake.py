"""The lines that a recogniser has in hand: taken from a source, made into pixel values ahead of time, then read."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from torch import Tensor

from worker.recognizer.base import LineSource, LineToRead


@dataclass(slots=True)
class WaitingLine:
    """A line in hand: its number in the order of taking, and its pixel values, (3, height, width), once begun."""

    number: int
    line: LineToRead
    beams: int
    pixels: Future[Tensor] | None = None


class Intake:
    """Takes lines whenever there is room, and hands out those that search with the same number of beams.

    Lines of another number of beams wait until the running ones have left; each is passed over by no more lines than
    there is room for.
    """

    def __init__(
        self,
        source: LineSource,
        *,
        room: int,
        make_pixels: Callable[[LineToRead], Tensor],
        depth: int,
        pool: ThreadPoolExecutor,
    ) -> None:
        """`room` is how many lines are in hand at most; of those next in turn, `depth` have their pixels made ahead."""
        self._source = source
        self._room = room
        self._make_pixels = make_pixels
        self._depth = depth
        self._pool = pool
        self._taken = 0
        self._waiting: list[WaitingLine] = []
        self._reading: dict[int, WaitingLine] = {}

    @property
    def reading(self) -> list[int]:
        """The numbers of the lines that were handed out and are not finished."""
        return list(self._reading)

    def next_beams(self) -> int | None:
        """Wait for a line and return the beams of the one that waited longest; None when no more will come."""
        self._take(wait=not self._waiting)
        return self._waiting[0].beams if self._waiting else None

    def hand_out(self, beams: int, most: int) -> list[WaitingLine]:
        """Return at most so many lines of this number of beams, in the order of taking."""
        self._take(wait=False)
        passed_over = next((line.number for line in self._waiting if line.beams != beams), self._taken)
        lines = [line for line in self._waiting if line.beams == beams and line.number <= passed_over + self._room]
        for line in lines[: most + self._depth]:
            if line.pixels is None:
                line.pixels = self._pool.submit(self._make_pixels, line.line)
        handed = lines[:most]
        for line in handed:
            self._waiting.remove(line)
            self._reading[line.number] = line
        return handed

    def finish(self, number: int) -> LineToRead:
        """Let a line go, which makes room for another."""
        return self._reading.pop(number).line

    def put_back(self) -> None:
        """Have the lines that were handed out wait again, in their old order."""
        self._waiting = sorted([*self._reading.values(), *self._waiting], key=lambda line: line.number)
        self._reading = {}

    def _take(self, *, wait: bool) -> None:
        room = self._room - len(self._waiting) - len(self._reading)
        if room <= 0:
            return
        for line in self._source.take(room, wait=wait):
            beams = max(line.decoding.num_beams, line.decoding.n_best)
            self._waiting.append(WaitingLine(self._taken, line, beams))
            self._taken += 1
