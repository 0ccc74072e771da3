from pathlib import Path

import pytest
from PIL import Image

from core.errors import LinesUnusable
from worker.evaluation.datasets import read_lines

PAGE = """<?xml version="1.0" encoding="UTF-8"?>
<PcGts xmlns="http://schema.primaresearch.org/PAGE/gts/pagecontent/2019-07-15">
  <Metadata><Creator>x</Creator></Metadata>
  <Page imageFilename="{image}" imageWidth="100" imageHeight="60">
    <TextRegion id="r1"><Coords points="0,0 99,0 99,59 0,59"/>
      <TextLine id="l1"><Coords points="5,5 60,8 60,25 5,22"/>
        <TextEquiv index="1"><Unicode>second best</Unicode></TextEquiv>
        <TextEquiv index="0"><Unicode>Dear Sir,</Unicode></TextEquiv>
      </TextLine>
      <TextLine id="l2"><Coords points="5,30 60,30 60,50 5,50"/>
        <Word id="w1"><Coords points="5,30 20,30 20,50"/><TextEquiv><Unicode>I</Unicode></TextEquiv></Word>
        <Word id="w2"><Coords points="25,30 60,30 60,50"/><TextEquiv><Unicode>write</Unicode></TextEquiv></Word>
      </TextLine>
      <TextLine id="l3"><Coords points="5,52 60,52 60,58 5,58"/></TextLine>
      <TextEquiv><Unicode>the whole region</Unicode></TextEquiv>
    </TextRegion>
  </Page>
</PcGts>
"""

ALTO = """<?xml version="1.0" encoding="UTF-8"?>
<alto xmlns="http://www.loc.gov/standards/alto/ns-v4#">
  <Description><MeasurementUnit>{unit}</MeasurementUnit>
    <sourceImageInformation><fileName>scans\\page.png</fileName></sourceImageInformation></Description>
  <Layout><Page ID="p" WIDTH="100" HEIGHT="60"><PrintSpace><TextBlock ID="b">
    <TextLine ID="l1" HPOS="5" VPOS="6" WIDTH="50" HEIGHT="20">
      <String CONTENT="Dear"/><SP WIDTH="4"/><String CONTENT="Sir,"/>
    </TextLine>
    <TextLine HPOS="0" VPOS="0" WIDTH="1" HEIGHT="1">
      <Shape><Polygon POINTS="5 30 60 32 60 50"/></Shape><String CONTENT="yours"/>
    </TextLine>
  </TextBlock></PrintSpace></Page></Layout>
</alto>
"""

BOMB = """<?xml version="1.0"?>
<!DOCTYPE PcGts [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>
<PcGts><Page imageFilename="page.png"><TextLine><TextEquiv><Unicode>&b;</Unicode></TextEquiv></TextLine></Page></PcGts>
"""

FETCHER = """<?xml version="1.0"?>
<!DOCTYPE PcGts [<!ENTITY secret SYSTEM "file:///etc/hostname">]>
<PcGts><Page imageFilename="page.png">
<TextLine><TextEquiv><Unicode>&secret;</Unicode></TextEquiv></TextLine></Page></PcGts>
"""


def page_image(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (100, 60), "white").save(path)
    return path


def test_page_xml_gives_the_best_text_of_each_line_with_its_polygon(tmp_path):
    image = page_image(tmp_path / "page.png")
    (tmp_path / "page.xml").write_text(PAGE.format(image="page.png"))

    lines = read_lines(tmp_path)

    assert [(line.name, line.reference) for line in lines] == [("page#l1", "Dear Sir,"), ("page#l2", "I write")]
    assert lines[0].image == image
    assert lines[0].outline == ((5, 5), (60, 8), (60, 25), (5, 22))


def test_page_files_in_a_folder_of_their_own_find_the_image_above(tmp_path):
    image = page_image(tmp_path / "page.png")
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "page.xml").write_text(PAGE.format(image="page.png"))

    assert {line.image for line in read_lines(tmp_path)} == {image}


def test_alto_gives_words_joined_with_spaces_and_a_box_or_polygon_per_line(tmp_path):
    page_image(tmp_path / "page.png")
    alto = tmp_path / "anything.xml"
    alto.write_text(ALTO.format(unit="pixel"))

    first, second = read_lines(alto)

    assert (first.name, first.reference) == ("anything#l1", "Dear Sir,")
    assert first.outline == ((5, 6), (55, 6), (55, 26), (5, 26))
    assert (second.name, second.reference) == ("anything#2", "yours")
    assert second.outline == ((5, 30), (60, 32), (60, 50))


def test_alto_in_another_unit_than_pixels_is_refused(tmp_path):
    page_image(tmp_path / "page.png")
    (tmp_path / "page.xml").write_text(ALTO.format(unit="mm10"))

    with pytest.raises(LinesUnusable, match="measures in mm10"):
        read_lines(tmp_path)


def test_an_image_path_that_leaves_the_folder_is_not_followed(tmp_path):
    page_image(tmp_path / "outside" / "secret.png")
    folder = tmp_path / "outside" / "a" / "b"
    folder.mkdir(parents=True)
    (folder / "x.xml").write_text(PAGE.format(image="../../secret.png"))

    with pytest.raises(LinesUnusable, match=r"its image secret.png is neither"):
        read_lines(folder)


@pytest.mark.parametrize("content", [BOMB, FETCHER, "<PcGts><Page>"], ids=["bomb", "fetcher", "cut off"])
def test_hostile_or_broken_xml_is_refused(tmp_path, content):
    page_image(tmp_path / "page.png")
    (tmp_path / "page.xml").write_text(content)

    with pytest.raises(LinesUnusable, match="not acceptable XML"):
        read_lines(tmp_path)


def test_other_xml_is_refused_by_name(tmp_path):
    (tmp_path / "page.xml").write_text("<html/>")

    with pytest.raises(LinesUnusable, match="neither PAGE XML nor ALTO"):
        read_lines(tmp_path / "page.xml")


@pytest.mark.parametrize("points", ["", "5,5", "a,b c,d", "1,2 3"])
def test_an_outline_that_is_no_list_of_points_is_refused(tmp_path, points):
    page_image(tmp_path / "page.png")
    (tmp_path / "page.xml").write_text(PAGE.format(image="page.png").replace("5,5 60,8 60,25 5,22", points))

    with pytest.raises(LinesUnusable, match="outline"):
        read_lines(tmp_path)
