"""Region files of formHTR become the regions of a template."""

import json

import pytest

from cli.formhtr import BadRegionFile, import_regions


def region_file(*areas: dict[str, object], width: float = 2480, height: float = 3508) -> str:
    """A page as formHTR exports it."""
    whole = [{"varname": None, "type": "Handwritten", **area} for area in areas]
    ignored = [{"coords": [1, 2, 3, 4], "content": "COMMENTS"}]
    return json.dumps({"content": whole, "to_ignore": ignored, "width": width, "height": height}, indent=4)


def test_pixels_become_fractions_of_the_page() -> None:
    found = import_regions([region_file({"coords": [248, 1754, 1240, 3508], "varname": "comments"})])
    assert found.regions == [{"name": "comments", "page": 1, "box": [0.1, 0.5, 0.5, 1.0], "unit": "fraction"}]
    assert found.skipped == []


def test_each_file_is_a_page_and_a_name_on_both_is_told_apart() -> None:
    date = region_file({"coords": [0, 0, 500, 100], "varname": "date"})
    found = import_regions([date, date])
    assert [(region["name"], region["page"]) for region in found.regions] == [("date", 1), ("date-2", 2)]


def test_what_holds_no_line_is_left_out() -> None:
    found = import_regions(
        [
            region_file(
                {"coords": [0, 0, 500, 100], "varname": "name"},
                {"coords": [0, 0, 50, 50], "varname": "yes", "type": "Checkbox"},
                {"coords": [0, 0, 500, 100], "varname": "code", "type": "Barcode"},
                {"coords": [0, 0, 500, 100], "varname": "depth", "type": "Number"},
                {"coords": [10, 10, 60, 61], "type": None},
                {"coords": [10, 10, 900, 61], "type": None},
                {"coords": [10, 10, 10, 61], "varname": "flat"},
            )
        ]
    )
    assert [region["name"] for region in found.regions] == ["name", "depth", "1"]
    assert found.skipped == ["yes", "code", "0", "flat"]


def test_a_region_drawn_from_its_other_corner_or_over_the_edge_is_put_right() -> None:
    found = import_regions([region_file({"coords": [200, 80, -10, 40], "varname": "a"}, width=100, height=100)])
    assert found.regions[0]["box"] == [0.0, 0.4, 1.0, 0.8]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"content": [], "width": 0, "height": 5}',
        '{"content": [], "width": null, "height": 5}',
        '{"content": [{"coords": [1, 2, 3]}], "width": 5, "height": 5}',
        '{"content": [{"coords": [1, 2, 3, "x"]}], "width": 5, "height": 5}',
        '{"cut": "regions"}',
    ],
)
def test_another_file_is_refused_with_its_page(text: str) -> None:
    with pytest.raises(BadRegionFile, match="page 2 is no formHTR region file"):
        import_regions([region_file({"coords": [0, 0, 5, 5]}), text])
