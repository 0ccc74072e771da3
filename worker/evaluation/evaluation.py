"""Read lines with a recogniser and compare what it says with their references."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from core.errors import LineError, OutOfMemory
from core.transcription import Decoding, Transcription
from worker.evaluation.calibration import Judged
from worker.evaluation.images import LineImages
from worker.evaluation.metrics import Counts, count, total
from worker.evaluation.reference import ReferenceLine
from worker.line_image import LineImage
from worker.recognizer.base import LineToRead, Recognizer

# at the end of a call seats stay empty, so a call takes several times as many lines as there are seats
_LINES_PER_SEAT = 4
_NOTHING_READ = Transcription(text="", confidence=0.0, min_token_confidence=0.0)


@dataclass(frozen=True, slots=True)
class EvaluatedLine:
    """A line, what was read, and the code of the error when nothing could be: such a line counts as read empty."""

    line: ReferenceLine
    transcription: Transcription
    counts: Counts
    error: str | None = None

    @property
    def judged(self) -> Judged:
        """The line as calibration sees it."""
        return Judged(self.line.name, self.transcription.confidence, self.counts)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All lines, in the order of the data set, and the time that the recogniser alone took."""

    lines: tuple[EvaluatedLine, ...]
    seconds: float

    @property
    def counts(self) -> Counts:
        """The corpus' counts."""
        return total(line.counts for line in self.lines)

    @property
    def judged(self) -> list[Judged]:
        """The lines as calibration sees them."""
        return [line.judged for line in self.lines]

    def worst(self, number: int) -> list[EvaluatedLine]:
        """Return the lines with the most edits, at equal edits the shortest first; right lines are never among them."""
        wrong = [line for line in self.lines if not line.counts.exact]
        wrong.sort(key=lambda line: (-line.counts.character_edits, line.counts.characters, line.line.name))
        return wrong[:number]


def evaluate(
    lines: Sequence[ReferenceLine],
    *,
    recognizer: Recognizer,
    images: LineImages,
    decoding: Decoding,
    batch: int | None = None,
    on_progress: Callable[[int], None] = lambda _: None,
) -> Evaluation:
    """Read all lines, `batch` in a call; `on_progress` is told how many lines were just finished."""
    batch = batch or _LINES_PER_SEAT * recognizer.max_batch
    evaluated: list[EvaluatedLine] = []
    seconds = 0.0
    for start in range(0, len(lines), batch):
        group = lines[start : start + batch]
        pictures = list(zip(group, images.load(group), strict=True))
        readable = [LineToRead(picture, decoding) for _, picture in pictures if isinstance(picture, LineImage)]
        started = time.perf_counter()
        read = iter(_recognise(recognizer, readable))
        seconds += time.perf_counter() - started
        for line, picture in pictures:
            transcription = picture if isinstance(picture, LineError) else next(read)
            evaluated.append(_evaluated(line, transcription))
        on_progress(len(group))
    return Evaluation(tuple(evaluated), seconds)


def _recognise(recognizer: Recognizer, lines: list[LineToRead]) -> list[Transcription | OutOfMemory]:
    """Read the lines; a line that does not fit into memory even alone costs nobody else's text."""
    if not lines:
        return []
    try:
        transcriptions = recognizer.recognise(lines)
    except OutOfMemory as error:
        return [error] if len(lines) == 1 else [read for line in lines for read in _recognise(recognizer, [line])]
    if len(transcriptions) != len(lines):
        raise AssertionError(f"{len(lines)} lines were given and {len(transcriptions)} texts came back.")
    return list(transcriptions)


def _evaluated(line: ReferenceLine, read: Transcription | LineError | OutOfMemory) -> EvaluatedLine:
    transcription = read if isinstance(read, Transcription) else _NOTHING_READ
    error = None if isinstance(read, Transcription) else read.code
    return EvaluatedLine(line, transcription, count(line.reference, transcription.text), error)
