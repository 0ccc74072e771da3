"""Make the example form: an AcroForm of twelve text fields and a check box, filled in by hands that training never saw.

The ink is drawn as outlines, not as text: a form that was filled in by pen holds no text to extract either.

    python -m training.form        # -> examples/forms/intake.pdf and intake.tsv, which says what is written
"""

import io
import random
from dataclasses import dataclass
from pathlib import Path

import pikepdf
from fontTools.pens.recordingPen import DecomposingRecordingPen
from fontTools.pens.reportLabPen import ReportLabPen
from fontTools.pens.transformPen import TransformPen
from fontTools.ttLib import TTFont
from reportlab.graphics.shapes import Path as Outline
from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas
from reportlab.pdfgen.pathobject import PDFPathObject

from training.fonts import FONTS, UNSEEN

FORMS = Path(__file__).resolve().parent.parent / "examples" / "forms"
SEED = 401
WIDTH, HEIGHT = A4
INK = (0.09, 0.15, 0.48)
RULE = (0.55, 0.55, 0.55)
LETTER_HEIGHT = 8.2  # points, of an x with half of its ascender: hands are as large as the form's lines ask for


@dataclass(frozen=True, slots=True)
class Entry:
    """A field: its fully qualified name, its label, what is written, its place (points, origin bottom left)."""

    name: str
    label: str
    text: str
    left: float
    bottom: float
    width: float = 220.0
    height: float = 26.0

    @property
    def rectangle(self) -> tuple[float, float, float, float]:
        """Left, bottom, right, top."""
        return self.left, self.bottom, self.left + self.width, self.bottom + self.height


# Ordinary entries, chosen before any model had read them.
ENTRIES = (
    Entry("person.surname", "Surname", "Lindqvist", 60, 700),
    Entry("person.given_names", "Given names", "Amara Ruth", 315, 700),
    Entry("person.born", "Date of birth", "09/11/1974", 60, 645),
    Entry("contact.phone", "Telephone", "(503) 555-0147", 315, 645),
    Entry("address.street", "Street and number", "208 Harbour Road", 60, 590),
    Entry("address.city", "City, state, ZIP", "Portland, OR 97201", 315, 590),
    Entry("contact.email", "E-mail", "a.lindqvist@example.org", 60, 535, width=300),
    Entry("visit.date", "Date of visit", "16 March 2026", 60, 465),
    Entry("visit.reason", "Reason for the visit", "Annual check-up", 315, 465),
    Entry("account.policy", "Policy number", "7730 2281 4496", 60, 410),
    Entry("account.amount", "Amount paid", "$340.00", 315, 410),
    Entry("remark", "Remarks", "Allergic to penicillin.", 60, 355, width=475),
)
CHECK_BOX = ("consent", 60.0, 305.0, 12.0)


def draw_page() -> bytes:
    """Return a PDF of one page: labels, rules and ink, without fields."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=A4, invariant=True)
    canvas.setTitle("Patient intake")
    canvas.setFont("Helvetica-Bold", 18)
    canvas.drawString(60, 770, "Patient intake")
    canvas.setFont("Helvetica", 9)
    canvas.drawString(60, 755, "Please write clearly, one entry a line.")
    for entry in ENTRIES:
        canvas.drawString(entry.left, entry.bottom + entry.height + 4, entry.label)
        canvas.setStrokeColorRGB(*RULE)
        canvas.line(entry.left, entry.bottom - 1.5, entry.left + entry.width, entry.bottom - 1.5)
    name, left, bottom, side = CHECK_BOX
    canvas.rect(left, bottom, side, side)
    canvas.drawString(left + side + 6, bottom + 2.5, f"I agree that my entries are kept ({name}).")
    canvas.setFillColorRGB(*INK)
    generator = random.Random(SEED)
    for number, entry in enumerate(ENTRIES):
        write_ink(canvas, entry, FONTS / f"{UNSEEN[number % len(UNSEEN)]}.ttf", generator)
    canvas.save()
    return buffer.getvalue()


def write_ink(canvas: Canvas, entry: Entry, font_file: Path, generator: random.Random) -> None:
    """Write an entry as outlines of a font's glyphs, each a little out of line."""
    font = TTFont(font_file)
    glyphs, names = font.getGlyphSet(), font.getBestCmap()
    size = LETTER_HEIGHT / _height_of(glyphs[names[ord("x")]], glyphs)
    advances = [glyphs[names[ord(character)]].width * size for character in entry.text]
    squeeze = min(1.0, (entry.width - 12) / sum(advances))
    left, baseline = entry.left + 5 + generator.uniform(0, 6), entry.bottom + 8.5
    slope = generator.gauss(0, 0.006)
    outline = canvas.beginPath()
    for character, advance in zip(entry.text, advances, strict=True):
        rise = slope * (left - entry.left) + generator.gauss(0, 0.25)
        recording = DecomposingRecordingPen(glyphs)
        glyphs[names[ord(character)]].draw(recording)
        pen = ReportLabPen(glyphs)
        recording.replay(TransformPen(pen, (size * squeeze, 0, 0, size, left, baseline + rise)))
        _append(outline, pen.path)
        left += advance * squeeze
    canvas.drawPath(outline, stroke=0, fill=1)


