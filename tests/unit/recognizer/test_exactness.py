"""Our tokens are generate's tokens."""

import json
import random

import numpy as np
import pytest
import torch
from transformers import VisionEncoderDecoderModel

from core.transcription import Decoding
from tests.unit.recognizer.checkpoints import SHAPES, build_model, save_checkpoint
from tests.unit.recognizer.reference import CONFIDENCE_TOLERANCE, generate, is_near_tie, random_lines
from worker.line_image import LineImage
from worker.recognizer.base import LineToRead
from worker.recognizer.checkpoint import resolve_checkpoint
from worker.recognizer.hypothesis import Hypothesis
from worker.recognizer.trocr import TrocrRecognizer

LINES = random_lines(9)
LIMIT = 24


@pytest.fixture(scope="module", params=list(SHAPES))
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[TrocrRecognizer, VisionEncoderDecoderModel]:
    folder = save_checkpoint(tmp_path_factory.mktemp("checkpoints") / request.param, SHAPES[request.param])
    ours = TrocrRecognizer(resolve_checkpoint(str(folder)), device="cpu", precision="float32", threads=1)
    return ours, build_model(SHAPES[request.param])


def to_read(
    lines: list[np.ndarray], *, num_beams: int = 1, n_best: int = 1, limit: int | list[int] = LIMIT
) -> list[LineToRead]:
    limits = limit if isinstance(limit, list) else [limit] * len(lines)
    return [
        LineToRead(LineImage(pixels), Decoding(num_beams=num_beams, n_best=n_best, max_new_tokens=tokens))
        for pixels, tokens in zip(lines, limits, strict=True)
    ]


def pixel_values(recognizer: TrocrRecognizer, lines: list[np.ndarray]) -> torch.Tensor:
    return torch.stack([recognizer.preprocessor.pixel_values(pixels) for pixels in lines])


def check_equal(ours: list[tuple[Hypothesis, ...]], references: list, n_best: int = 1) -> None:
    excused = 0
    for line, (mine, theirs) in enumerate(zip(ours, references, strict=True)):
        for hypothesis, reference in zip(mine[:n_best], theirs, strict=True):
            if hypothesis.tokens != reference.tokens:
                excuse = is_near_tie(hypothesis.tokens, hypothesis.score, reference)
                assert excuse, f"line {line}: {hypothesis.tokens} != {reference.tokens}"
                excused += 1
                continue
            assert hypothesis.confidence == pytest.approx(reference.confidence, abs=CONFIDENCE_TOLERANCE)
            smallest = np.exp(min(reference.log_probabilities))
            assert hypothesis.min_token_confidence == pytest.approx(smallest, abs=CONFIDENCE_TOLERANCE)
    print(f"{excused} of {len(ours) * n_best} hypotheses excused by a near tie")  # noqa: T201  (the count belongs in the log)
    assert excused <= 1


def test_greedy_tokens_and_confidences_equal_those_of_generate(pair):
    ours, model = pair
    references = generate(model, pixel_values(ours, LINES), max_new_tokens=LIMIT)

    check_equal(ours.hypotheses(to_read(LINES)), references)
    assert len({reference[0].tokens for reference in references}) > len(LINES) // 2  # the test tells lines apart


@pytest.mark.parametrize("num_beams", [2, 5, 10])
def test_beam_search_gives_the_n_best_of_generate(pair, num_beams):
    ours, model = pair
    n_best = min(num_beams, 3)
    references = generate(model, pixel_values(ours, LINES), num_beams=num_beams, n_best=n_best, max_new_tokens=LIMIT)

    check_equal(ours.hypotheses(to_read(LINES, num_beams=num_beams, n_best=n_best)), references, n_best)


@pytest.mark.parametrize("early_stopping", [True, "never"])
@pytest.mark.parametrize("length_penalty", [-0.5, 0.0, 2.0])
def test_length_penalty_and_early_stopping_are_those_of_generate(tmp_path, early_stopping, length_penalty):
    shape = SHAPES["base"]
    folder = save_checkpoint(tmp_path / "base", shape, seed=3)
    options = {"early_stopping": early_stopping, "length_penalty": length_penalty}
    settings = json.loads((folder / "generation_config.json").read_text())
    (folder / "generation_config.json").write_text(json.dumps(settings | options))
    ours = TrocrRecognizer(resolve_checkpoint(str(folder)), device="cpu", precision="float32", threads=1)
    references = generate(
        build_model(shape, seed=3), pixel_values(ours, LINES), num_beams=4, n_best=4, max_new_tokens=LIMIT, **options
    )

    check_equal(ours.hypotheses(to_read(LINES, num_beams=4, n_best=4)), references, n_best=4)


@pytest.mark.parametrize("num_beams", [1, 4])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_checkpoint_that_forbids_repeats_is_obeyed(tmp_path, num_beams, size):
    folder = save_checkpoint(tmp_path / "base", SHAPES["base"])
    settings = json.loads((folder / "generation_config.json").read_text())
    (folder / "generation_config.json").write_text(json.dumps(settings | {"no_repeat_ngram_size": size}))
    ours = TrocrRecognizer(resolve_checkpoint(str(folder)), device="cpu", precision="float32", threads=1)
    references = generate(
        build_model(SHAPES["base"]),
        pixel_values(ours, LINES),
        num_beams=num_beams,
        max_new_tokens=LIMIT,
        no_repeat_ngram_size=size,
    )

    check_equal(ours.hypotheses(to_read(LINES, num_beams=num_beams)), references)


@pytest.mark.parametrize("num_beams", [1, 3])
def test_a_line_reads_the_same_alone_in_any_company_and_in_any_order(pair, num_beams):
    ours, _ = pair
    limits = [LIMIT - number for number in range(len(LINES))]  # lines leave one after the other, and others join
    lines = to_read(LINES, num_beams=num_beams, n_best=num_beams, limit=limits)
    alone = [ours.hypotheses([line])[0] for line in lines]

    for seats in (2, 3, 16):
        ours.max_seats = seats
        order = random.Random(seats).sample(range(len(lines)), len(lines))
        together = ours.hypotheses([lines[number] for number in order])
        for number, hypotheses in zip(order, together, strict=True):
            assert [h.tokens for h in hypotheses] == [h.tokens for h in alone[number]]
            for mine, other in zip(hypotheses, alone[number], strict=True):
                assert mine.confidence == pytest.approx(other.confidence, abs=CONFIDENCE_TOLERANCE)


def test_lines_with_different_decodings_share_a_call_and_keep_their_order(pair):
    ours, model = pair
    beams = [1, 3, 1, 2, 3, 1, 2, 1, 3]
    lines = [
        LineToRead(LineImage(pixels), Decoding(num_beams=count, max_new_tokens=LIMIT))
        for pixels, count in zip(LINES, beams, strict=True)
    ]

    read = ours.hypotheses(lines)

    values = pixel_values(ours, LINES)
    for number, count in enumerate(beams):
        (reference,) = generate(model, values[number : number + 1], num_beams=count, max_new_tokens=LIMIT)
        check_equal([read[number]], [reference])


def test_a_line_that_hits_its_limit_says_so_and_another_ends_by_itself(pair):
    ours, _ = pair
    ended = [line for line in ours.hypotheses(to_read(LINES, limit=60)) if line[0].tokens[-1] == 2]

    cut = ours.hypotheses(to_read(LINES, limit=1))

    assert ended
    assert all(not line[0].truncated for line in ended)
    assert all(line[0].truncated for line in cut if line[0].tokens[-1] != 2)
