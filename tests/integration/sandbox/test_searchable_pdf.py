"""A searchable PDF: the text can be found, at the right place, and nothing looks different."""

import io
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pikepdf
import pytest
from pikepdf import Array, Dictionary, Name

from core.documents.cutting import Box
from core.documents.writing import WrittenLine
from core.errors import InvalidPdf, PdfEncrypted
from core.words import TranscriptFormat
from tests.written_pdfs import box_of, drawn, texts_of
from worker.sandbox.pdf_writing import PdfWriter

BOX: Box = (60.0, 40.0, 180.0, 64.0)
STRIPES = b"0.2 0.4 0.8 rg 30 40 150 60 re f 0 G 3 w 20 20 m 200 250 l S"
UNBALANCED = STRIPES + b" q q 0.1 0 0 0.1 500 500 cm 1 Tr"


def add_page(pdf: pikepdf.Pdf, content: bytes = STRIPES, **entries: object) -> pikepdf.Dictionary:
    page = pdf.add_blank_page(page_size=(300, 400)).obj
    page.Contents = pdf.make_stream(content)
    for key, value in entries.items():
        page[f"/{key}"] = Array(value) if isinstance(value, tuple) else value
    return page


def saved(pdf: pikepdf.Pdf, **options: object) -> bytes:
    file = io.BytesIO()
    pdf.save(file, **options)
    return file.getvalue()


def one_page(content: bytes = STRIPES, **entries: object) -> bytes:
    pdf = pikepdf.new()
    add_page(pdf, content, **entries)
    return saved(pdf)


def searchable(writer: PdfWriter, pdf: bytes, *lines: WrittenLine, password: str | None = None) -> bytes:
    return writer.write(pdf, password, TranscriptFormat.PDF, lines)


@pytest.mark.parametrize("rotate", [0, 90, 180, 270, -90, 450])
@pytest.mark.parametrize(
    "entries",
    [
        {},
        {"CropBox": (20, 30, 280, 390)},
        {"UserUnit": 2.5},
        {"CropBox": (20, 30, 1000, 390), "UserUnit": 0.5},
        {"MediaBox": (-100, -200, 200, 200)},
        {"MediaBox": (300, 400, 0, 0)},
    ],
    ids=lambda entries: " ".join(entries) or "plain",
)
def test_text_fills_its_box_however_the_page_is_turned_cropped_or_scaled(
    writer: PdfWriter, rotate: int, entries: dict[str, object]
) -> None:
    written = searchable(writer, one_page(Rotate=rotate, **entries), WrittenLine(1, BOX, "Okafor Ltd"))

    assert texts_of(written) == ["Okafor Ltd"]
    assert box_of(written, "Okafor Ltd", unit=entries.get("UserUnit", 1.0)) == pytest.approx(BOX, abs=0.5)


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="poppler-utils is not installed")
@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
def test_pdftotext_finds_the_words_at_their_place(writer: PdfWriter, tmp_path: Path, rotate: int) -> None:
    file = tmp_path / "searchable.pdf"
    file.write_bytes(searchable(writer, one_page(Rotate=rotate), WrittenLine(1, BOX, "Okafor Ltd")))

    answer = subprocess.run(["pdftotext", "-bbox", file, "-"], capture_output=True, text=True, check=True, timeout=30)

    words = re.findall(r'xMin="(.*?)" yMin="(.*?)" xMax="(.*?)" yMax="(.*?)">(.*?)<', answer.stdout)
    assert [word for *_, word in words] == ["Okafor", "Ltd"]
    x0, y0, x1, y1 = BOX
    assert [float(side) for side in words[0][:4]] == pytest.approx([x0, y0, x0 + 0.6 * (x1 - x0), y1], abs=0.1)
    assert [float(side) for side in words[1][:4]] == pytest.approx([x0 + 0.7 * (x1 - x0), y0, x1, y1], abs=0.1)


@pytest.mark.parametrize(
    "text",
    [
        "caf\u00e9 na\u00efve \u20ac 5",
        "\u041f\u0440\u0438\u0432\u0435\u0442 \u039a\u03b1\u03bb\u03b7\u03bc\u03ad\u03c1\u03b1",
        "\u65e5\u672c\u8a9e\u306e\u624b\u66f8\u304d",
        "\u05e9\u05dc\u05d5\u05dd 12 \u05e2\u05d5\u05dc\u05dd",
        "\u0645\u0631\u062d\u0628\u0627 \u0628\u0643",
        "\u0939\u093f\u0928\u094d\u0926\u0940",
        "\U0001f600 fine",
        "a\u0301 combined",
        "(brackets) \\ <angles> %",
    ],
)
def test_text_of_any_script_is_found_as_it_was_recognised(writer: PdfWriter, text: str) -> None:
    written = searchable(writer, one_page(), WrittenLine(1, BOX, text))

    assert texts_of(written) == [text]


def test_line_breaks_are_blanks_and_what_nobody_could_find_is_left_out(writer: PdfWriter) -> None:
    lines = [
        WrittenLine(1, BOX, "two\nlines\x00\x07"),
        WrittenLine(1, (60, 100, 180, 120), ""),
        WrittenLine(1, (60, 100, 180, 120), " \t\x01 "),
    ]

    assert texts_of(searchable(writer, one_page(), *lines)) == ["two lines"]


