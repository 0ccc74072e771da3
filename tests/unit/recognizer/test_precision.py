"""Lossy precisions stay close to float32, and no line depends on its neighbours in any of them."""

import pytest
import torch

from core.transcription import Decoding
from tests.unit.recognizer.checkpoints import SHAPES, save_checkpoint
from tests.unit.recognizer.reference import random_lines
from worker.line_image import LineImage
from worker.recognizer.attention import attend
from worker.recognizer.base import LineToRead
from worker.recognizer.checkpoint import resolve_checkpoint
from worker.recognizer.int8 import Int8Linear, Int8RowLinear
from worker.recognizer.trocr import TrocrRecognizer

LINES = [LineToRead(LineImage(pixels), Decoding(max_new_tokens=16)) for pixels in random_lines(6)]


@pytest.fixture(scope="module", params=["base", "small", "beit"])
def folder(request, tmp_path_factory):
    return save_checkpoint(tmp_path_factory.mktemp("models") / request.param, SHAPES[request.param])


def load(folder, precision):
    return TrocrRecognizer(resolve_checkpoint(str(folder)), device="cpu", precision=precision, threads=1)


@pytest.mark.parametrize("precision", ["bfloat16", "float16", "int8"])
def test_a_lossy_precision_starts_most_lines_as_float32_does(folder, precision):
    exact = load(folder, "float32").hypotheses(LINES)

    read = load(folder, precision).hypotheses(LINES)

    same = sum(mine[0].tokens[:2] == theirs[0].tokens[:2] for mine, theirs in zip(read, exact, strict=True))
    print(f"{precision}: {same} of {len(LINES)} lines start the same")  # noqa: T201  (the figure belongs in the log)
    assert same >= len(LINES) // 2


@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_a_line_reads_the_same_in_any_company_in_a_lossy_precision_too(folder, precision):
    recognizer = load(folder, precision)
    alone = [recognizer.hypotheses([line])[0] for line in LINES]

    together = recognizer.hypotheses(LINES)

    same = sum(mine[0].tokens == other[0].tokens for mine, other in zip(together, alone, strict=True))
    assert same >= len(LINES) - 1  # sums in another order may tip a near tie


@pytest.mark.parametrize("kind", [Int8Linear, Int8RowLinear])
@pytest.mark.parametrize("activation", ["none", "relu", "gelu", "gelu_tanh"])
@pytest.mark.parametrize("rows", [1, 3, 16])
def test_an_int8_layer_is_within_two_percent_of_its_float32_self(kind, activation, rows):
    torch.manual_seed(0)
    weight, bias, x = torch.randn(48, 96) / 10, torch.randn(48), torch.randn(rows, 96)
    layer = kind(weight, bias, rows=rows, activation=activation, output=torch.float32)
    expected = torch.nn.functional.linear(x, weight, bias)
    if activation == "relu":
        expected = expected.relu()
    elif activation != "none":
        expected = torch.nn.functional.gelu(expected, approximate="tanh" if activation == "gelu_tanh" else "none")

    error = (layer(x) - expected).abs().max() / expected.abs().max()

    assert error < 0.02


@pytest.mark.parametrize("inputs", [64, 1024])
def test_a_row_of_an_int8_layer_is_the_same_to_the_bit_in_any_company(inputs):
    torch.manual_seed(0)
    layer = Int8RowLinear(torch.randn(32, inputs), torch.randn(32), rows=16, activation="none", output=torch.float32)
    x = torch.randn(9, inputs) * torch.logspace(-3, 3, 9)[:, None]

    together = layer(x)

    for count in (1, 2, 3, 4):
        some = torch.cat([layer(x[start : start + count]) for start in range(0, len(x), count)])
        assert torch.equal(some, together)


def test_an_int8_layer_rounds_each_row_to_the_nearest_of_its_own_255_values():
    torch.manual_seed(0)
    layer = Int8RowLinear(torch.eye(64), None, rows=16, activation="none", output=torch.float32)
    x = torch.randn(3, 64) * torch.logspace(-3, 3, 3)[:, None]

    error = (layer(x) - x).abs().amax(dim=1) / x.abs().amax(dim=1)

    assert (error <= 0.5001 / 127).all()


@pytest.mark.parametrize("heads", [3, 6, 8])
def test_attention_by_groups_of_heads_gives_each_line_and_head_its_own_position_bias(heads):
    torch.manual_seed(0)
    qkv, bias = torch.randn(2, 5, 3 * heads * 16) / 4, torch.randn(1, heads, 5, 5)

    grouped = attend(qkv.to(torch.bfloat16), heads, bias.to(torch.bfloat16)).float()

    torch.testing.assert_close(grouped, attend(qkv, heads, bias), atol=0.02, rtol=0.05)
