"""The one interface between the service and a model: lines in, transcriptions out, same length, same order."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from core.transcription import Decoding, Transcription
from worker.line_image import LineImage


@dataclass(frozen=True, slots=True)
class LineToRead:
    """A line image with the decoding its job asked for; lines of one call may ask for different decodings."""

    image: LineImage
    decoding: Decoding


@dataclass(frozen=True, slots=True)
class PhaseSeconds:
    """Where the time of a call went: making pixel values, encoding pictures, generating tokens."""

    preprocess: float = 0.0
    encode: float = 0.0
    generate: float = 0.0


class Recognizer(Protocol):
    """A loaded model that reads line images. One per process; not thread-safe."""

    @property
    def name(self) -> str:
        """The served model's name, such as `trocr-base-handwritten`."""

    @property
    def revision(self) -> str:
        """What tells two weights of the same name apart: a hub commit, or a digest of the weights' file."""

    @property
    def device(self) -> str:
        """Where it runs, such as `cpu` or `cuda:0`."""

    @property
    def precision(self) -> str:
        """One of `float32`, `bfloat16`, `float16`, `int8`."""

    @property
    def max_batch(self) -> int:
        """The most lines worth claiming for one call."""

    @property
    def last_phases(self) -> PhaseSeconds:
        """Where the time of the last call went."""

    def warm_up(self) -> None:
        """Read a few blank lines, so that the first real one does not pay for lazy set-up."""

    def recognise(self, lines: Sequence[LineToRead]) -> list[Transcription]:
        """Read the lines.

        Returns:
            One transcription per line, in the order of `lines`.

        Raises:
            core.errors.OutOfMemory: one line alone does not fit; larger batches are halved and retried inside.
            core.errors.DeviceLost: the accelerator is in a state that only a new process can leave.
        """
