from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from core.errors import CorruptImage, LineError
from core.transcription import Decoding
from worker.evaluation.evaluation import Evaluation, evaluate
from worker.evaluation.images import LineImages
from worker.evaluation.reference import ReferenceLine
from worker.line_image import LineImage
from worker.recognizer.fake import OUT_OF_MEMORY_MARKER, FakeRecognizer, fake_text


class NumpyDecoder:
    """Decodes `.npy` bytes; counts how often each image was decoded."""

    def __init__(self) -> None:
        self.decoded = 0

    def decode(self, images: Sequence[bytes], /) -> list[LineImage | LineError]:
        self.decoded += len(images)
        return [
            CorruptImage() if image == b"broken" else LineImage(np.frombuffer(image, np.uint8).reshape(20, -1, 3))
            for image in images
        ]


def line(folder: Path, number: int, *, reference: str | None = None, corner: tuple[int, int, int] = (255, 255, 255)):
    pixels = np.full((20, 40 + number, 3), 255, np.uint8)
    pixels[5, 5] = number
    pixels[0, 0] = corner
    file = folder / f"{number}.raw"
    file.write_bytes(pixels.tobytes())
    return ReferenceLine(f"line-{number}", file, fake_text(pixels) if reference is None else reference)


def run(lines: list[ReferenceLine], *, batch: int = 4, recognizer: FakeRecognizer | None = None) -> Evaluation:
    return evaluate(
        lines,
        recognizer=recognizer or FakeRecognizer(),
        images=LineImages(NumpyDecoder()),
        decoding=Decoding(),
        batch=batch,
    )


@pytest.mark.parametrize("batch", [1, 3, 100])
def test_every_line_meets_its_own_reference_in_batches_of_any_size(tmp_path, batch):
    lines = [line(tmp_path, number) for number in range(10)]

    evaluation = run(lines, batch=batch)

    assert [evaluated.line for evaluated in evaluation.lines] == lines
    assert evaluation.counts.exact == 10
    assert evaluation.counts.cer == 0.0


def test_an_unreadable_image_counts_as_read_empty_and_moves_no_other_text(tmp_path):
    lines = [line(tmp_path, number) for number in range(5)]
    lines[2].image.write_bytes(b"broken")
    lines[4].image.unlink()

    evaluation = run(lines)

    assert [evaluated.error for evaluated in evaluation.lines] == [None, None, "corrupt_image", None, "corrupt_image"]
    assert evaluation.counts.lines == 5
    assert evaluation.counts.exact == 3
    assert evaluation.counts.cer == pytest.approx(2 / 5)
    assert evaluation.lines[2].transcription.confidence == 0.0


def test_a_line_too_large_for_the_memory_costs_no_other_line_its_text(tmp_path):
    lines = [line(tmp_path, number) for number in range(3)]
    lines.append(line(tmp_path, 3, corner=OUT_OF_MEMORY_MARKER))

    evaluation = run(lines, recognizer=FakeRecognizer(misbehave=True))

    assert [evaluated.error for evaluated in evaluation.lines] == [None, None, None, "out_of_memory"]
    assert evaluation.counts.exact == 3


def test_the_worst_lines_come_first_and_right_lines_never(tmp_path):
    lines = [
        line(tmp_path, 0),
        line(tmp_path, 1, reference="x"),
        line(tmp_path, 2, reference="a much longer reference"),
    ]

    worst = run(lines).worst(10)

    assert [evaluated.line.name for evaluated in worst] == ["line-2", "line-1"]
    assert run(lines).worst(1) == worst[:1]


def test_the_lines_of_a_page_share_one_decoding_also_across_batches(tmp_path):
    pixels = np.random.default_rng(1).integers(0, 255, (20, 90, 3), np.uint8)
    page = tmp_path / "page.raw"
    page.write_bytes(pixels.tobytes())
    boxes = [((left, 0), (left + 30, 0), (left + 30, 20), (left, 20)) for left in (0, 30, 60)]
    decoder = NumpyDecoder()
    images = LineImages(decoder)

    loaded = [images.load([ReferenceLine(f"page#{number}", page, "text", box)])[0] for number, box in enumerate(boxes)]

    assert decoder.decoded == 1
    assert all(
        np.array_equal(picture.pixels, pixels[:, left : left + 30])
        for picture, left in zip(loaded, (0, 30, 60), strict=True)
    )


def test_progress_is_told_of_every_line(tmp_path):
    told: list[int] = []

    evaluate(
        [line(tmp_path, number) for number in range(5)],
        recognizer=FakeRecognizer(),
        images=LineImages(NumpyDecoder()),
        decoding=Decoding(),
        batch=2,
        on_progress=told.append,
    )

    assert told == [2, 2, 1]
