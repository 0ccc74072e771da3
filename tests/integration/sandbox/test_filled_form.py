"""A filled form: the texts are the fields' values, and are seen in viewers that draw what they are given."""

import io

import pikepdf
import pytest
from pikepdf import Array, Dictionary, Name, String

from core.documents.cutting import Box
from core.documents.writing import WrittenLine
from core.words import TranscriptFormat
from tests.written_pdfs import drawn, ink_in, texts_of
from worker.sandbox.pdf_writing import PdfWriter

HEIGHT = 400
BOX: Box = (20.0, 40.0, 180.0, 64.0)
MULTILINE, PASSWORD, COMB, COMBO, EDIT, RADIO = 1 << 12, 1 << 13, 1 << 24, 1 << 17, 1 << 18, 1 << 15


class Form:
    """A form of one page whose boxes are measured from its top left corner, as everywhere in Inkpost."""

    def __init__(self, **entries: object) -> None:
        self.pdf = pikepdf.new()
        self.page = self.pdf.add_blank_page(page_size=(300, HEIGHT)).obj
        self.page.Annots = Array()
        self.pdf.Root.AcroForm = Dictionary(Fields=Array(), DA=String("/Helv 0 Tf 0 g"), **entries)

    def widget(self, box: Box, **entries: object) -> pikepdf.Object:
        x0, y0, x1, y1 = box
        rectangle = Array([x0, HEIGHT - y1, x1, HEIGHT - y0])
        widget = self.pdf.make_indirect(
            Dictionary(Type=Name.Annot, Subtype=Name.Widget, Rect=rectangle, F=4, **entries)
        )
        self.page.Annots.append(widget)
        return widget

    def field(self, name: str, box: Box = BOX, kind: Name = Name.Tx, **entries: object) -> pikepdf.Object:
        field = self.widget(box, FT=kind, T=String(name), **entries)
        self.pdf.Root.AcroForm.Fields.append(field)
        return field

    def group(self, name: str, *kids: pikepdf.Object, **entries: object) -> pikepdf.Object:
        group = self.pdf.make_indirect(Dictionary(T=String(name), Kids=Array(kids), **entries))
        for kid in kids:
            kid.Parent = group
        return group

    def bytes(self) -> bytes:
        file = io.BytesIO()
        self.pdf.save(file)
        return file.getvalue()


def filled(writer: PdfWriter, form: Form, *texts: tuple[str, str]) -> bytes:
    lines = [WrittenLine(1, BOX, text, field) for field, text in texts]
    return writer.write(form.bytes(), None, TranscriptFormat.FORM, lines)


def values(pdf: bytes) -> dict[str, str]:
    with pikepdf.open(io.BytesIO(pdf)) as opened:
        return {field.fully_qualified_name: field.value_as_string for field in opened.acroform.fields}


def as_drawn(pdf: bytes) -> str:
    """Return the words that a viewer draws that trusts the fields' appearances: they are laid into the page."""
    with pikepdf.open(io.BytesIO(pdf)) as opened:
        if "/AcroForm" in opened.Root:
            opened.Root.AcroForm.NeedAppearances = False
        opened.flatten_annotations()
        flat = io.BytesIO()
        opened.save(flat)
    return " ".join(" ".join(texts_of(flat.getvalue())).split())


def test_the_text_is_the_fields_value_and_is_seen_in_its_box(writer: PdfWriter) -> None:
    form = Form()
    form.field("surname")

    written = filled(writer, form, ("surname", "Okafor"))

    assert values(written) == {"surname": "Okafor"}
    assert as_drawn(written) == "Okafor"
    ink = ink_in(written, (0, 0, 300, HEIGHT))
    assert ink is not None
    assert BOX[0] <= ink[0] < ink[2] <= BOX[2]
    assert BOX[1] <= ink[1] < ink[3] <= BOX[3]
    assert ink[3] - ink[1] > 12  # as large as its box allows


def test_fields_are_found_by_their_names_in_full_as_the_cutter_gives_them(writer: PdfWriter) -> None:
    form = Form()
    given, family = form.widget(BOX, FT=Name.Tx, T=String("name")), form.widget((20, 80, 180, 104), T=String("name"))
    form.pdf.Root.AcroForm.Fields.extend(
        [form.group("given", given), form.group("family", form.group("birth", family, FT=Name.Tx))]
    )

    written = filled(writer, form, ("given.name", "Ada"), ("family.birth.name", "Okafor"), ("name", "nobody"))

    assert values(written) == {"given.name": "Ada", "family.birth.name": "Okafor"}
    assert as_drawn(written) == "Ada Okafor"


def test_a_field_in_two_places_has_one_value_and_shows_it_in_both(writer: PdfWriter) -> None:
    form = Form()
    places = form.widget(BOX), form.widget((20, 80, 180, 104))
    form.pdf.Root.AcroForm.Fields.append(form.group("surname", *places, FT=Name.Tx))
    form.field("other#2", (20, 120, 180, 144))

    written = filled(writer, form, ("surname", " "), ("surname#2", "Okafor"), ("other#2", "of that name"))

    assert values(written)["surname"] == "Okafor"
    assert as_drawn(written) == "Okafor Okafor of that name"


