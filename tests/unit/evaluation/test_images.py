import numpy as np

from core.errors import ImageDimensions
from worker.evaluation.images import crop
from worker.line_image import LineImage


def page() -> LineImage:
    """A page whose pixel at (row, column) has the colour (row, column, 200)."""
    rows, columns = np.mgrid[0:60, 0:100].astype(np.uint8)
    return LineImage(np.stack([rows, columns, np.full_like(rows, 200)], axis=-1))


def test_a_box_is_cut_out_of_its_page_without_a_change():
    line = crop(page(), ((10, 20), (30, 20), (30, 35), (10, 35)))

    assert isinstance(line, LineImage)
    assert (line.width, line.height) == (20, 15)
    assert np.array_equal(line.pixels, page().pixels[20:35, 10:30])


def test_what_lies_outside_a_slanted_outline_becomes_paper():
    black_above = page().pixels.copy()
    black_above[:, :] = 255
    black_above[0:10] = 0
    line = crop(LineImage(black_above), ((0, 0), (100, 20), (100, 40), (0, 20)))

    assert isinstance(line, LineImage)
    assert line.pixels.shape == (40, 100, 3)
    assert line.pixels[0, 99].tolist() == [255, 255, 255]  # above the outline: was black
    assert line.pixels[2, 1].tolist() == [0, 0, 0]  # inside: stays


def test_an_outline_that_reaches_beyond_its_page_is_cut_at_the_border():
    line = crop(page(), ((-5.5, 50), (20, 50), (20, 75), (-5.5, 75)))

    assert isinstance(line, LineImage)
    assert (line.width, line.height) == (20, 10)


def test_an_outline_without_a_pixel_of_its_page_is_an_error_of_its_line():
    assert isinstance(crop(page(), ((200, 200), (300, 200), (300, 220))), ImageDimensions)
    assert isinstance(crop(page(), ((5, 5), (5, 5))), ImageDimensions)
