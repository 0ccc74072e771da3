"""The running batch: finished lines leave at once, and waiting lines take their seats between two steps."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from worker.recognizer.configuration import SearchRules
from worker.recognizer.decoder import Decoder
from worker.recognizer.encoder import Encoder
from worker.recognizer.hypothesis import Hypothesis
from worker.recognizer.search import Search, make_search
from worker.recognizer.stepping import make_stepper

# one line at a time keeps a CPU's caches warm and loses nothing; a GPU wants several
_ENCODED_AT_ONCE = {"cpu": 1, "cuda": 16}
# the least of so many counts; of two, both may fall into another process's time slice
_TRIES = 5


@dataclass(frozen=True, slots=True)
class WaitingLine:
    """A line to read: who it is, how to get its pixel values (3, height, width), when to stop, how much to tell."""

    number: int
    pixels: Callable[[], Tensor]
    max_new_tokens: int
    top_tokens: int = 0


@dataclass(slots=True)
class PhaseClock:
    """Seconds spent in each phase, summed over a call."""

    preprocess: float = 0.0
    encode: float = 0.0
    generate: float = 0.0


class RunningBatch:
    """Reads lines that search with the same number of beams, so many at a time."""

    def __init__(self, encoder: Encoder, decoder: Decoder, rules: SearchRules, device: torch.device) -> None:
        self._encoder, self._decoder, self._rules, self._device = encoder, decoder, rules, device
        self._cache = decoder.new_cache()
        self._step = make_stepper(decoder, self._cache, device)
        self.clock = PhaseClock()

    def free(self) -> None:
        """Give the buffers' memory back."""
        self._cache.close()

    @torch.inference_mode()
    def read(
        self, lines: Iterable[WaitingLine], *, beams: int, max_seats: int
    ) -> Iterator[tuple[int, tuple[Hypothesis, ...]]]:
        """Yield the number and the hypotheses, best first, of each line, in the order in which they finish."""
        waiting = deque(lines)
        search = make_search(self._rules, beams)
        self._cache.open(min(max_seats, len(waiting)), beams)
        seated: list[int] = []
        while waiting or seated:
            while waiting and len(seated) < max_seats:
                self._seat(waiting, seated, search, max_seats - len(seated))
            start = time.perf_counter()
            finished = self._advance(search)
            # from the last seat down, so that the line that moves into a free seat is never itself finished
            for seat in sorted(finished, reverse=True):
                self._cache.move(len(seated) - 1, seat, max(search.lengths()))
                search.vacate(seat)
                number, seated[seat] = seated[seat], seated[-1]
                seated.pop()
                yield number, finished[seat]
            self.clock.generate += time.perf_counter() - start

    def _seat(self, waiting: deque[WaitingLine], seated: list[int], search: Search, free_seats: int) -> None:
        """Encode waiting lines, as many as are best encoded together, and let them join."""
        count = min(len(waiting), free_seats, _ENCODED_AT_ONCE[self._device.type])
        joining = [waiting.popleft() for _ in range(count)]
        start = time.perf_counter()
        # each for itself: a stack of pinned tensors is not pinned, and could not travel while the device computes
        pixels = torch.stack([line.pixels().to(self._device, non_blocking=True) for line in joining])  # (B, 3, h, w)
        prepared = time.perf_counter()
        memory = self._decoder.remember(self._encoder.encode(pixels), beams=search.beams)
        for place, line in enumerate(joining):
            self._cache.seat(len(seated), memory, place)
            seated.append(line.number)
            search.start(line.max_new_tokens, line.top_tokens)
        self.clock.preprocess += prepared - start
        self.clock.encode += time.perf_counter() - prepared

    def _advance(self, search: Search) -> dict[int, tuple[Hypothesis, ...]]:
        """Take one step for all seats and return what it finished."""
        lengths = search.lengths()
        longest = max(lengths) + 1
        self._cache.reserve(longest)
        advance = search.advance(self._step(search.last_tokens(), lengths))
        if advance.order is not None and advance.order != list(range(len(advance.order))):
            self._cache.reorder(torch.tensor(advance.order, device=self._device), longest)
        return advance.finished

    @torch.inference_mode()
    def measure(self, sizes: Iterable[int]) -> tuple[float, dict[int, float]]:
        """Return the seconds to encode one blank line, and to take one step by the number of lines."""
        blank = torch.zeros(1, 3, *self._encoder.shape.image)
        encode = _best_of(_TRIES, lambda: self._encoder.encode(blank), self._device)
        memory = self._decoder.remember(self._encoder.encode(blank), beams=1)
        steps: dict[int, float] = {}
        for size in sorted(sizes):
            self._cache.open(size, 1)
            for seat in range(size):
                self._cache.seat(seat, memory, 0)
            tokens, lengths = [self._rules.start_token] * size, [0] * size
            steps[size] = _best_of(_TRIES, lambda: self._step(tokens, lengths), self._device)  # noqa: B023  (called at once)
        self._cache.close()
        return encode, steps


def _best_of(times: int, work: Callable[[], object], device: torch.device) -> float:
    """Return the least of some durations, after one that pays for lazy set-up."""
    seconds = []
    for _ in range(times + 1):
        start = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - start)
    return min(seconds[1:])
