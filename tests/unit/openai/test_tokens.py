"""Tokens of a real model's transcription, told only to who asks."""

import math

import pytest

from core.transcription import Decoding
from tests.unit.recognizer.test_starter import FOLDER, HELD_OUT, held_out, load
from worker.line_image import LineImage
from worker.recognizer.base import LineToRead

pytestmark = pytest.mark.skipif(
    not ((FOLDER / "model.safetensors").is_file() and (HELD_OUT / "seen.tsv").is_file()),
    reason="the starter model or its lines are not here",
)


def test_tokens_spell_the_text_and_the_top_ones_begin_with_the_one_that_was_chosen():
    recognizer = load("float32")
    pictures, _ = held_out("seen.tsv", 2)
    wishes = [Decoding(), Decoding(top_tokens=3)]
    lines = [LineToRead(LineImage(picture), wish) for picture in pictures for wish in wishes]
    plain, told, *others = recognizer.recognise(lines)
    assert plain.tokens == ()
    assert plain.image_tokens == 0
    assert plain.text == told.text
    for one in (told, others[1]):
        assert "".join(token.text for token in one.tokens).strip() == one.text.strip()
        assert one.image_tokens > 0
        for token in one.tokens:
            assert len(token.top) == 3
            assert token.top[0].log_probability == pytest.approx(token.log_probability, abs=1e-4)
            assert math.exp(token.top[0].log_probability) <= 1.0001


def test_tokens_without_top_ones_and_of_several_readings_are_told_too():
    recognizer = load("float32")
    pictures, _ = held_out("seen.tsv", 1)
    wishes = [Decoding(top_tokens=0), Decoding(num_beams=2, n_best=2, top_tokens=0)]
    greedy, beams = recognizer.recognise([LineToRead(LineImage(pictures[0]), wish) for wish in wishes])
    for one in (greedy, beams):
        assert one.tokens
        assert all(token.top == () for token in one.tokens)
    assert len(beams.alternatives) == 2