def test_a_box_without_an_area_still_holds_its_text(writer: PdfWriter) -> None:
    assert texts_of(searchable(writer, one_page(), WrittenLine(1, (60, 40, 60, 40), "thin"))) == ["thin"]


@pytest.mark.parametrize("content", [STRIPES, UNBALANCED, b"", b"Q Q Q " + STRIPES, b"BT /F 10 Tf (x) Tj"])
def test_the_page_looks_as_before_and_cannot_move_the_text(writer: PdfWriter, content: bytes) -> None:
    pdf = one_page(content)

    written = searchable(writer, pdf, WrittenLine(1, BOX, "Okafor"))

    assert np.array_equal(drawn(written), drawn(pdf))
    assert box_of(written, "Okafor") == pytest.approx(BOX, abs=0.5)


def test_pages_that_share_their_content_and_resources_get_each_its_own_text(writer: PdfWriter) -> None:
    # given: two pages with the same stream and resources, then one of them once more
    pdf = pikepdf.new()
    helvetica = Dictionary(Type=Name.Font, Subtype=Name.Type1, BaseFont=Name.Helvetica)
    shared = pdf.make_indirect(Dictionary(Font=pdf.make_indirect(Dictionary(Inkpost=helvetica))))
    first = add_page(pdf, b"BT /Inkpost 20 Tf 50 300 Td (printed) Tj ET", Resources=shared)
    add_page(pdf, b"", Resources=shared).Contents = first.Contents
    pdf.Root.Pages.Kids.append(first)
    pdf.Root.Pages.Count = 3
    original = saved(pdf)

    # when
    written = searchable(
        writer, original, *(WrittenLine(page, BOX, text) for page, text in ((1, "one"), (3, "three"), (2, "two")))
    )

    # then
    assert [sorted(texts_of(written, page)) for page in range(3)] == [
        ["one", "printed"],
        ["printed", "two"],
        ["printed", "three"],
    ]
    for page in range(3):
        assert np.array_equal(drawn(written, page), drawn(original, page))


def test_resources_that_a_page_inherits_are_kept(writer: PdfWriter) -> None:
    pdf = pikepdf.new()
    add_page(pdf, b"BT /F 20 Tf 50 300 Td (printed) Tj ET")
    del pdf.pages[0].obj["/Resources"]
    helvetica = Dictionary(Type=Name.Font, Subtype=Name.Type1, BaseFont=Name.Helvetica)
    pdf.Root.Pages.Resources = Dictionary(Font=Dictionary(F=helvetica))
    original = saved(pdf)

    written = searchable(writer, original, WrittenLine(1, BOX, "Okafor"))

    assert sorted(texts_of(written)) == ["Okafor", "printed"]
    assert np.array_equal(drawn(written), drawn(original))


def test_a_job_of_many_lines_stays_small(writer: PdfWriter) -> None:
    pdf = pikepdf.new()
    for _ in range(10):
        add_page(pdf)
    lines = [
        WrittenLine(1 + number // 100, (10, 4.0 * (number % 100), 200, 4.0 * (number % 100) + 3), f"line {number}")
        for number in range(1_000)
    ]
    heard = []

    written = writer.write(saved(pdf), None, TranscriptFormat.PDF, lines, on_progress=lambda: heard.append(True))

    assert texts_of(written, 9)[-1] == "line 999"
    assert len(written) < 100_000
    assert heard


def test_a_line_on_a_page_that_the_document_lacks_is_refused(writer: PdfWriter) -> None:
    with pytest.raises(InvalidPdf):
        searchable(writer, one_page(), WrittenLine(2, BOX, "Okafor"))


@pytest.mark.parametrize("revision", [3, 4, 6])
def test_an_encrypted_document_stays_encrypted_with_its_passwords_and_permissions(
    writer: PdfWriter, revision: int
) -> None:
    # given
    pdf = pikepdf.new()
    add_page(pdf)
    lock = pikepdf.Encryption(
        user="geheim",
        owner="eigner",
        R=revision,
        aes=revision > 3,
        metadata=revision > 3,
        allow=pikepdf.Permissions(extract=False),
    )
    locked = saved(pdf, encryption=lock)

    # when
    written = searchable(writer, locked, WrittenLine(1, BOX, "Okafor"), password="geheim")

    # then
    with pytest.raises(pikepdf.PasswordError):
        pikepdf.open(io.BytesIO(written))
    for password in ("geheim", "eigner"):
        with pikepdf.open(io.BytesIO(written), password=password) as opened:
            assert revision == opened.encryption.R
            assert not opened.allow.extract
        assert texts_of(written, password=password) == ["Okafor"]


def test_a_password_beyond_ascii_opens_an_older_document_too(writer: PdfWriter) -> None:
    pdf = pikepdf.new()
    add_page(pdf)
    lock = pikepdf.Encryption(user="caf\u00e9", owner="x", R=3, aes=False, metadata=False)

    written = searchable(writer, saved(pdf, encryption=lock), WrittenLine(1, BOX, "Okafor"), password="caf\u00e9")

    assert written


@pytest.mark.parametrize("password", [None, "", "wrong"])
def test_a_wrong_or_missing_password_refuses_the_document(writer: PdfWriter, password: str | None) -> None:
    pdf = pikepdf.new()
    add_page(pdf)
    locked = saved(pdf, encryption=pikepdf.Encryption(user="geheim", owner="eigner"))

    with pytest.raises(PdfEncrypted):
        searchable(writer, locked, WrittenLine(1, BOX, "Okafor"), password=password)
