"""Our tokens are generate's in the real models' widths, heads, vocabularies and picture sizes, two layers deep."""

import pytest

from tests.unit.recognizer.checkpoints import SHALLOW_SHAPES, build_model, save_checkpoint
from tests.unit.recognizer.reference import generate, random_lines
from tests.unit.recognizer.test_exactness import check_equal, pixel_values, to_read
from worker.recognizer.checkpoint import resolve_checkpoint
from worker.recognizer.trocr import TrocrRecognizer

LINES = random_lines(4, seed=1)
LIMIT = 12


@pytest.fixture(scope="module", params=list(SHALLOW_SHAPES))
def pair(request, tmp_path_factory):
    shape = SHALLOW_SHAPES[request.param]
    folder = save_checkpoint(tmp_path_factory.mktemp("checkpoints") / request.param, shape)
    ours = TrocrRecognizer(resolve_checkpoint(str(folder)), device="cpu", precision="float32", threads=1)
    return ours, build_model(shape)


@pytest.mark.parametrize("num_beams", [1, 2, 5, 10])
def test_a_shallow_checkpoint_of_real_width_reads_as_generate_does(pair, num_beams):
    ours, model = pair
    n_best = min(num_beams, 3)
    lines = LINES if num_beams < 10 else LINES[:2]
    references = generate(model, pixel_values(ours, lines), num_beams=num_beams, n_best=n_best, max_new_tokens=LIMIT)

    read = ours.hypotheses(to_read(lines, num_beams=num_beams, n_best=n_best, limit=LIMIT))

    check_equal(read, references, n_best)
    assert len({hypotheses[0].tokens for hypotheses in read}) > len(lines) // 2  # the test tells lines apart
