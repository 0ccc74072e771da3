"""Decode untrusted line images in a confined child: many through one child, in order, each failing only itself.

with ImageSandbox() as sandbox:
    outcomes = sandbox.decode([png, jpeg, ...])       # LineImage or LineError, same length, same order
    for outcome in sandbox.stream(images): ...        # the same, while the child decodes ahead
"""

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from signal import SIGPROF
from types import TracebackType
from typing import Self

import numpy as np
import structlog
from numpy.typing import NDArray

from core.errors import (
    CorruptImage,
    DecodeTimeout,
    ImageDimensions,
    LineError,
    MultipleFrames,
    UnsupportedImageFormat,
)
from worker.line_image import LineImage
from worker.sandbox import image_answer
from worker.sandbox.child_process import ChildDied, ChildProcess, ChildSilent
from worker.sandbox.image_answer import Verdict
from worker.sandbox.limits import SandboxLimits
from worker.sandbox.protocol import OUT_OF_MEMORY_EXIT, Frame, Kind, ProtocolViolation

Outcome = LineImage | LineError

_ENTRY = "worker.sandbox.image_decoder"
_LIBRARIES = ("PIL",)
_READ_AHEAD_IMAGES = 256
_UNSENT_PARTS = 64
_TRIES = 2  # a child may be killed from outside, so one death is not yet the image's fault

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Pending:
    """An image on its way: not answered yet, or settled without asking the child."""

    data: bytes
    sequence: int = 0
    tries: int = 0
    outcome: Outcome | None = None


