import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import NotAcceptable
from core.transcripts.formats import FORMATS, choose_format, write_transcript
from core.words import RENDITIONS, TranscriptFormat
from tests.unit.transcripts.samples import form, images, line, transcript

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"


@pytest.mark.parametrize("wanted", TranscriptFormat)
def test_a_format_named_is_the_format_chosen_whatever_accept_says(wanted):
    assert choose_format("text/nothing", wanted.value) is wanted


@pytest.mark.parametrize("wish", ["", "xml", "TXT", "page "])
def test_a_format_that_does_not_exist_is_not_acceptable(wish):
    with pytest.raises(NotAcceptable):
        choose_format(None, wish)


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, "txt"),
        ("", "txt"),
        ("*/*", "txt"),
        (BROWSER, "txt"),
        ("text/*", "txt"),
        ("application/*", "json"),
        ("text/plain", "txt"),
        ("TEXT/CSV", "csv"),
        ("text/csv; charset=utf-8; header=present", "csv"),
        ("application/json", "json"),
        ("application/json, text/plain, */*", "json"),
        ("text/plain, application/json", "txt"),
        ("application/jsonl", "jsonl"),
        ("application/x-ndjson", "jsonl"),
        ("application/vnd.prima.page+xml", "page"),
        ("application/zip", "page"),
        ("application/alto+xml", "alto"),
        ("text/vnd.hocr+html", "hocr"),
        ("application/vnd.hocr+html", "hocr"),
        ("application/pdf", "pdf"),
        ("text/csv;q=0.5, application/alto+xml;q=0.9, text/plain;q=0.1", "alto"),
        ("text/csv;q=0.5,*/*;q=0.6", "txt"),
        ("text/plain;q=0,*/*", "json"),
        ("text/*;q=0,application/json;q=0,*/*;q=0.1", "jsonl"),
        ("text/html, *; q=.2, */*; q=.2", "txt"),
        ("nonsense, ;;;, /, text/csv;q=high, application/pdf", "pdf"),
    ],
)
def test_accept_is_read_by_quality_then_precision_then_order(accept, chosen):
    assert choose_format(accept, None) == chosen


@pytest.mark.parametrize(
    "accept", ["text/html", "application/xml", "image/png", "text/plain;q=0", "*/*;q=0", "text/csv;q=2", "nonsense"]
)
def test_a_caller_who_allows_none_of_the_formats_is_told_which_there_are(accept):
    with pytest.raises(NotAcceptable, match="text/plain, application/json, text/csv"):
        choose_format(accept, None)


@given(st.text(st.characters(codec="latin-1")), st.none() | st.text())
def test_any_header_gets_a_format_or_our_own_error(accept, wish):
    with contextlib.suppress(NotAcceptable):
        assert choose_format(accept, wish) in FORMATS


def test_every_format_is_described_and_only_renditions_need_the_document():
    assert set(FORMATS) == set(TranscriptFormat)
    assert tuple(one for one, form in FORMATS.items() if form.needs_document) == RENDITIONS


def test_page_xml_says_whether_it_is_a_file_or_an_archive():
    several = write_transcript(form(), TranscriptFormat.PAGE)
    one = write_transcript(transcript(line(0)), TranscriptFormat.PAGE)

    assert (several.media_type, several.extension, several.body[:2]) == ("application/zip", "zip", b"PK")
    assert (one.media_type, one.extension, one.body[:5]) == ("application/vnd.prima.page+xml", "xml", b"<?xml")


def test_what_needs_more_than_a_transcript_is_not_written_from_one():
    for wanted in (TranscriptFormat.JSON, *RENDITIONS):
        with pytest.raises(ValueError, match="alone"):
            write_transcript(images(), wanted)