def test_only_empty_text_and_choice_fields_are_filled(writer: PdfWriter) -> None:
    # given
    form = Form()
    off = Dictionary(N=Dictionary(Yes=form.pdf.make_stream(b""), Off=form.pdf.make_stream(b"")))
    form.field("typed", V=String("was here"))
    form.field("agreed", kind=Name.Btn, V=Name.Off, AS=Name.Off, AP=off)
    form.field("secret", Ff=PASSWORD)
    form.field("signature", kind=Name.Sig)
    form.field("chosen", kind=Name.Ch, V=Array([String("a")]), Opt=Array([String("a"), String("b")]))
    radio = form.widget(BOX, AS=Name.Off, AP=off)
    form.pdf.Root.AcroForm.Fields.append(form.group("kind", radio, FT=Name.Btn, Ff=RADIO, V=Name.Off))
    before = form.bytes()

    # when
    names = ("typed", "agreed", "secret", "signature", "chosen", "kind")
    written = filled(writer, form, *((name, "b") for name in names))

    # then
    assert values(written) == values(before)
    with pikepdf.open(io.BytesIO(written)) as after:
        assert not [one for one in after.pages[0].Annots if "/AP" in one and "/Yes" not in one.AP.N]


@pytest.mark.parametrize(
    ("text", "value", "shown"),
    [("nigeria", "NG", "Nigeria"), (" NG ", "NG", "Nigeria"), ("Ghana", "Ghana", "Ghana"), ("Togo", "Togo", "Togo")],
)
def test_a_choice_takes_the_option_that_the_text_names_and_else_the_text(
    writer: PdfWriter, text: str, value: str, shown: str
) -> None:
    form = Form()
    options = Array([Array([String("NG"), String("Nigeria")]), String("Ghana"), Array([]), 7])
    form.field("country", kind=Name.Ch, Ff=COMBO | EDIT, Opt=options, I=Array([3]))

    written = filled(writer, form, ("country", text))

    assert values(written) == {"country": value}
    assert as_drawn(written) == shown


def test_a_field_of_several_lines_breaks_its_text_and_stays_in_its_box(writer: PdfWriter) -> None:
    form = Form()
    box = (20.0, 40.0, 180.0, 100.0)
    form.field("notes", box, Ff=MULTILINE)
    text = "A note that needs several lines to be shown,\nthen goes on and on, and on, until it fills its field. " * 2

    written = filled(writer, form, ("notes", text))

    assert values(written) == {"notes": text}
    assert as_drawn(written).split() == text.split()
    ink = ink_in(written, (0, 0, 300, HEIGHT))
    assert ink is not None
    assert box[0] <= ink[0] < ink[2] <= box[2]
    assert box[1] <= ink[1] < ink[3] <= box[3]


def test_a_field_of_one_line_holds_a_long_text_in_small_letters_on_one_line(writer: PdfWriter) -> None:
    form = Form()
    form.field("surname", DA=String("/Helv 14 Tf 1 0 0 rg"))

    written = filled(writer, form, ("surname", "A text too long\nfor a field of this size"))

    assert values(written) == {"surname": "A text too long for a field of this size"}
    ink = ink_in(written, (0, 0, 300, HEIGHT))
    assert ink is not None
    assert ink[2] <= BOX[2]
    assert ink[3] - ink[1] < 12


def test_a_comb_has_a_character_in_each_cell(writer: PdfWriter) -> None:
    form = Form()
    form.field("zip", Ff=COMB, MaxLen=8)

    written = filled(writer, form, ("zip", "10961"))

    cell = (BOX[2] - BOX[0]) / 8
    for place in range(8):
        left = BOX[0] + place * cell
        ink = ink_in(written, (left, BOX[1], left + cell, BOX[3]))
        assert (ink is not None) == (place < 5)
        if ink is not None:
            assert (ink[0] + ink[2]) / 2 == pytest.approx(left + cell / 2, abs=2)


def test_a_text_longer_than_its_field_allows_is_kept_whole(writer: PdfWriter) -> None:
    form = Form()
    form.field("zip", Ff=COMB, MaxLen=5)

    written = filled(writer, form, ("zip", "10961 Berlin"))

    assert values(written) == {"zip": "10961 Berlin"}
    assert as_drawn(written) == "10961 Berlin"