class ImageSandbox:
    """Owns one child at a time: started when first needed, replaced when it dies, hangs or has served its share.

    Not for use by two threads at once, and one stream at a time. A process forked from the one that used it starts a
    child of its own.
    """

    def __init__(self, limits: SandboxLimits | None = None, *, entry: str = _ENTRY) -> None:
        """`entry` is the module that decodes in the child (see child_main.py); tests put a misbehaving one there."""
        self.limits = limits or SandboxLimits()
        self._entry = entry
        self._child: ChildProcess | None = None
        self._served = 0  # requests given to the present child
        self._sequence = 0
        self._asked: deque[_Pending] = deque()  # given to the present child and not answered, oldest first
        self._is_streaming = False

    @property
    def child(self) -> ChildProcess | None:
        """The present child, if one is running."""
        return self._child

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let the child go. The sandbox can be used again afterwards; the next image starts a new child."""
        child, self._child = self._child, None
        if child is not None:
            if child.owner_id == os.getpid():
                child.close()
            else:
                child.abandon()

    def decode(self, images: Sequence[bytes]) -> list[Outcome]:
        """Decode all images; outcome i belongs to image i. Raise SandboxUnavailable if no child can be started."""
        return list(self.stream(images))

    def stream(self, images: Iterable[bytes]) -> Iterator[Outcome]:
        """Yield the outcome of each image, in order, while the child works ahead.

        Takes at most some hundred images more from `images` than it has yielded. Stopping early costs the child,
        since what it was given cannot be taken back.
        """
        if self._is_streaming:
            raise RuntimeError("this sandbox is already decoding; finish that stream first")
        self._is_streaming = True
        pending: deque[_Pending] = deque()  # taken, in order, and not yet yielded
        source = iter(images)
        is_exhausted = False
        try:
            while True:
                while not is_exhausted and len(pending) < _READ_AHEAD_IMAGES and self._has_room():
                    data = next(source, None)
                    if data is None:
                        is_exhausted = True
                    else:
                        pending.append(self._admit(data))
                if not pending:
                    return
                if pending[0].outcome is None:
                    self._advance()
                while pending and (outcome := pending[0].outcome) is not None:
                    pending.popleft()
                    yield outcome
        finally:
            self._is_streaming = False
            if self._asked:
                self._asked.clear()
                self._kill()

    def _has_room(self) -> bool:
        """Say whether another image may be lined up; a child that has served its share first answers what it has."""
        if self._served >= self.limits.requests_per_child:
            if self._asked:
                return False
            self.close()
            self._served = 0
        return self._child is None or self._child.unsent_parts < _UNSENT_PARTS

    def _admit(self, data: bytes) -> _Pending:
        """Line an image up for the child, unless its length already settles it."""
        image = _Pending(data)
        if len(data) > self.limits.max_image_bytes:
            image.outcome = DecodeTimeout(f"The image has more than {self.limits.max_image_bytes} bytes.")
        else:
            self._ask(image)
        return image

    def _ask(self, image: _Pending) -> None:
        self._sequence = (self._sequence + 1) % 2**32
        image.sequence = self._sequence
        self._running_child().queue(image.sequence, image.data)
        self._asked.append(image)
        self._served += 1

    def _running_child(self) -> ChildProcess:
        """Return the present child; start one if there is none, or if there is one only in the process we came from."""
        if self._child is not None and self._child.owner_id != os.getpid():
            self.close()
        if self._child is None:
            self._served = 0
            largest = image_answer.HEADER.size + 3 * self.limits.max_image_pixels
            self._child = ChildProcess(self._entry, self.limits, max_answer_bytes=largest, libraries=_LIBRARIES)
        return self._child

    def _advance(self) -> None:
        """Wait for answers. When the child fails instead, blame the image it was at and ask the rest anew."""
        try:
            for frame in self._running_child().receive():
                self._settle_oldest(frame)
        except (ChildDied, ChildSilent, ProtocolViolation) as error:
            self._kill()
            unanswered = list(self._asked)
            self._asked.clear()
            if unanswered:
                unanswered[0].outcome = _verdict_on_failure(unanswered[0], error)
            _log.warning(
                "sandbox.child_failed", reason=str(error), retried=bool(unanswered and not unanswered[0].outcome)
            )
            for image in unanswered:
                if image.outcome is None:
                    self._ask(image)

    def _settle_oldest(self, frame: Frame) -> None:
        """Give the oldest unanswered image its outcome; raise ProtocolViolation if the frame is not its answer."""
        if not self._asked or frame.kind is not Kind.ANSWER or frame.sequence != self._asked[0].sequence:
            raise ProtocolViolation("an answer to no question")
        self._asked[0].outcome = self._read_answer(frame.payload)
        self._asked.popleft()

    def _kill(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.kill()

    def _read_answer(self, payload: bytearray) -> Outcome:
        """Turn an answer into pixels or the error it names; raise ProtocolViolation if it contradicts itself."""
        if len(payload) < image_answer.HEADER.size:
            raise ProtocolViolation("an answer without its header")
        verdict, channels, width, height = image_answer.HEADER.unpack_from(payload)
        length = len(payload) - image_answer.HEADER.size
        if verdict == Verdict.PIXELS:
            is_possible = channels in {1, 3} and self.limits.allows_dimensions(width, height)
            if not is_possible or length != width * height * channels:
                raise ProtocolViolation("pixels that do not fit their own dimensions")
            return LineImage(_rgb(payload, width, height, channels))
        if length or verdict not in _ERRORS:
            raise ProtocolViolation("an unknown verdict")
        if verdict == Verdict.IMAGE_DIMENSIONS and width:
            return ImageDimensions(f"The image measures {width} x {height} pixels, which is outside the limits.")
        return _ERRORS[verdict]()


_ERRORS: dict[int, type[LineError]] = {
    Verdict.CORRUPT_IMAGE: CorruptImage,
    Verdict.UNSUPPORTED_IMAGE_FORMAT: UnsupportedImageFormat,
    Verdict.MULTIPLE_FRAMES: MultipleFrames,
    Verdict.IMAGE_DIMENSIONS: ImageDimensions,
}


def _rgb(answer: bytearray, width: int, height: int, channels: int) -> NDArray[np.uint8]:
    """View the pixels of an answer as (height, width, 3), writable and contiguous; grey is repeated."""
    pixels = np.frombuffer(answer, np.uint8, offset=image_answer.HEADER.size).reshape(height, width, channels)
    return pixels if channels == 3 else np.repeat(pixels, 3, axis=2)


def _verdict_on_failure(image: _Pending, error: Exception) -> LineError | None:
    """Say what the child's end means for the image it was at; None grants the image another try."""
    if isinstance(error, ProtocolViolation):
        return CorruptImage()
    if isinstance(error, ChildSilent):
        return DecodeTimeout("The image took too long to decode.")
    exit_status = error.exit_status if isinstance(error, ChildDied) else 0
    if exit_status == -SIGPROF:
        return DecodeTimeout("The image took too much processor time to decode.")
    image.tries += 1
    if image.tries < _TRIES:
        return None
    is_memory = exit_status == OUT_OF_MEMORY_EXIT
    return DecodeTimeout("The image took too much memory to decode.") if is_memory else CorruptImage()
