"""The formats that are read by line: txt, csv, jsonl."""

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.representation import line_value
from core.tables import Line
from core.transcripts.csv_table import FORMULA_STARTS, write_csv
from core.transcripts.jsonl import write_jsonl
from core.transcripts.txt import write_txt
from tests.unit.transcripts.samples import HOSTILE_TEXTS, form, line, texts, transcript


def rows(table: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(table.decode(), newline="")))


def utf8(text: str) -> str:
    return "".join("\ufffd" if "\ud800" <= character <= "\udfff" else character for character in text)


@given(st.lists(texts, max_size=5))
def test_plain_text_has_as_many_lines_as_the_job_whatever_the_texts_hold(written):
    body = write_txt(transcript(*(line(index, text) for index, text in enumerate(written)))).decode()

    assert body.count("\n") == len(written) == len(body.splitlines())


def test_a_line_without_a_text_is_an_empty_line_of_plain_text():
    assert write_txt(form()) == b"Okafor\nstood there already\n\n\n\n"


@given(st.lists(texts, max_size=5), texts)
def test_a_csv_reader_reads_the_texts_back(written, name):
    lines = (line(index, text, custom_id=name) for index, text in enumerate(written))

    read = rows(write_csv(transcript(*lines)))

    assert [int(row["index"]) for row in read] == list(range(len(written)))
    for row, text in zip(read, written, strict=True):
        for cell, original in ((row["text"], utf8(text)), (row["custom_id"], utf8(name))):
            assert cell == (f"'{original}" if original.startswith(FORMULA_STARTS) else original)


@pytest.mark.parametrize("text", HOSTILE_TEXTS)
def test_no_cell_of_a_csv_is_a_formula(text):
    table = write_csv(transcript(line(0, text, custom_id=text), line(1, None, custom_id=text)))

    cells = [cell for row in csv.reader(io.StringIO(table.decode(), newline="")) for cell in row]

    assert not [cell for cell in cells if cell.startswith(FORMULA_STARTS)]


def test_a_csv_ends_its_rows_as_rfc_4180_says_and_tells_each_line():
    table = write_csv(form())

    assert table.split(b"\r\n")[:4] == [
        b"index,custom_id,page,status,source,text,confidence,min_token_confidence,needs_review,error",
        b"0,field.0,1,succeeded,recognised,Okafor,0.981,0.93,false,",
        b"1,typed,1,succeeded,typed,stood there already,,,false,",
        b"2,field.2,1,failed,recognised,,,,false,page_unreadable",
    ]
    assert table.endswith(b"\r\n")


def test_a_csv_begins_with_a_byte_order_mark_only_if_one_is_wanted():
    assert write_csv(form(), byte_order_mark=True) == b"\xef\xbb\xbf" + write_csv(form())


@given(st.lists(texts, max_size=5))
def test_json_lines_hold_the_texts_unchanged(written):
    body = write_jsonl(transcript(*(line(index, text) for index, text in enumerate(written)))).decode()

    values = [json.loads(one) for one in body.split("\n")[:-1]]

    assert [value["text"] for value in values] == [utf8(text) for text in written]


def test_a_line_of_json_lines_has_the_keys_of_a_line_in_the_job():
    row = line_value(Line(index=0, status="succeeded", review_reasons=[], truncated=False, needs_review=False))

    for one in write_jsonl(form()).splitlines():
        assert list(json.loads(one)) == list(row)


def test_a_line_of_json_lines_tells_its_place_readings_and_error():
    first, _, failed, *_ = map(json.loads, write_jsonl(form()).splitlines())

    assert first["box"] == [72.0, 72.0, 216.0, 90.0]
    assert [one["text"] for one in first["alternatives"]] == ["Okafor", "Okator", "0kafor"]
    assert failed["text"] is None
    assert failed["error"]["code"] == "page_unreadable"
