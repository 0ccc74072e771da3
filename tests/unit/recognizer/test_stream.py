"""Lines that come while others are read join them, and what a line reads as does not depend on it."""

from collections.abc import Sequence

import pytest

from core.errors import OutOfMemory
from core.transcription import Decoding, Transcription
from tests.unit.recognizer.checkpoints import SHAPES, save_checkpoint
from tests.unit.recognizer.reference import random_lines
from worker.line_image import LineImage
from worker.recognizer.base import GivenLines, LineToRead
from worker.recognizer.checkpoint import resolve_checkpoint
from worker.recognizer.trocr import TrocrRecognizer


@pytest.fixture(scope="module")
def recognizer(tmp_path_factory):
    folder = save_checkpoint(tmp_path_factory.mktemp("models") / "base", SHAPES["base"])
    return TrocrRecognizer(resolve_checkpoint(str(folder)), device="cpu", precision="float32", threads=1)


def to_read(tokens, beams=None):
    """Return a line for each number of tokens, with so many beams."""
    beams = beams or [1] * len(tokens)
    return [
        LineToRead(LineImage(pixels), Decoding(num_beams=width, max_new_tokens=count))
        for pixels, count, width in zip(random_lines(len(tokens)), tokens, beams, strict=True)
    ]


class Trickle:
    """Gives one more line each time that it is asked so many times."""

    def __init__(self, lines: Sequence[LineToRead], every: int) -> None:
        self._lines = list(lines)
        self._every = every
        self._asked = 0

    def take(self, most: int, *, wait: bool) -> Sequence[LineToRead]:
        self._asked += 1
        if most and self._lines and (wait or self._asked % self._every == 0):
            return [self._lines.pop(0)]
        return []


def finished(recognizer, source):
    """Return the results by number, in the order in which the lines finished."""
    return {number: result for progress in recognizer.stream(source) for number, result in progress.finished}


def assert_equal(read: dict[int, Transcription], expected: list[Transcription]) -> None:
    assert [read[number].text for number in range(len(expected))] == [line.text for line in expected]
    for number, line in enumerate(expected):
        assert read[number].confidence == pytest.approx(line.confidence, abs=1e-4)


def test_a_line_that_comes_later_joins_and_may_finish_first(recognizer):
    lines = to_read([24, 3])

    read = finished(recognizer, Trickle(lines, every=4))

    assert list(read) == [1, 0]


@pytest.mark.parametrize("every", [1, 2, 5])
def test_lines_that_trickle_in_read_as_each_does_alone(recognizer, every):
    lines = to_read([12, 5, 9, 20, 3, 7, 15], beams=[1, 1, 3, 1, 3, 1, 3])
    alone = [recognizer.recognise([line])[0] for line in lines]

    assert_equal(finished(recognizer, Trickle(lines, every)), alone)


def test_lines_that_search_with_more_beams_are_not_passed_over_for_ever(recognizer):
    lines = to_read([6] * 100, beams=[1] * 5 + [2] + [1] * 94)

    order = list(finished(recognizer, GivenLines(lines)))

    assert order.index(5) <= 5 + recognizer.max_batch


def test_no_more_lines_are_in_hand_than_the_recogniser_says(recognizer):
    class Counting(GivenLines):
        in_hand = most = 0

        def take(self, most: int, *, wait: bool) -> Sequence[LineToRead]:
            lines = super().take(most, wait=wait)
            self.in_hand += len(lines)
            self.most = max(self.most, self.in_hand)
            return lines

    source = Counting(to_read([4] * 60))
    for progress in recognizer.stream(source):
        source.in_hand -= len(progress.finished)

    assert source.most == recognizer.max_batch


def test_progress_is_told_after_every_step_with_its_lines_and_its_time(recognizer):
    steps = list(recognizer.stream(GivenLines(to_read([3, 5]))))

    assert [(len(step.finished), step.lines) for step in steps] == [(0, 2), (0, 2), (1, 2), (0, 1), (1, 1)]
    assert steps[0].phases.encode > 0
    assert all(step.phases.generate > 0 for step in steps)
    assert all(step.phases.encode == 0 for step in steps[1:])


def test_a_line_too_large_for_the_memory_fails_alone_among_others(recognizer, monkeypatch):
    lines = to_read([4, 9, 5])
    expected = recognizer.recognise(lines)
    step = recognizer.batch._step

    def limited(tokens, lengths):
        if max(lengths) > 6:
            raise MemoryError
        return step(tokens, lengths)

    monkeypatch.setattr(recognizer.batch, "_step", limited)

    read = finished(recognizer, GivenLines(lines))

    assert isinstance(read[1], OutOfMemory)
    assert [read[number].text for number in (0, 2)] == [expected[number].text for number in (0, 2)]


def test_a_kind_of_search_that_does_not_fit_slows_no_other_down(recognizer, monkeypatch):
    step = recognizer.batch._step
    rows = []

    def limited(tokens, lengths):
        if len(tokens) % 10 == 0:
            raise MemoryError
        rows.append(len(tokens))
        return step(tokens, lengths)

    monkeypatch.setattr(recognizer.batch, "_step", limited)

    read = finished(recognizer, GivenLines(to_read([5] * 9, beams=[10] + [1] * 8)))

    assert isinstance(read[0], OutOfMemory)
    assert max(rows) == 8


def test_after_memory_ran_out_once_the_batch_grows_again(recognizer, monkeypatch):
    step = recognizer.batch._step
    rows = []

    def once_too_much(tokens, lengths):
        rows.append(len(tokens))
        if len(rows) == 1:
            raise MemoryError
        return step(tokens, lengths)

    monkeypatch.setattr(recognizer.batch, "_step", once_too_much)
    lines = to_read([2] * 300)

    read = finished(recognizer, GivenLines(lines))

    assert not [result for result in read.values() if isinstance(result, OutOfMemory)]
    assert max(rows[1:10]) == recognizer.max_batch // 2
    assert rows[-10:].count(recognizer.max_batch)


def test_pixel_values_that_could_not_be_made_once_are_made_again(recognizer, monkeypatch):
    lines = to_read([4, 5])
    expected = recognizer.recognise(lines)
    make, calls = recognizer._pixel_values, []

    def once_too_much(line):
        calls.append(line)
        if len(calls) == 1:
            raise MemoryError
        return make(line)

    monkeypatch.setattr(recognizer, "_pixel_values", once_too_much)

    read = finished(recognizer, GivenLines(lines))

    assert [read[number].text for number in range(2)] == [line.text for line in expected]
