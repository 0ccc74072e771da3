"""TrOCR behind the recogniser's interface: any checkpoint in the Hugging Face layout, read by our own decode loop."""

import contextlib
import ctypes
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import AutoTokenizer

from core.errors import DeviceLost, ModelUnusable, OutOfMemory
from core.transcription import Alternative, Token, TopToken, Transcription
from worker.recognizer.base import GivenLines, LineSource, LineToRead, PhaseSeconds, Progress, read_all
from worker.recognizer.batch import RunningBatch
from worker.recognizer.checkpoint import Checkpoint
from worker.recognizer.configuration import ModelShape, read_shape
from worker.recognizer.decoder import Decoder
from worker.recognizer.encoder import Encoder
from worker.recognizer.faults import translate
from worker.recognizer.hypothesis import Hypothesis
from worker.recognizer.intake import Intake
from worker.recognizer.policy import StepCosts, choose_ahead, choose_batch, seats_that_fit
from worker.recognizer.precision import Precision, choose_precision
from worker.recognizer.preprocess import Preprocessor
from worker.recognizer.weights import Weights

# a worker on a CPU stays within 1.25 times its weights plus 400 MB, of which torch and transformers take 270
_CPU_BATCH_BYTES = 160 * 1024**2
_GPU_BATCH_SHARE = 0.25
_MOST_SEATS = {"cpu": 16, "cuda": 256}  # measured on 2 cores: a line's share of a step is the same with 16 and with 32
_ROOM_FOR_TOKENS = 64
_LINES_UNTIL_MORE = 8  # for each seat, after memory has run out, until twice as many are tried again
_LINES_PER_TRIM = 16  # the heap's holes grow to 40 MB otherwise; a trim costs some 10 ms
_MEASURED_SIZES = (1, 2, 4, 8, 16, 32, 64)


@dataclass(frozen=True, slots=True)
class _Progress:
    """What a step led to: hypotheses, best first, or what became of them, with the line and its number."""

    finished: Sequence[tuple[int, LineToRead, tuple[Hypothesis, ...] | OutOfMemory]]
    phases: PhaseSeconds
    lines: int


