"""The formats that place text on a page: PAGE XML, ALTO, hOCR."""

import io
import re
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from core.documents.cutting import Page
from core.transcripts.alto import write_alto
from core.transcripts.hocr import write_hocr
from core.transcripts.page_xml import is_archive, write_page, write_pages
from core.transcripts.sheets import UNKNOWN_SIZE, sheets_of
from core.transcripts.transcript import Transcript
from tests.unit.transcripts.samples import HOSTILE_TEXTS, form, images, line, schema, texts, transcript

PAGE = {"p": "http://schema.primaresearch.org/PAGE/gts/pagecontent/2019-07-15"}
ALTO = {"a": "http://www.loc.gov/standards/alto/ns-v4#"}
HTML = {"h": "http://www.w3.org/1999/xhtml"}

PAGE_SCHEMA, ALTO_SCHEMA = "page-2019-07-15.xsd", "alto-4-4.xsd"

sides = st.floats(-100, 20_000, allow_nan=False)


def tree(file: bytes) -> etree._Element:
    return etree.fromstring(file)


def page_files(written: Transcript) -> list[bytes]:
    return [write_page(written, sheet) for sheet in sheets_of(written)]


def as_one_xml_line(text: str) -> str:
    flat = re.sub("\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]", " ", text)
    return re.sub("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", flat)


def assert_all_valid(written: Transcript) -> None:
    for file in page_files(written):
        schema(PAGE_SCHEMA).assertValid(tree(file))
    schema(ALTO_SCHEMA).assertValid(tree(write_alto(written)))
    tree(write_hocr(written))


@pytest.mark.parametrize("written", [form(), images(), transcript(), transcript(pages=(Page(1, None, 0.1, 0.1),))])
def test_every_xml_file_is_valid_under_its_published_schema(written):
    assert_all_valid(written)


@settings(max_examples=50)
@given(st.lists(st.tuples(texts, texts), max_size=3), st.tuples(sides, sides, sides, sides))
def test_no_text_name_or_box_makes_a_file_invalid(named, box):
    lines = (line(index, text, custom_id=name, page=1, box=box) for index, (name, text) in enumerate(named))

    assert_all_valid(transcript(*lines, pages=(Page(1, "1", 595.0, 842.0),)))


@pytest.mark.parametrize("text", HOSTILE_TEXTS)
def test_each_format_gives_a_hostile_text_back_as_one_line(text):
    written = transcript(line(0, text, custom_id=text, image_size=(640, 64)))
    expected = as_one_xml_line(text)

    page, alto, hocr = tree(page_files(written)[0]), tree(write_alto(written)), tree(write_hocr(written))

    assert page.findtext(".//p:Unicode", namespaces=PAGE) == expected
    assert alto.find(".//a:String", ALTO).get("CONTENT") == expected
    assert hocr.findtext(".//h:span[@class='ocrx_word']", "", HTML) == expected
    name = as_xml_attribute(text)
    assert page.find(".//p:UserAttribute[@name='custom_id']", PAGE).get("value") == name
    assert alto.find(".//a:OtherTag[@TYPE='custom_id']", ALTO).get("LABEL") == name
    assert hocr.find(".//h:span[@class='ocr_line']", HTML).get("data-custom-id") == name


def as_xml_attribute(text: str) -> str:
    return re.sub("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", text)


def test_points_become_pixels_at_300_dots_per_inch():
    first, second = sheets_of(form())

    assert (first.width, first.height, first.label) == (2480, 3508, "iv")
    assert (second.width, second.height) == (3508, 2480)
    assert first.lines[0].place == (300, 300, 900, 375)


@given(st.tuples(sides, sides, sides, sides))
def test_a_place_is_never_empty_and_never_outside_of_its_page(box):
    (sheet,) = sheets_of(transcript(line(0, page=1, box=box), pages=(Page(1, None, 595.0, 842.0),)))

    left, top, right, bottom = sheet.lines[0].place

    assert 0 <= left < right <= sheet.width
    assert 0 <= top < bottom <= sheet.height


def test_an_image_that_was_sent_is_a_page_of_its_own_in_its_own_pixels():
    known, unknown = sheets_of(images())

    assert (known.number, known.width, known.height, known.dots_per_inch) == (1, 640, 64, None)
    assert known.lines[0].place == (0, 0, 640, 64)
    assert (unknown.number, unknown.width, unknown.height) == (2, *UNKNOWN_SIZE)


def test_page_xml_of_several_pages_is_an_archive_of_one_file_a_page():
    with zipfile.ZipFile(io.BytesIO(write_pages(form()))) as archive:
        assert archive.namelist() == ["page-0001.xml", "page-0002.xml"]
        assert [archive.read(name) for name in archive.namelist()] == page_files(form())


