import math

import pytest

from core.documents.cutting import Box
from worker.sandbox.pdf_geometry import (
    PageSpace,
    around,
    around_box,
    common,
    fitting,
    in_reading_order,
    pixels_per_point,
    then,
)


@pytest.mark.parametrize(
    ("quarter_turns", "seen"),
    [(0, (5, 75, 15, 80)), (1, (10, 5, 15, 15)), (2, (85, 10, 95, 15)), (3, (75, 85, 80, 95))],
)
def test_a_box_of_the_page_is_where_a_reader_sees_it(quarter_turns: int, seen: Box) -> None:
    space = PageSpace(10, 20, 110, 110, quarter_turns)

    assert around_box((15, 30, 25, 35), space.to_seen) == pytest.approx(seen)
    assert space.size == ((100, 90) if quarter_turns % 2 == 0 else (90, 100))


@pytest.mark.parametrize("quarter_turns", range(4))
def test_a_whole_page_is_seen_whole_in_its_unit(quarter_turns: int) -> None:
    space = PageSpace(10, 20, 110, 110, quarter_turns, unit=2.5)

    assert around_box((10, 20, 110, 110), space.to_seen) == pytest.approx((0, 0, *space.size))


def test_matrices_are_applied_one_after_the_other() -> None:
    doubled, moved = (2, 0, 0, 2, 0, 0), (1, 0, 0, 1, 10, 20)

    assert around([(1, 1)], then(doubled, moved)) == (12, 22, 12, 22)
    assert around([(1, 1)], then(moved, doubled)) == (22, 42, 22, 42)


def test_boxes_that_only_touch_have_nothing_in_common() -> None:
    assert common((0, 0, 10, 10), (5, -5, 20, 5)) == (5, 0, 10, 5)
    assert common((0, 0, 10, 10), (10, 0, 20, 10)) is None
    assert common((0, 0, 10, 10), (20, 20, 30, 30)) is None


@pytest.mark.parametrize(
    "boxes",
    [
        pytest.param([(0, 0, 10, 10), (20, 0, 30, 10), (0, 20, 10, 30)], id="a grid"),
        pytest.param([(0, 4, 10, 14), (20, 0, 30, 10), (0, 20, 10, 30)], id="a row that is a little uneven"),
        pytest.param([(0, 0, 10, 10), (20, 8, 30, 18)], id="steps are rows of their own"),
        pytest.param([(50, 0, 60, 100), (0, 5, 10, 15), (0, 20, 10, 30)], id="a tall box swallows no rows"),
        pytest.param([(0, 0, 10, 10), (0, 0, 10, 10)], id="the same place twice"),
        pytest.param([(0, 0, 0, 0), (5, 0, 5, 0), (0, 1, 9, 1)], id="boxes without height"),
        pytest.param([], id="nothing"),
    ],
)
def test_boxes_are_read_row_by_row_from_the_left(boxes: list[Box]) -> None:
    assert in_reading_order(boxes, lambda box: box) == boxes
    assert in_reading_order(boxes[::-1], lambda box: box) == boxes


def test_many_boxes_are_sorted_and_none_is_lost() -> None:
    boxes: list[Box] = [(x, y, x + 9, y + 9) for y in range(0, 1000, 10) for x in range(0, 100, 10)]

    assert in_reading_order(boxes[::3] + boxes[1::3] + boxes[2::3], lambda box: box) == boxes


@pytest.mark.parametrize(
    ("width", "height", "dpi"),
    [
        pytest.param(500, 20, 345.6, id="a long line: 96 pixels high"),
        pytest.param(200, 36, 282.24, id="a short line: 784 pixels wide"),
        pytest.param(60, 12, 400, id="a small field: no more than a scan holds"),
        pytest.param(595, 842, 100, id="a page: no less than strokes need"),
        pytest.param(36, 200, 282.24, id="a line that runs down the page"),
    ],
)
def test_a_line_gets_the_pixels_that_a_model_needs(width: float, height: float, dpi: float) -> None:
    assert pixels_per_point(width, height) * 72 == pytest.approx(dpi)


def test_a_picture_shrinks_to_fit_its_sides_and_its_area() -> None:
    assert fitting(100, 50, 200, 10_000) == 1
    assert fitting(400, 50, 200, 1_000_000) == 0.5
    assert fitting(100, 100, 200, 2_500) == 0.5
    assert fitting(1e9, 1e9, 10_000, 20_000_000) == pytest.approx(math.sqrt(20_000_000) / 1e9)
