import numpy as np

from core.errors import CorruptImage
from core.transcription import Transcription
from worker.evaluation.evaluation import EvaluatedLine
from worker.evaluation.metrics import count
from worker.evaluation.reference import ReferenceLine
from worker.evaluation.report import Reader
from worker.evaluation.worst_page import marked, worst_page
from worker.line_image import LineImage

READER = Reader("model <b>", "r1", "cpu", "float32", 1)
PICTURE = LineImage(np.full((20, 60, 3), 255, np.uint8))


def evaluated(reference: str, hypothesis: str, tmp_path, name: str = "line") -> EvaluatedLine:
    line = ReferenceLine(name, tmp_path / "a.png", reference)
    return EvaluatedLine(line, Transcription(hypothesis, 0.5, 0.25), count(reference, hypothesis))


def test_texts_names_and_the_model_are_escaped(tmp_path):
    line = evaluated("<script>alert(1)</script>", '"><img src=x>', tmp_path, name="<i>a.png")

    page = worst_page(READER, "1 & 2", [(line, PICTURE)])

    assert "<script" not in page
    assert "<img src=x" not in page
    assert "<i>" not in page
    assert "<b>" not in page
    assert "&lt;i&gt;a.png" in page
    assert "1 &amp; 2" in page


def test_the_page_needs_nothing_but_itself(tmp_path):
    page = worst_page(READER, "", [(evaluated("a", "b", tmp_path), PICTURE)])

    assert 'src="data:image/png;base64,' in page
    assert "default-src 'none'" in page
    assert "http" not in page.replace("http-equiv", "")


def test_reference_hypothesis_and_confidences_stand_side_by_side(tmp_path):
    page = worst_page(READER, "", [(evaluated("Leeds", "Leads", tmp_path), PICTURE)])

    assert "Le<mark>e</mark>ds" in page
    assert "Le<mark>a</mark>ds" in page
    assert "0.500" in page
    assert "0.250" in page


def test_an_image_that_could_not_be_decoded_shows_its_error(tmp_path):
    page = worst_page(READER, "", [(evaluated("a", "", tmp_path), CorruptImage())])

    assert "corrupt_image" in page
    assert "<img" not in page


def test_marks_cover_exactly_what_differs():
    assert marked("a<b", "a<c") == ("a&lt;<mark>b</mark>", "a&lt;<mark>c</mark>")
    assert marked("ab", "") == ("<mark>ab</mark>", "")
    assert marked("", "") == ("", "")