def test_page_xml_of_one_page_is_its_file_itself():
    written = transcript(line(0))

    assert not is_archive(written)
    assert write_pages(written) == page_files(written)[0]


def test_the_same_transcript_is_written_to_the_same_bytes():
    for write in (write_pages, write_alto, write_hocr):
        assert write(form()) == write(form())


def test_page_xml_orders_readings_by_index_the_best_first():
    page = tree(page_files(form())[0])

    found = page.findall(".//p:TextLine[@id='line-0']/p:TextEquiv", PAGE)

    assert [(one.get("index"), one.get("conf"), one.findtext("p:Unicode", namespaces=PAGE)) for one in found] == [
        ("0", "0.9810", "Okafor"),
        ("1", "0.4000", "Okator"),
        ("2", "0.0000", "0kafor"),
    ]


def test_page_xml_refers_to_its_regions_in_reading_order():
    page = tree(page_files(form())[0])

    references = [one.get("regionRef") for one in page.findall(".//p:RegionRefIndexed", PAGE)]

    assert references == ["region-0", "region-1", "region-2"]


def test_alto_gives_confidence_from_0_to_1_and_none_by_character():
    strings = tree(write_alto(form())).findall(".//a:String", ALTO)

    assert [one.get("WC") for one in strings] == ["0.9810", None, "0.9810"]
    assert not [one for one in strings if "CC" in one.attrib]
    assert [one.text for one in strings[0].findall("a:ALTERNATIVE", ALTO)] == ["Okator", "0kafor"]


def test_alto_names_the_model_and_the_printed_page_number():
    alto = tree(write_alto(form()))

    assert alto.findtext(".//a:processingStepSettings", namespaces=ALTO) == "model trocr-base-handwritten@main"
    assert [page.get("PRINTED_IMG_NR") for page in alto.findall(".//a:Page", ALTO)] == ["iv", None]


def test_hocr_gives_confidence_from_0_to_100_in_words():
    words = tree(write_hocr(form())).findall(".//h:span[@class='ocrx_word']", HTML)

    assert [word.get("title") for word in words] == ["bbox 300 300 900 375; x_wconf 98", "bbox 300 417 900 492"]


def test_hocr_pages_name_their_picture_and_resolution():
    pages = tree(write_hocr(form())).findall(".//h:div[@class='ocr_page']", HTML)

    assert pages[1].get("title") == 'image "page-0002.png"; bbox 0 0 3508 2480; ppageno 1; scan_res 300 300'


def test_hocr_is_read_by_a_parser_of_html_as_by_one_of_xml():
    written = write_hocr(form())

    as_html = etree.HTML(written.decode().partition("\n")[2])

    for name in ("ocr_page", "ocr_par", "ocr_line", "ocrx_word"):
        nesting = [len(list(one.iterancestors())) for one in as_html.iterfind(f".//*[@class='{name}']")]
        assert nesting == [len(list(one.iterancestors())) for one in tree(written).iterfind(f".//*[@class='{name}']")]


def test_a_line_without_a_text_keeps_its_place_and_says_why():
    page, alto, hocr = tree(page_files(form())[0]), tree(write_alto(form())), tree(write_hocr(form()))

    failed = page.find(".//p:TextLine[@id='line-2']", PAGE)
    assert failed.find("p:Coords", PAGE).get("points") == "2458,3333 2480,3333 2480,3508 2458,3508"
    assert failed.find("p:TextEquiv", PAGE) is None
    assert failed.find(".//p:UserAttribute[@name='error']", PAGE).get("value") == "page_unreadable"
    block = alto.find(".//a:TextBlock[@ID='block-2']", ALTO)
    assert len(block) == 0
    labels = {tag.get("ID"): (tag.get("TYPE"), tag.get("LABEL")) for tag in alto.iterfind(".//a:OtherTag", ALTO)}
    assert ("error", "page_unreadable") in [labels[one] for one in block.get("TAGREFS").split()]
    assert hocr.find(".//h:span[@id='line-2']", HTML).get("data-error") == "page_unreadable"
    assert hocr.find(".//h:span[@id='line-2']/h:span", HTML) is None


def test_a_text_that_was_typed_says_so_and_has_no_confidence():
    page = tree(page_files(form())[0])

    typed = page.find(".//p:TextLine[@id='line-1']", PAGE)

    assert typed.find(".//p:UserAttribute[@name='source']", PAGE).get("value") == "typed"
    assert "conf" not in typed.find("p:TextEquiv", PAGE).attrib
