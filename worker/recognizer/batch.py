"""The running batch: finished lines leave at once, and waiting lines take their seats between two steps."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from worker.recognizer.base import PhaseSeconds
from worker.recognizer.configuration import SearchRules
from worker.recognizer.decoder import Decoder
from worker.recognizer.encoder import Encoder
from worker.recognizer.hypothesis import Hypothesis
from worker.recognizer.intake import Intake, WaitingLine
from worker.recognizer.search import Search, make_search
from worker.recognizer.stepping import make_stepper

# one line at a time keeps a CPU's caches warm and loses nothing; a GPU wants several
_ENCODED_AT_ONCE = {"cpu": 1, "cuda": 16}
# the least of so many counts; of two, both may fall into another process's time slice
_TRIES = 5


@dataclass(frozen=True, slots=True)
class Step:
    """What one decoder step of so many lines led to: hypotheses, best first, by the number of the line."""

    finished: dict[int, tuple[Hypothesis, ...]]
    phases: PhaseSeconds
    lines: int


class RunningBatch:
    """Reads lines that search with the same number of beams, so many at a time."""

    def __init__(self, encoder: Encoder, decoder: Decoder, rules: SearchRules, device: torch.device) -> None:
        self._encoder, self._decoder, self._rules, self._device = encoder, decoder, rules, device
        self._cache = decoder.new_cache()
        self._step = make_stepper(decoder, self._cache, device)

    def free(self) -> None:
        """Give the buffers' memory back."""
        self._cache.close()

    @torch.inference_mode()
    def read(self, intake: Intake, *, beams: int, max_seats: int, most_lines: int | None = None) -> Iterator[Step]:
        """Take steps until no line of these beams is left, seating those that come meanwhile, up to `most_lines`."""
        search = make_search(self._rules, beams)
        seated: list[int] = []
        is_open = False
        at_once = _ENCODED_AT_ONCE[self._device.type]
        left = sys.maxsize if most_lines is None else most_lines
        while True:
            preprocess = encode = 0.0
            while joining := intake.hand_out(beams, min(max_seats - len(seated), at_once, left)):
                left -= len(joining)
                if not is_open:  # with a line in hand already, which is to blame if not even its cache fits
                    self._cache.open(max_seats, beams)
                    is_open = True
                prepared, encoded = self._seat(joining, seated, search)
                preprocess, encode = preprocess + prepared, encode + encoded
            if not seated:
                return
            start = time.perf_counter()
            lines, finished = len(seated), {}
            read = self._advance(search)
            # from the last seat down, so that the line that moves into a free seat is never itself finished
            for seat in sorted(read, reverse=True):
                self._cache.move(len(seated) - 1, seat, max(search.lengths()))
                search.vacate(seat)
                number, seated[seat] = seated[seat], seated[-1]
                seated.pop()
                finished[number] = read[seat]
            yield Step(finished, PhaseSeconds(preprocess, encode, time.perf_counter() - start), lines)

    def _seat(self, joining: list[WaitingLine], seated: list[int], search: Search) -> tuple[float, float]:
        """Encode lines and let them join; return the seconds until their pixel values were there, and after that."""
        start = time.perf_counter()
        # each for itself: a stack of pinned tensors is not pinned, and could not travel while the device computes
        pixels = torch.stack([self._pixels(line).to(self._device, non_blocking=True) for line in joining])
        prepared = time.perf_counter()
        memory = self._decoder.remember(self._encoder.encode(pixels), beams=search.beams)
        limit = self._rules.max_new_tokens
        for place, line in enumerate(joining):
            self._cache.seat(len(seated), memory, place)
            seated.append(line.number)
            decoding = line.line.decoding
            search.start(min(decoding.max_new_tokens or limit, limit), decoding.top_tokens or 0)
        return prepared - start, time.perf_counter() - prepared

    def _pixels(self, line: WaitingLine) -> Tensor:
        """Return a line's pixel values, (3, height, width), and keep no copy."""
        if line.pixels is None:
            raise AssertionError("a line was handed out before its pixel values were asked for")
        made, line.pixels = line.pixels, None
        return made.result()

    def _advance(self, search: Search) -> dict[int, tuple[Hypothesis, ...]]:
        """Take one step for all seats and return what it finished, by seat."""
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
