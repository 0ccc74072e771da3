"""The one interface between the service and a model: lines in, transcriptions out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from core.errors import OutOfMemory
from core.transcription import Decoding, Transcription
from worker.line_image import LineImage


@dataclass(frozen=True, slots=True)
class LineToRead:
    """A line image with the decoding its job asked for; lines of one call may ask for different decodings."""

    image: LineImage
    decoding: Decoding


@dataclass(frozen=True, slots=True)
class PhaseSeconds:
    """Where time went: waiting for pixel values, encoding pictures, generating tokens."""

    preprocess: float = 0.0
    encode: float = 0.0
    generate: float = 0.0

    def __add__(self, other: "PhaseSeconds") -> "PhaseSeconds":
        """Return the sums."""
        return PhaseSeconds(
            self.preprocess + other.preprocess, self.encode + other.encode, self.generate + other.generate
        )


class LineSource(Protocol):
    """Where a recogniser takes lines from while it reads."""

    def take(self, most: int, *, wait: bool) -> Sequence[LineToRead]:
        """Return at most `most` lines, without delay: those that are ready.

        With `wait` there is nothing else to do, so it may take its time; that it returns none then says that no more
        will come.
        """


@dataclass(frozen=True, slots=True)
class Progress:
    """What a recogniser got done since it last said so.

    `finished` names lines by their number, counted from 0 in the order in which they were taken; a line that does not
    fit into memory even alone ends as `OutOfMemory`. `lines` is how many the forward pass had.
    """

    finished: Sequence[tuple[int, Transcription | OutOfMemory]]
    phases: PhaseSeconds
    lines: int


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
        """The most lines worth having in hand at once."""

    @property
    def max_ahead(self) -> int:
        """How many more are worth having ready, so that it need not wait for the next."""

    def warm_up(self) -> None:
        """Read a few blank lines, so that the first real one does not pay for lazy set-up."""

    def stream(self, source: LineSource) -> Iterator[Progress]:
        """Read lines from the source until no more come, taking another whenever there is room for it.

        At most `max_batch` lines are taken and not finished. Progress is told after every forward pass, so that a
        reader who hears nothing knows that it hangs.

        Raises:
            core.errors.DeviceLost: the accelerator is in a state that only a new process can leave.
        """

    def recognise(self, lines: Sequence[LineToRead]) -> list[Transcription]:
        """Read the lines.

        Returns:
            One transcription per line, in the order of `lines`.

        Raises:
            core.errors.OutOfMemory: one line alone does not fit; larger batches are halved and retried inside.
            core.errors.DeviceLost: the accelerator is in a state that only a new process can leave.
        """


class GivenLines:
    """A source of lines that are all there from the beginning."""

    def __init__(self, lines: Sequence[LineToRead]) -> None:
        self._lines = lines
        self._taken = 0

    def take(self, most: int, *, wait: bool) -> Sequence[LineToRead]:  # noqa: ARG002  (there is nothing to wait for)
        """Return the next lines."""
        taken = self._lines[self._taken : self._taken + most]
        self._taken += len(taken)
        return taken


def read_all(recognizer: Recognizer, lines: Sequence[LineToRead]) -> list[Transcription]:
    """Do what `Recognizer.recognise` promises, by its stream."""
    read: dict[int, Transcription] = {}
    for progress in recognizer.stream(GivenLines(lines)):
        for number, result in progress.finished:
            if isinstance(result, OutOfMemory):
                raise result
            read[number] = result
    return [read[number] for number in range(len(lines))]