def _height_of(glyph: object, glyphs: object) -> float:
    recording = DecomposingRecordingPen(glyphs)
    glyph.draw(recording)
    return max(point[1] for _, points in recording.value for point in points if point is not None)


def _append(path: PDFPathObject, outline: Outline) -> None:
    """Copy an outline of reportlab's graphics into a path of its canvas."""
    points = iter(outline.points)
    for operator in outline.operators:
        if operator == 0:
            path.moveTo(next(points), next(points))
        elif operator == 1:
            path.lineTo(next(points), next(points))
        elif operator == 2:
            path.curveTo(*(next(points) for _ in range(6)))
        else:
            path.close()


def add_fields(page_pdf: bytes) -> bytes:
    """Return the PDF with its form: nested fields, all of them empty."""
    with pikepdf.open(io.BytesIO(page_pdf)) as pdf:
        page = pdf.pages[0]
        font = pdf.make_indirect(
            pikepdf.Dictionary(
                Type=pikepdf.Name.Font,
                Subtype=pikepdf.Name.Type1,
                BaseFont=pikepdf.Name.Helvetica,
                Encoding=pikepdf.Name.WinAnsiEncoding,
            )
        )
        parents: dict[str, pikepdf.Object] = {}
        top: list[pikepdf.Object] = []
        widgets = []
        for entry in ENTRIES:
            parent_name, _, own_name = entry.name.rpartition(".")
            field = _widget(pdf, page, own_name, entry.rectangle)
            field.FT, field.DA, field.TU = pikepdf.Name.Tx, pikepdf.String("/Helv 11 Tf 0 g"), entry.label
            _hang(pdf, field, parent_name, parents, top)
            widgets.append(field)
        name, left, bottom, side = CHECK_BOX
        box = _widget(pdf, page, name, (left, bottom, left + side, bottom + side))
        box.FT, box.AS = pikepdf.Name.Btn, pikepdf.Name.Off
        _hang(pdf, box, "", parents, top)
        page.Annots = pdf.make_indirect(pikepdf.Array([*widgets, box]))
        pdf.Root.AcroForm = pikepdf.Dictionary(
            Fields=pikepdf.Array(top),
            DA=pikepdf.String("/Helv 11 Tf 0 g"),
            DR=pikepdf.Dictionary(Font=pikepdf.Dictionary(Helv=font)),
        )
        saved = io.BytesIO()
        pdf.save(saved, deterministic_id=True, object_stream_mode=pikepdf.ObjectStreamMode.generate)
    return saved.getvalue()


def _widget(
    pdf: pikepdf.Pdf, page: pikepdf.Page, name: str, rectangle: tuple[float, float, float, float]
) -> pikepdf.Object:
    return pdf.make_indirect(
        pikepdf.Dictionary(
            Type=pikepdf.Name.Annot,
            Subtype=pikepdf.Name.Widget,
            T=pikepdf.String(name),
            Rect=pikepdf.Array([*rectangle]),
            P=page.obj,
            F=4,
        )
    )


def _hang(
    pdf: pikepdf.Pdf, field: pikepdf.Object, parent: str, parents: dict[str, pikepdf.Object], top: list[pikepdf.Object]
) -> None:
    """Put a field below its parent, which is made when it is first named, or at the top."""
    if not parent:
        top.append(field)
        return
    if parent not in parents:
        parents[parent] = pdf.make_indirect(pikepdf.Dictionary(T=pikepdf.String(parent), Kids=pikepdf.Array()))
        top.append(parents[parent])
    field.Parent = parents[parent]
    parents[parent].Kids.append(field)


def main() -> None:
    """Write the form and its references."""
    FORMS.mkdir(parents=True, exist_ok=True)
    (FORMS / "intake.pdf").write_bytes(add_fields(draw_page()))
    rows = "".join(f"{entry.name}\t{entry.text}\n" for entry in ENTRIES)
    (FORMS / "intake.tsv").write_text(rows, encoding="utf-8")


if __name__ == "__main__":
    main()