class TrocrRecognizer:
    """A loaded TrOCR checkpoint."""

    def __init__(self, checkpoint: Checkpoint, *, device: str, precision: str, threads: int | None) -> None:
        if threads is not None:
            torch.set_num_threads(threads)
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        formats = choose_precision(precision, device)
        shape = read_shape(checkpoint.folder)
        self.name, self.revision = checkpoint.name, checkpoint.revision
        self.device, self.precision = str(formats.device), formats.name
        self.rules = shape.rules
        self.preprocessor = Preprocessor(checkpoint.folder, shape.encoder.image)
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(checkpoint.folder)
        except (OSError, ValueError, TypeError, ImportError) as error:
            raise ModelUnusable(f"The tokenizer in {checkpoint.folder} cannot be loaded: {error}") from error
        weights = Weights(checkpoint.weights)
        with torch.inference_mode():
            encoder = Encoder(shape.encoder, weights, formats)
            decoder = Decoder(shape.decoder, weights, formats, encoder.tokens)
        weights.release()
        _trim_heap()
        self.batch = RunningBatch(encoder, decoder, shape.rules, formats.device)
        self.max_seats = _choose_seats(shape, formats, encoder.tokens, beams=1)
        self._shape, self._encoder_tokens = shape, encoder.tokens
        self.max_batch, self.max_ahead = self.max_seats, 1
        self._formats = formats
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="pixel-values")

    def warm_up(self) -> None:
        """Read blank lines, and choose the batch by what they cost."""
        sizes = [size for size in _MEASURED_SIZES if size <= self.max_seats]
        costs = StepCosts.measured(*self.batch.measure(sizes))
        self.max_batch = choose_batch(costs, seats=self.max_seats)
        self.max_ahead = choose_ahead(costs, self.max_batch)
        _trim_heap()

    def recognise(self, lines: Sequence[LineToRead]) -> list[Transcription]:
        """Read the lines: same length, same order."""
        return read_all(self, lines)

    def stream(self, source: LineSource) -> Iterator[Progress]:
        """Read lines from the source until no more come, taking another whenever a seat is free."""
        for progress in self._read(source):
            finished = [
                (number, reading if isinstance(reading, OutOfMemory) else self._transcription(line, reading))
                for number, line, reading in progress.finished
            ]
            yield Progress(finished, progress.phases, progress.lines)

    def hypotheses(self, lines: Sequence[LineToRead]) -> list[tuple[Hypothesis, ...]]:
        """Return the token sequences of each line, best first."""
        readings: dict[int, tuple[Hypothesis, ...]] = {}
        for progress in self._read(GivenLines(lines)):
            for number, _, reading in progress.finished:
                if isinstance(reading, OutOfMemory):
                    raise reading
                readings[number] = reading
        return [readings[number] for number in range(len(lines))]

    def _read(self, source: LineSource) -> Iterator[_Progress]:
        """Read lines; when memory runs out, free it and go on with half as many at a time, and with more later."""
        intake = Intake(
            source,
            room=self.max_batch,
            make_pixels=self._pixel_values,
            depth=2 if self._formats.device.type == "cpu" else 32,
            pool=self._pool,
        )
        read = 0
        limits: dict[int, int] = {}  # seats by beams, where memory has run out
        while (beams := intake.next_beams()) is not None:
            fitting = _choose_seats(self._shape, self._formats, self._encoder_tokens, beams=beams)
            seats = min(self.max_seats, self.max_batch, fitting, limits.get(beams, self.max_seats))
            some = None if beams not in limits else _LINES_UNTIL_MORE * seats
            fault: OutOfMemory | None = None
            try:
                for step in self.batch.read(intake, beams=beams, max_seats=seats, most_lines=some):
                    finished = [(number, intake.finish(number), reading) for number, reading in step.finished.items()]
                    yield _Progress(finished, step.phases, step.lines)
                    read += len(finished)
                    if read >= _LINES_PER_TRIM:
                        _trim_heap()
                        read = 0
            except (RuntimeError, MemoryError) as error:
                fault = _out_of_memory(error)
                if not intake.reading:  # nobody is to blame
                    raise fault from error
            # outside the handler, whose error holds on to the tensors of the step that failed
            if fault is not None:
                self._free_memory()
                limits[beams] = max(1, min(seats, len(intake.reading)) // 2)
                if seats == 1:
                    (number,) = intake.reading
                    yield _Progress([(number, intake.finish(number), fault)], PhaseSeconds(), 1)
                intake.put_back()
            elif some is not None:
                limits[beams] = 2 * seats
                if limits[beams] >= min(self.max_seats, self.max_batch, fitting):
                    del limits[beams]
        _trim_heap()

    def _pixel_values(self, line: LineToRead) -> Tensor:
        values = self.preprocessor.pixel_values(line.image.pixels)
        return values if self._formats.device.type == "cpu" else values.pin_memory()

    def _free_memory(self) -> None:
        self.batch.free()
        if self._formats.device.type == "cuda":
            torch.cuda.empty_cache()
        _trim_heap()

    def _transcription(self, line: LineToRead, reading: tuple[Hypothesis, ...]) -> Transcription:
        best = reading[0]
        texts = [self._text(hypothesis) for hypothesis in reading[: line.decoding.n_best]]
        alternatives = tuple(
            Alternative(text, hypothesis.confidence) for text, hypothesis in zip(texts, reading, strict=False)
        )
        return Transcription(
            text=texts[0],
            confidence=best.confidence,
            min_token_confidence=best.min_token_confidence,
            alternatives=alternatives if line.decoding.n_best > 1 else (),
            truncated=best.truncated,
            tokens=self._tokens(best) if line.decoding.top_tokens is not None else (),
            image_tokens=self._encoder_tokens if line.decoding.top_tokens is not None else 0,
        )

    def _tokens(self, hypothesis: Hypothesis) -> tuple[Token, ...]:
        """Return the tokens but for the end; each one's text is what it adds to the text of those before it."""
        tokens: list[Token] = []
        said = ""
        for place, token in enumerate(hypothesis.tokens):
            if token in self.rules.end_tokens:
                break
            text: str = self._tokenizer.decode(list(hypothesis.tokens[: place + 1]), skip_special_tokens=True)
            if text.endswith("\ufffd") and place + 1 < len(hypothesis.tokens):  # a character's first bytes alone
                text = said
            top = hypothesis.top[place] if hypothesis.top else ()
            tokens.append(
                Token(
                    text[len(said) :],
                    hypothesis.log_probabilities[place],
                    tuple(TopToken(self._tokenizer.decode([other]), value) for other, value in top),
                )
            )
            said = text
        return tuple(tokens)

    def _text(self, hypothesis: Hypothesis) -> str:
        text: str = self._tokenizer.decode(list(hypothesis.tokens), skip_special_tokens=True)
        return text


def _out_of_memory(error: BaseException) -> OutOfMemory:
    """Return the error as exhausted memory; raise it as what else it is."""
    fault = translate(error)
    if fault is None:
        raise error
    if isinstance(fault, DeviceLost):
        raise fault from error
    return fault


def _choose_seats(shape: ModelShape, formats: Precision, encoder_tokens: int, *, beams: int) -> int:
    """Return how many lines may be read at a time by what their caches take."""
    decoder = shape.decoder
    cache = beams * 2 * decoder.layers * decoder.width * _ROOM_FOR_TOKENS * formats.stream.itemsize
    width = shape.encoder.width if beams == 1 else 2 * decoder.layers * decoder.width
    memory = encoder_tokens * width * formats.matmul.itemsize
    budget = _CPU_BATCH_BYTES
    if formats.device.type == "cuda":
        budget = int(torch.cuda.mem_get_info(formats.device)[0] * _GPU_BATCH_SHARE)
    most = max(1, _MOST_SEATS[formats.device.type] // beams)
    return seats_that_fit(bytes_per_line=cache + memory, budget=budget, most=most)


def _trim_heap() -> None:
    """Give freed memory back to the system: loading leaves 60 MB or more of it with glibc, a call 40."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
