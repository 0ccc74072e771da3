"""Make pixel values while the model computes: one thread works a few lines ahead of the batch."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from torch import Tensor


class Ahead:
    """Computes values in order, at most `depth` before they are asked for."""

    def __init__(self, makers: Sequence[Callable[[], Tensor]], *, depth: int, pool: ThreadPoolExecutor) -> None:
        self._waiting: Iterator[Callable[[], Tensor]] = iter(makers)
        self._pool = pool
        self._pending: deque[Future[Tensor]] = deque()
        for _ in range(depth):
            self._submit()

    def _submit(self) -> None:
        maker = next(self._waiting, None)
        if maker is not None:
            self._pending.append(self._pool.submit(maker))

    def take(self) -> Tensor:
        """Return the next value, and let the thread begin another."""
        value = self._pending.popleft().result()
        self._submit()
        return value