@pytest.mark.parametrize(("alignment", "side"), [(0, "left"), (1, "middle"), (2, "right")])
def test_text_is_aligned_as_the_form_says(writer: PdfWriter, alignment: int, side: str) -> None:
    form = Form(Q=alignment)
    form.field("surname", DA=String("/Helv 10 Tf 0 g"))

    ink = ink_in(filled(writer, form, ("surname", "Ada")), (0, 0, 300, HEIGHT))

    assert ink is not None
    left, right = ink[0] - BOX[0], BOX[2] - ink[2]
    assert side == ("middle" if abs(left - right) < 3 else "left" if left < right else "right")


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_a_turned_field_shows_its_text_in_its_box(writer: PdfWriter, turn: int) -> None:
    form = Form()
    upright = turn % 180 == 0
    box: Box = (40.0, 40.0, 200.0, 60.0) if upright else (40.0, 40.0, 60.0, 200.0)
    form.field("surname", box, MK=Dictionary(R=turn), DA=String("/Helv 12 Tf 0 g"))

    ink = ink_in(filled(writer, form, ("surname", "Okafor")), (0, 0, 300, HEIGHT))

    # then: the text begins at the left, the bottom, the right, the top of the box
    assert ink is not None
    width, height = ink[2] - ink[0], ink[3] - ink[1]
    assert (width > height) == upright
    distance = {0: ink[0] - box[0], 90: box[3] - ink[3], 180: box[2] - ink[2], 270: ink[1] - box[1]}[turn]
    assert 0 <= distance < 6


def test_a_border_and_a_background_are_painted_under_the_text(writer: PdfWriter) -> None:
    form = Form()
    form.field("surname", MK=Dictionary(BC=Array([0]), BG=Array([0.9, 0.9, 1])), BS=Dictionary(W=2))

    ink = ink_in(filled(writer, form, ("surname", "Okafor")), (0, 0, 300, HEIGHT))

    assert ink == pytest.approx(BOX, abs=0.3)


def test_letters_over_ink_are_legible_and_the_ink_shows_through(writer: PdfWriter) -> None:
    # given: a field that is written all over
    form = Form()
    form.page.Contents = form.pdf.make_stream(b"0 0 300 400 re f")
    form.field("surname")
    inside = (slice(int(BOX[1]) * 2 + 4, int(BOX[3]) * 2 - 4), slice(int(BOX[0]) * 2 + 4, int(BOX[2]) * 2 - 4))

    # when
    shades = drawn(filled(writer, form, ("surname", "Okafor")), with_form=True)[inside]

    # then
    assert shades.min() < 20
    assert 200 < shades.max() < 240


@pytest.mark.parametrize(
    "text",
    [
        "caf\u00e9 \u20ac 5",
        "\u041f\u0440\u0438\u0432\u0435\u0442, Ada",
        "\u65e5\u672c\u8a9e",
        "\u05e9\u05dc\u05d5\u05dd",
    ],
)
def test_the_value_and_the_drawn_text_are_of_any_script(writer: PdfWriter, text: str) -> None:
    form = Form()
    form.field("surname")

    written = filled(writer, form, ("surname", text))

    assert values(written) == {"surname": text}
    assert as_drawn(written) == text
    with pikepdf.open(io.BytesIO(written)) as opened:
        is_latin = text.startswith("caf")
        assert ("/NeedAppearances" in opened.Root.AcroForm) == (not is_latin)


def test_a_text_of_more_characters_than_a_font_holds_is_drawn_whole(writer: PdfWriter) -> None:
    form = Form()
    form.field("notes", (20, 40, 280, 380), Ff=MULTILINE)
    text = "".join(map(chr, range(0x4E00, 0x4E00 + 500)))

    written = filled(writer, form, ("notes", text))

    assert as_drawn(written).replace(" ", "") == text


def test_xfa_and_usage_rights_go_and_certification_stays(writer: PdfWriter) -> None:
    form = Form(XFA=Array([]))
    form.field("surname")
    form.pdf.Root.NeedsRendering = True
    form.pdf.Root.Perms = Dictionary(UR3=Dictionary(), DocMDP=Dictionary())

    with pikepdf.open(io.BytesIO(filled(writer, form, ("surname", "Okafor")))) as opened:
        assert "/XFA" not in opened.Root.AcroForm
        assert "/NeedsRendering" not in opened.Root
        assert set(opened.Root.Perms.keys()) == {"/DocMDP"}


def test_what_would_contradict_the_new_value_goes(writer: PdfWriter) -> None:
    form = Form()
    form.field("surname", RV=String("<body/>"), V=String(""))

    with pikepdf.open(io.BytesIO(filled(writer, form, ("surname", "Okafor")))) as opened:
        assert "/RV" not in opened.pages[0].Annots[0]


def test_appearances_that_fields_shared_are_their_own_afterwards(writer: PdfWriter) -> None:
    form = Form()
    shared = form.pdf.make_indirect(Dictionary(N=form.pdf.make_stream(b"")))
    form.field("one", BOX, AP=shared)
    form.field("two", (20, 80, 180, 104), AP=shared)
    form.field("three", (20, 120, 180, 144), AP=shared)

    written = filled(writer, form, ("one", "first"), ("two", "second"))

    assert as_drawn(written) == "first second"


def test_a_document_without_a_form_is_handed_back_as_it_is(writer: PdfWriter) -> None:
    form = Form()
    del form.pdf.Root.AcroForm

    assert not as_drawn(filled(writer, form, ("surname", "Okafor")))
