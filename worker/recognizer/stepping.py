"""Run decoder steps: directly on a CPU, replayed from CUDA graphs on a GPU.

A step of trocr-base launches some 300 small kernels, which a GPU finishes faster than Python can ask for them; a graph
asks once. Graphs need fixed shapes, so rows are rounded up to a power of two and every row is masked to its length.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from worker.recognizer.cache import Cache
from worker.recognizer.decoder import Decoder

Stepper = Callable[[list[int], list[int]], Tensor]


def make_stepper(decoder: Decoder, cache: Cache, device: torch.device) -> Stepper:
    """Return a function from each row's last token and length to the logits of its next token, (R, V)."""
    return GraphStepper(decoder, cache, device) if device.type == "cuda" else DirectStepper(decoder, cache, device)


class DirectStepper:
    """Computes each step as it is asked for."""

    def __init__(self, decoder: Decoder, cache: Cache, device: torch.device) -> None:
        self._decoder, self._cache, self._device = decoder, cache, device

    def __call__(self, tokens: list[int], lengths: list[int]) -> Tensor:
        """Return the logits of each row's next token, (R, V)."""
        longest = max(lengths) + 1
        return self._decoder.step(
            self._cache,
            torch.tensor(tokens, device=self._device),
            torch.tensor(lengths, device=self._device),
            longest,
            is_ragged=min(lengths) + 1 < longest,
        )


class GraphStepper:
    """Replays one CUDA graph per number of rows and capacity of the cache."""

    def __init__(self, decoder: Decoder, cache: Cache, device: torch.device) -> None:
        self._decoder, self._cache, self._device = decoder, cache, device
        self._graphs: dict[int, tuple[torch.cuda.CUDAGraph, Tensor, Tensor, Tensor]] = {}
        self._generation = -1

    def __call__(self, tokens: list[int], lengths: list[int]) -> Tensor:
        """Return the logits of each row's next token, (R, V)."""
        if self._generation != self._cache.generation:  # the buffers that the graphs point to are gone
            self._graphs.clear()
            self._generation = self._cache.generation
        rows = len(tokens)
        padded = round_up(rows // self._cache.beams, self._cache.seats) * self._cache.beams
        if padded not in self._graphs:
            self._graphs[padded] = self._capture(padded)
        graph, graph_tokens, graph_lengths, logits = self._graphs[padded]
        filling = [0] * (padded - rows)
        graph_tokens.copy_(torch.tensor(tokens + filling).pin_memory(), non_blocking=True)
        graph_lengths.copy_(torch.tensor(lengths + filling).pin_memory(), non_blocking=True)
        graph.replay()
        return logits[:rows]

    def _capture(self, rows: int) -> tuple[torch.cuda.CUDAGraph, Tensor, Tensor, Tensor]:
        tokens = torch.zeros(rows, dtype=torch.long, device=self._device)
        lengths = torch.full((rows,), self._cache.capacity - 1, device=self._device)  # writes where nothing is yet

        def step() -> Tensor:
            return self._decoder.step(self._cache, tokens, lengths, self._cache.capacity, is_ragged=True)

        aside = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(aside):
            for _ in range(2):  # libraries choose their kernels and workspaces outside the capture
                step()
        torch.cuda.current_stream(self._device).wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        # the thread that pins pixel values calls CUDA meanwhile; a global capture would fail on its calls
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            logits = step()
        return graph, tokens, lengths, logits


def round_up(seats: int, most: int) -> int:
    """Return the next power of two, at most `most`: few shapes, and never more than twice the work."""
    return min(1 << (seats - 1).bit_length(), most)
