"""A recogniser without a model: its text is a function of the pixels, its speed and its misbehaviour are settings.

For load and fault tests of everything around the model. Nothing here imports torch.
"""

import hashlib
import math
import os
import signal
import time
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from core.errors import DeviceLost, OutOfMemory
from core.transcription import Alternative, Token, TopToken, Transcription
from worker.recognizer.base import LineSource, LineToRead, PhaseSeconds, Progress, read_all

# The colour of the top left pixel that makes a misbehaving fake do it.
SEGFAULT_MARKER = (1, 2, 3)
HANG_MARKER = (4, 5, 6)
OUT_OF_MEMORY_MARKER = (7, 8, 9)
DEVICE_LOST_MARKER = (10, 11, 12)

_HANG_SECONDS = 3600.0
_TOKEN_LETTERS = 5
_IMAGE_TOKENS = 10


def fake_text(pixels: NDArray[np.uint8]) -> str:
    """Return the text that the fake recogniser reads from these pixels."""
    return _text_of(_digest(pixels))


def _text_of(digest: bytes) -> str:
    return f"fake-{digest.hex()[:12]}"


def _digest(pixels: NDArray[np.uint8]) -> bytes:
    digest = hashlib.sha256(repr(pixels.shape).encode())
    digest.update(np.ascontiguousarray(pixels).tobytes())
    return digest.digest()


class FakeRecognizer:
    """Reads at a settable speed; with `misbehave`, marked lines crash, hang, exhaust memory or lose the device.

    A line with the out-of-memory marker does not fit even alone; `memory_lines` is how many ordinary lines fit.
    """

    name = "fake"
    revision = "fake"
    device = "cpu"
    precision = "float32"

    def __init__(
        self,
        *,
        batch_seconds: float = 0.0,
        line_seconds: float = 0.0,
        max_batch: int = 32,
        memory_lines: int | None = None,
        misbehave: bool = False,
    ) -> None:
        self.max_batch = self.max_ahead = max_batch
        self._batch_seconds = batch_seconds
        self._line_seconds = line_seconds
        self._memory_lines = memory_lines
        self._misbehave = misbehave

    def warm_up(self) -> None:
        """Do nothing: there is nothing lazy here."""

    def recognise(self, lines: Sequence[LineToRead]) -> list[Transcription]:
        """Read the lines: same length, same order."""
        return read_all(self, lines)

    def stream(self, source: LineSource) -> Iterator[Progress]:
        """Read lines from the source, as many at a time as it has ready."""
        taken = 0
        while lines := source.take(self.max_batch, wait=True):
            for some in self._that_fit(lines):
                seconds = self._batch_seconds + self._line_seconds * len(some)
                if seconds:
                    time.sleep(seconds)
                is_too_much = self._misbehave and self._exhausts_memory(some)
                read = [OutOfMemory() if is_too_much else self._read(line) for line in some]
                yield Progress(list(enumerate(read, taken)), PhaseSeconds(generate=seconds), len(some))
                taken += len(some)

    def _that_fit(self, lines: Sequence[LineToRead]) -> Iterator[Sequence[LineToRead]]:
        """Halve lines until they fit, or are alone."""
        if len(lines) == 1 or not (self._misbehave and self._exhausts_memory(lines)):
            yield lines
            return
        half = len(lines) // 2
        yield from self._that_fit(lines[:half])
        yield from self._that_fit(lines[half:])

    def _exhausts_memory(self, lines: Sequence[LineToRead]) -> bool:
        too_many = self._memory_lines is not None and len(lines) > self._memory_lines
        return too_many or any(_marker(line) == OUT_OF_MEMORY_MARKER for line in lines)

    def _read(self, line: LineToRead) -> Transcription:
        if self._misbehave:
            _act_up(_marker(line))
        digest = _digest(line.image.pixels)
        text = _text_of(digest)
        confidence = 0.5 + digest[-1] / 512
        limit = line.decoding.max_new_tokens
        n_best = line.decoding.n_best
        alternatives = tuple(
            Alternative(text if rank == 0 else f"{text}-{rank}", confidence / (rank + 1)) for rank in range(n_best)
        )
        return Transcription(
            text=text,
            confidence=confidence,
            min_token_confidence=confidence * 0.9,
            alternatives=alternatives if n_best > 1 else (),
            truncated=limit is not None and limit < len(text),
            tokens=_tokens(text, confidence, line.decoding.top_tokens) if line.decoding.top_tokens is not None else (),
            image_tokens=_IMAGE_TOKENS if line.decoding.top_tokens is not None else 0,
        )


def _tokens(text: str, confidence: float, top_tokens: int) -> tuple[Token, ...]:
    """Cut the text into tokens of a few letters, each as sure as the line."""
    log_probability = math.log(confidence)
    pieces = [text[start : start + _TOKEN_LETTERS] for start in range(0, len(text), _TOKEN_LETTERS)]
    return tuple(
        Token(
            piece,
            log_probability,
            tuple(TopToken(f"{piece}{'?' * rank}", log_probability - rank) for rank in range(top_tokens)),
        )
        for piece in pieces
    )


def _marker(line: LineToRead) -> tuple[int, int, int]:
    red, green, blue = (int(value) for value in line.image.pixels[0, 0])
    return red, green, blue


def _act_up(marker: tuple[int, int, int]) -> None:
    if marker == SEGFAULT_MARKER:
        os.kill(os.getpid(), signal.SIGSEGV)
    elif marker == HANG_MARKER:
        time.sleep(_HANG_SECONDS)
    elif marker == DEVICE_LOST_MARKER:
        raise DeviceLost
