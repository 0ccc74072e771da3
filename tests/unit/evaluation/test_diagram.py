from xml.etree import ElementTree

from worker.evaluation.calibration import Judged, reliability_bins
from worker.evaluation.diagram import reliability_diagram
from worker.evaluation.metrics import count

SVG = "{http://www.w3.org/2000/svg}"


def test_the_diagram_is_well_formed_and_has_a_bar_for_each_bin_with_lines():
    lines = [Judged("a", 0.95, count("a", "a")), Judged("b", 0.95, count("a", "b")), Judged("c", 0.15, count("a", "b"))]

    root = ElementTree.fromstring(reliability_diagram("A & B <c>", reliability_bins(lines)))

    titles = [title.text for title in root.iter(f"{SVG}title")]
    assert titles == ["0.000 of 1 lines are right", "0.500 of 2 lines are right"]
    assert root.find(f"{SVG}text").text == "A & B <c>"


def test_a_diagram_of_no_lines_is_empty_but_well_formed():
    root = ElementTree.fromstring(reliability_diagram("nothing", reliability_bins([])))

    assert not list(root.iter(f"{SVG}title"))
