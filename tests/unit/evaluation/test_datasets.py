from pathlib import Path

import pytest
from PIL import Image

from core.errors import LinesUnusable
from worker.evaluation.datasets import read_lines


def image(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (40, 20), "white").save(path)
    return path


def text(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode())
    return path


def read(path: Path, **options) -> list[tuple[str, str]]:
    return [(line.name, line.reference) for line in read_lines(path, **options)]


def test_a_tsv_gives_paths_beside_it_and_texts_as_they_stand(tmp_path):
    image(tmp_path / "a.png")
    image(tmp_path / "deep" / "b.jpg")
    tsv = text(tmp_path / "set.tsv", "\ufeffa.png\t# 5\u2028 High  Street\r\ndeep/b.jpg\tone\ttab\n\n")

    assert read(tsv) == [("a.png", "# 5\u2028 High  Street"), ("deep/b.jpg", "one\ttab")]


def test_a_tsv_may_keep_its_images_in_a_folder_image_as_the_published_sets_do(tmp_path):
    expected = image(tmp_path / "image" / "c04-110-00.jpg")
    tsv = text(tmp_path / "gt_test.txt", "c04-110-00.jpg\tBecome a success\n")

    lines = read_lines(tsv)

    assert [line.image for line in lines] == [expected]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("a.png text\n", "line 1: expected a path, a tab"),
        ("a.png\tone\nmissing.png\ttwo\n", "line 2: there is no image missing.png"),
        ("a.png\tone\na.png\ttwo\n", "names a.png twice"),
        ("\n", "no line with a reference"),
        ("a.png\t \n", "no line with a reference"),
        ("", "no line with a reference"),
    ],
)
def test_a_tsv_that_cannot_be_used_says_where_and_why(tmp_path, content, complaint):
    image(tmp_path / "a.png")
    tsv = text(tmp_path / "set.tsv", content)

    with pytest.raises(LinesUnusable, match=complaint):
        read_lines(tsv)


def test_a_file_that_is_not_utf_8_is_refused(tmp_path):
    (tmp_path / "set.tsv").write_bytes(b"a.png\t\xff\xfe")

    with pytest.raises(LinesUnusable, match="not UTF-8"):
        read_lines(tmp_path / "set.tsv")


def test_a_folder_with_a_references_file_is_read_through_it(tmp_path):
    image(tmp_path / "a.png")
    text(tmp_path / "a.txt", "not this")
    text(tmp_path / "references.tsv", "a.png\tthis\n")

    assert read(tmp_path) == [("a.png", "this")]


def test_a_folder_of_images_takes_each_text_from_the_file_beside_the_image(tmp_path):
    for name in ("b.png", "a.jpeg"):
        image(tmp_path / name)
    text(tmp_path / "a.gt.txt", "first\n")
    text(tmp_path / "a.txt", "not this")
    text(tmp_path / "b.txt", "second \n")
    text(tmp_path / "README.md", "about the lines")

    assert read(tmp_path) == [("a.jpeg", "first"), ("b.png", "second")]


def test_an_image_without_a_text_is_an_error_and_not_dropped(tmp_path):
    image(tmp_path / "a.png")
    text(tmp_path / "a.txt", "first")
    image(tmp_path / "b.png")

    with pytest.raises(LinesUnusable, match=r"b.png has no b.gt.txt or b.txt"):
        read_lines(tmp_path)


def test_an_empty_or_missing_folder_says_so(tmp_path):
    with pytest.raises(LinesUnusable, match="holds no line images"):
        read_lines(tmp_path)
    with pytest.raises(LinesUnusable, match="does not exist"):
        read_lines(tmp_path / "nowhere")


IAM_LINES = """#--- lines.txt ---#
# format: a01-000u-00 ok 154 19 408 746 1661 89 A|MOVE
a01-000u-00 ok 154 19 408 746 1661 89 A|MOVE|to|stop|Mr.|Gaitskell
a01-000u-01 err 156 19 395 932 1850 105 any|more|"|life|"|peers
b02-009-00 ok 170 8 300 700 900 80 #|3
"""


def iam(folder: Path) -> Path:
    for name in ("a01/a01-000u/a01-000u-00", "a01/a01-000u/a01-000u-01", "b02/b02-009/b02-009-00"):
        image(folder / "lines" / f"{name}.png")
    text(folder / "ascii" / "lines.txt", IAM_LINES)
    return folder


def test_iam_lines_are_found_where_iam_puts_them_and_their_words_are_joined_with_spaces(tmp_path):
    assert read(iam(tmp_path)) == [
        ("a01-000u-00", "A MOVE to stop Mr. Gaitskell"),
        ("a01-000u-01", 'any more " life " peers'),
        ("b02-009-00", "# 3"),
    ]


def test_a_split_keeps_the_lines_of_the_forms_that_it_names(tmp_path):
    split = text(tmp_path / "test.txt", "a01-000u\nb02-009-07\n")

    assert [name for name, _ in read(iam(tmp_path / "iam"), split=split)] == ["a01-000u-00", "a01-000u-01"]


def test_a_split_that_names_nothing_of_the_set_is_an_error(tmp_path):
    split = text(tmp_path / "test.txt", "a01\u002d000\n")

    with pytest.raises(LinesUnusable, match="names none"):
        read_lines(iam(tmp_path / "iam"), split=split)


def test_an_iam_line_without_an_image_is_an_error_and_not_dropped(tmp_path):
    (iam(tmp_path) / "lines" / "b02" / "b02-009" / "b02-009-00.png").unlink()

    with pytest.raises(LinesUnusable, match="no image of b02-009-00"):
        read_lines(tmp_path)


def test_sroie_receipts_give_the_box_around_each_quadrangle(tmp_path):
    image(tmp_path / "X1.jpg")
    text(tmp_path / "X1.txt", "72,25,326,25,326,64,72,60,TAN WOON YANN, SDN\r\n5,70,9,70,9,80,5,80,1,000.50\r\n")

    lines = read_lines(tmp_path)

    assert [(line.name, line.reference) for line in lines] == [
        ("X1.jpg#1", "TAN WOON YANN, SDN"),
        ("X1.jpg#2", "1,000.50"),
    ]
    assert lines[0].outline == ((72, 25), (326, 25), (326, 64), (72, 64))
