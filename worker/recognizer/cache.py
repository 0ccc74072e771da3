"""What the running batch remembers: self-attention keys and values per row, cross-attention memory per seat.

A seat holds one line; each of its beams is a row. Seats 0 to n - 1 are taken, so every step works on one slice.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

# by doubling on a GPU, whose graphs must be captured again each time; in small steps where memory is what counts
_FIRST_CAPACITY = {"cpu": 16, "cuda": 32}
_CPU_STEP = 16


class Cache:
    """Buffers that grow and are reused from line to line and from batch to batch."""

    def __init__(
        self, *, layers: int, heads: int, head_width: int, max_length: int, device: torch.device, dtype: torch.dtype
    ) -> None:
        self._layers, self._heads, self._head_width = layers, heads, head_width
        self._max_length = max_length
        self._device, self._dtype = device, dtype
        self.beams = 1
        self.generation = 0  # counts changes of the buffers' addresses
        self._seats = 0
        self._length = 0
        # per layer (R, T, H, d): what a token adds is one run of memory
        self._keys: list[Tensor] = []
        self._values: list[Tensor] = []
        self._memory: list[tuple[Tensor, ...]] = []  # per layer, tensors (S, ...)

    @property
    def seats(self) -> int:
        """How many lines there is room for."""
        return self._seats

    @property
    def capacity(self) -> int:
        """How many tokens per row there is room for."""
        return self._length

    def open(self, seats: int, beams: int) -> None:
        """Make room for `seats` lines of `beams` beams each, forgetting everything."""
        if seats * beams > self._seats * self.beams or seats > self._seats or beams != self.beams:
            self.close()
            self._seats, self.beams = seats, beams
        self.reserve(_FIRST_CAPACITY[self._device.type])

    def close(self) -> None:
        """Free all buffers."""
        self.generation += 1
        self._seats, self._length = 0, 0
        self._keys, self._values, self._memory = [], [], []

    def reserve(self, length: int) -> None:
        """Make room for `length` tokens per row, keeping what is there."""
        if length <= self._length:
            return
        self.generation += 1
        capacity = max(self._length, _FIRST_CAPACITY[self._device.type])
        while capacity < length:
            capacity += _CPU_STEP if self._device.type == "cpu" else capacity
        capacity = min(capacity, max(self._max_length, length))
        shape = (self._seats * self.beams, capacity, self._heads, self._head_width)
        for buffers in (self._keys, self._values):
            for layer in range(self._layers):
                # zeros, not garbage: what is masked out is still multiplied by zero, and zero times NaN is NaN
                wider = torch.zeros(shape, device=self._device, dtype=self._dtype)
                if self._length:
                    wider[:, : self._length] = buffers[layer]
                    buffers[layer] = wider
                else:
                    buffers.append(wider)
        self._length = capacity

    def places(self, positions: Tensor) -> Tensor:
        """Return where in the buffers each row's token at a position (R,) goes; it holds until they grow."""
        return positions + torch.arange(positions.shape[0], device=positions.device) * self._length

    def append(self, layer: int, keys: Tensor, values: Tensor, places: Tensor, length: int) -> tuple[Tensor, Tensor]:
        """Write one token per row and return what its row holds.

        Args:
            layer: which layer's cache.
            keys: of each row's token, (R, H * d).
            values: (R, H * d).
            places: (R,), where they go.
            length: how many positions to return.

        Returns:
            Keys and values, (R, H, length, d).
        """
        own_keys, own_values = self._keys[layer], self._values[layer]
        own_keys.view(-1, keys.shape[1]).index_copy_(0, places, keys)
        own_values.view(-1, values.shape[1]).index_copy_(0, places, values)
        rows = keys.shape[0]
        return own_keys[:rows, :length].transpose(1, 2), own_values[:rows, :length].transpose(1, 2)

    def reorder(self, rows: Tensor, length: int) -> None:
        """Let each row go on from another row's past: row i becomes what row `rows[i]` was."""
        count = rows.shape[0]
        for buffers in (self._keys, self._values):
            for buffer in buffers:
                buffer[:count, :length] = buffer[rows, :length]

    def seat(self, number: int, memory: Sequence[tuple[Tensor, ...]], place: int) -> None:
        """Put the cross-attention memory of one of several lines, per layer tensors (B, ...), at a seat."""
        if not self._memory:
            self._memory = self._allocate(memory)
        stored: set[int] = set()
        for mine, theirs in zip(self._memory, memory, strict=True):
            for buffer, tensor in zip(mine, theirs, strict=True):
                if id(buffer) not in stored:
                    buffer[number] = tensor[place]
                    stored.add(id(buffer))

    def _allocate(self, memory: Sequence[tuple[Tensor, ...]]) -> list[tuple[Tensor, ...]]:
        """Return empty buffers for every seat; tensors that layers share stay shared."""
        buffers: dict[int, Tensor] = {}
        for layer in memory:
            for tensor in layer:
                if id(tensor) not in buffers:
                    buffers[id(tensor)] = torch.zeros(
                        (self._seats, *tensor.shape[1:]), device=self._device, dtype=tensor.dtype
                    )
        return [tuple(buffers[id(tensor)] for tensor in layer) for layer in memory]

    def memory(self, layer: int, seats: int) -> tuple[Tensor, ...]:
        """Return one layer's cross-attention memory of the first seats."""
        return tuple(buffer[:seats] for buffer in self._memory[layer])

    def move(self, source: int, target: int, length: int) -> None:
        """Move a line from one seat to another."""
        if source == target:
            return
        here, there = (slice(seat * self.beams, (seat + 1) * self.beams) for seat in (source, target))
        for buffers in (self._keys, self._values):
            for buffer in buffers:
                buffer[there, :length] = buffer[here, :length]
        moved: set[int] = set()
        for layer in self._memory:
            for buffer in layer:
                if id(buffer) not in moved:
                    buffer[target] = buffer[source]
                    moved.add(id(buffer))
