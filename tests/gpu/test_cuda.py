"""The CUDA paths: graphs, pinned transfers, half precision. They skip themselves where there is no GPU."""

import pytest
import torch

from core.transcription import Decoding
from tests.unit.recognizer.checkpoints import SHAPES, build_model, save_checkpoint
from tests.unit.recognizer.reference import generate, random_lines
from tests.unit.recognizer.test_exactness import check_equal
from worker.line_image import LineImage
from worker.recognizer.base import LineToRead
from worker.recognizer.checkpoint import resolve_checkpoint
from worker.recognizer.stepping import DirectStepper
from worker.recognizer.trocr import TrocrRecognizer

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU"),
]

LIMIT = 24


@pytest.fixture(scope="module", params=["base", "small", "beit"])
def folder(request, tmp_path_factory):
    return save_checkpoint(tmp_path_factory.mktemp("models") / request.param, SHAPES[request.param])


def load(folder, precision):
    return TrocrRecognizer(resolve_checkpoint(str(folder)), device="cuda", precision=precision, threads=None)


def to_read(count, num_beams=1):
    return [
        LineToRead(LineImage(pixels), Decoding(num_beams=num_beams, max_new_tokens=LIMIT - number % 7))
        for number, pixels in enumerate(random_lines(count))
    ]


@pytest.mark.parametrize("num_beams", [1, 5])
def test_float32_on_cuda_reads_as_generate_does(folder, num_beams):
    torch.backends.cuda.matmul.allow_tf32 = False
    recognizer = load(folder, "float32")
    lines = to_read(9, num_beams)
    model = build_model(SHAPES[folder.name]).to("cuda")
    for line, read in zip(lines, recognizer.hypotheses(lines), strict=True):
        values = recognizer.preprocessor.pixel_values(line.image.pixels)[None].to("cuda")
        references = generate(model, values, num_beams=num_beams, max_new_tokens=line.decoding.max_new_tokens)
        check_equal([read], references)


@pytest.mark.parametrize("num_beams", [1, 3])
def test_a_replayed_graph_gives_what_direct_steps_give(folder, num_beams):
    recognizer = load(folder, "float32")
    lines = to_read(21, num_beams)
    replayed = recognizer.hypotheses(lines)
    batch = recognizer.batch
    batch._step = DirectStepper(batch._decoder, batch._cache, torch.device("cuda"))

    direct = recognizer.hypotheses(lines)

    same = sum(a[0].tokens == b[0].tokens for a, b in zip(replayed, direct, strict=True))
    assert same >= len(lines) - 1  # sums in another order may tip a near tie


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_starts_most_lines_as_float32_does(folder, precision):
    lines = to_read(8)
    exact, read = load(folder, "float32").hypotheses(lines), load(folder, precision).hypotheses(lines)

    same = sum(mine[0].tokens[:2] == theirs[0].tokens[:2] for mine, theirs in zip(read, exact, strict=True))
    assert same >= len(lines) // 2


def test_pixel_values_wait_in_pinned_memory(folder):
    recognizer = load(folder, "auto")

    (line,) = to_read(1)

    assert recognizer._pixel_values(line).is_pinned()


def test_the_default_precision_on_cuda_is_half(folder):
    assert load(folder, "auto").precision in {"bfloat16", "float16"}


def test_warming_up_chooses_a_batch(folder):
    recognizer = load(folder, "auto")

    recognizer.warm_up()

    assert 1 <= recognizer.max_batch <= 2 * recognizer.max_seats
