"""Form PDFs for tests: good ones by several producers, and hostile ones.

    form = PdfBuilder()
    page = form.page(width=300, height=200, rotate=90, crop=(10, 10, 290, 190), user_unit=2.0, content=b"...")
    form.text_field(page, "surname", (20, 20, 120, 40), value="Okafor")
    form.picture(page, marked_picture(), (1, 0, 0, 1, 50, 60))       # matrix from pixels' unit square to the page
    pdf = form.bytes()

Rectangles and matrices are in the page's own coordinates, from the bottom left, as PDF has them. `opened(png)` gives a
cut line's pixels, and `mark_of(png)` says which corner of a `marked_picture` is where.
"""

import io
import struct
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import img2pdf
import numpy as np
import pikepdf
from numpy.typing import NDArray
from pikepdf import Array, Dictionary, Name, String
from PIL import Image, ImageDraw
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from tests.images import encode, line_picture

Rectangle = tuple[float, float, float, float]
Matrix = tuple[float, float, float, float, float, float]

LIBREOFFICE_FORM = Path(__file__).parent / "data" / "documents" / "libreoffice_form.pdf"

_CORNERS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "black": (0, 0, 0)}


# marks


def marked_picture(width: int = 200, height: int = 40) -> Image.Image:
    """Draw four corners: red top left, green top right, blue bottom left, black bottom right, on white."""
    picture = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(picture)
    w, h = width // 4 - 1, height // 4 - 1
    draw.rectangle((0, 0, w, h), _CORNERS["red"])
    draw.rectangle((width - 1 - w, 0, width - 1, h), _CORNERS["green"])
    draw.rectangle((0, height - 1 - h, w, height - 1), _CORNERS["blue"])
    draw.rectangle((width - 1 - w, height - 1 - h, width - 1, height - 1), _CORNERS["black"])
    return picture


def marked_content(box: Rectangle) -> bytes:
    """Paint the same four corners into a box of a page with PDF operators."""
    x0, y0, x1, y1 = box
    w, h = (x1 - x0) / 4, (y1 - y0) / 4
    corners = ((1, 0, 0, x0, y1 - h), (0, 1, 0, x1 - w, y1 - h), (0, 0, 1, x0, y0), (0, 0, 0, x1 - w, y0))
    return "\n".join(f"{r} {g} {b} rg {x} {y} {w} {h} re f" for r, g, b, x, y in corners).encode()


def opened(png: bytes | None) -> NDArray[np.uint8]:
    """Return a cut line's pixels as RGB, (height, width, 3)."""
    assert png is not None
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def mark_of(png: bytes | None) -> tuple[str, str, str, str]:
    """Return the colours of a cut line's corners: top left, top right, bottom left, bottom right."""
    pixels = opened(png)
    height, width, _ = pixels.shape
    places = [
        (row, column)
        for row in (height // 8, height - 1 - height // 8)
        for column in (width // 8, width - 1 - width // 8)
    ]
    return tuple(_nearest(pixels[place]) for place in places)  # type: ignore[return-value]


def _nearest(pixel: NDArray[np.uint8]) -> str:
    for name, colour in _CORNERS.items():
        if abs(pixel.astype(int) - colour).max() < 60:
            return name
    return "white" if pixel.min() > 200 else str(pixel.tolist())


UPRIGHT = ("red", "green", "blue", "black")


# by pikepdf


class PdfBuilder:
    """A document, page by page and field by field."""

    def __init__(self) -> None:
        self.pdf = pikepdf.new()

    def page(
        self,
        *,
        width: float = 300,
        height: float = 200,
        rotate: int = 0,
        crop: Rectangle | None = None,
        user_unit: float | None = None,
        content: bytes = b"",
    ) -> Any:
        """Add a page and return its dictionary."""
        page = self.pdf.add_blank_page(page_size=(width, height)).obj
        page.Contents = self.pdf.make_stream(content)
        page.Rotate = rotate
        if crop is not None:
            page.CropBox = Array(crop)
        if user_unit is not None:
            page.UserUnit = user_unit
        return page

    def draw(self, page: Any, content: bytes) -> None:
        """Add to what a page draws."""
        page.Contents = self.pdf.make_stream(page.Contents.read_bytes() + b"\n" + content)

    def image(self, picture: Image.Image, **entries: Any) -> Any:
        """Add a picture, grey or RGB, and return its stream; not placed anywhere yet."""
        stream = self.pdf.make_stream(picture.tobytes())
        colours = {"L": Name.DeviceGray, "RGB": Name.DeviceRGB, "CMYK": Name.DeviceCMYK, "1": Name.DeviceGray}
        stream.Type, stream.Subtype = Name.XObject, Name.Image
        stream.Width, stream.Height = picture.size
        stream.ColorSpace, stream.BitsPerComponent = colours[picture.mode], 1 if picture.mode == "1" else 8
        for key, value in entries.items():
            stream[f"/{key}"] = value
        return stream

    def place(self, target: Any, xobject: Any, matrix: Matrix) -> None:
        """Draw an image or a form on a page or within another form."""
        resources = target.get("/Resources", Dictionary())
        xobjects = resources.get("/XObject", Dictionary())
        name = f"/X{len(xobjects.keys())}"
        xobjects[name] = xobject
        resources.XObject = xobjects
        target.Resources = resources
        content = f"q {' '.join(map(str, matrix))} cm {name} Do Q".encode()
        if isinstance(target, pikepdf.Stream):
            target.write(target.read_bytes() + b"\n" + content)
        else:
            self.draw(target, content)

    def picture(self, page: Any, picture: Image.Image, matrix: Matrix, **entries: Any) -> None:
        """Add a picture and place it."""
        self.place(page, self.image(picture, **entries), matrix)

    def form_xobject(self, box: Rectangle, matrix: Matrix = (1, 0, 0, 1, 0, 0), content: bytes = b"") -> Any:
        """Add a form XObject; not placed anywhere yet."""
        form = self.pdf.make_stream(content)
        form.Type, form.Subtype = Name.XObject, Name.Form
        form.BBox, form.Matrix = Array(box), Array(matrix)
        return form

    def group(self, name: str, parent: Any | None = None) -> Any:
        """Add a field without a place, for others to hang below."""
        return self._add(Dictionary(T=String(name), Kids=Array()), parent)

    def text_field(
        self,
        page: Any,
        name: str,
        rectangle: Rectangle,
        *,
        value: str | None = None,
        parent: Any | None = None,
        flags: int = 0,
    ) -> Any:
        """Add a text field."""
        return self.field(page, name, rectangle, "/Tx", parent=parent, flags=flags, V=value)

    def field(
        self,
        page: Any,
        name: str,
        rectangle: Rectangle,
        kind: str,
        *,
        parent: Any | None = None,
        flags: int = 0,
        **entries: Any,
    ) -> Any:
        """Add a field of any kind with one place; `entries` that are None are left out."""
        field = Dictionary(
            T=String(name),
            Type=Name.Annot,
            Subtype=Name.Widget,
            FT=Name(kind),
            Rect=Array(rectangle),
            P=page,
            F=4,
            Ff=flags,
        )
        for key, entry in entries.items():
            if entry is not None:
                field[f"/{key}"] = String(entry) if isinstance(entry, str) else entry
        field = self._add(field, parent)
        self._annotate(page, field)
        return field

    def second_place(self, field: Any, page: Any, rectangle: Rectangle) -> None:
        """Give a field without places one more: a widget that is its kid."""
        widget = self.pdf.make_indirect(
            Dictionary(Type=Name.Annot, Subtype=Name.Widget, Rect=Array(rectangle), P=page, F=4, Parent=field)
        )
        field.Kids.append(widget)
        self._annotate(page, widget)

    def places(self, name: str, page: Any, *rectangles: Rectangle, kind: str = "/Tx", flags: int = 0) -> Any:
        """Add a field with several places."""
        field = self._add(Dictionary(T=String(name), FT=Name(kind), Ff=flags, Kids=Array()), None)
        for rectangle in rectangles:
            self.second_place(field, page, rectangle)
        return field

    def _add(self, field: Dictionary, parent: Any | None) -> Any:
        field = self.pdf.make_indirect(field)
        if parent is not None:
            field.Parent = parent
            parent.Kids.append(field)
        else:
            if "/AcroForm" not in self.pdf.Root:
                self.pdf.Root.AcroForm = Dictionary(Fields=Array(), DA=String("/Helv 0 Tf 0 g"))
            self.pdf.Root.AcroForm.Fields.append(field)
        return field

    def _annotate(self, page: Any, widget: Any) -> None:
        if "/Annots" not in page:
            page.Annots = Array()
        page.Annots.append(widget)

    def bytes(self, **options: Any) -> bytes:
        """Return the document; `options` are pikepdf's, such as `encryption` or `object_stream_mode`."""
        file = io.BytesIO()
        self.pdf.save(file, **options)
        return file.getvalue()


# by others


def reportlab_form(names: Sequence[str] = ("surname", "city"), *, pages: int = 1, ink: str = "Okafor") -> bytes:
    """Build an A4 form with ReportLab: per page, text fields below each other with ink drawn over the first."""
    file = io.BytesIO()
    canvas = Canvas(file, pagesize=(595, 842))
    for page in range(pages):
        for row, name in enumerate(names):
            top = 60 + 24 * row
            canvas.acroForm.textfield(
                name=name if pages == 1 else f"{name}_{page}",
                x=50,
                y=842 - top - 20,
                width=300,
                height=20,
                borderWidth=1,
            )
        canvas.drawString(56, 842 - 60 - 14, ink)
        canvas.showPage()
    canvas.save()
    return file.getvalue()


def reportlab_pictures(pictures: Sequence[Image.Image], *, per_page: int = 20) -> bytes:
    """Build a document with ReportLab whose pages hold pictures below each other and nothing else."""
    file = io.BytesIO()
    canvas = Canvas(file, pagesize=(595, 842))
    for index, picture in enumerate(pictures):
        if index and index % per_page == 0:
            canvas.showPage()
        bottom = 842 - 60 - 36 * (index % per_page)
        canvas.drawImage(ImageReader(picture), 50, bottom, width=30 * picture.width / picture.height, height=30)
    canvas.save()
    return file.getvalue()


def scan(*pages: Image.Image, dpi: int = 300) -> bytes:
    """Build a scan with img2pdf: one JPEG fills each page."""
    return img2pdf.convert(
        [encode(page, "JPEG", quality=92, dpi=(dpi, dpi)) for page in pages], rotation=img2pdf.Rotation.ifvalid
    )


def scanned_page(lines: int = 3, dpi: int = 150) -> Image.Image:
    """Draw a page of paper, a little grey and noisy, with lines of ink."""
    width, height = round(8.27 * dpi), round(11.69 * dpi)
    noise = np.random.default_rng(5).normal(244, 3, (height, width)).clip(0, 255).astype(np.uint8)
    page = Image.fromarray(noise)
    for row in range(lines):
        page.paste(line_picture(row, width=300, height=40), (100, 100 + 80 * row))
    return page


# hostile ones


def raw_pdf(*objects: bytes, trailer: bytes = b"/Root 1 0 R") -> bytes:
    """Assemble numbered objects, 1 and up, into a document with a right table of where they are."""
    data, offsets = b"%PDF-1.7\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    size = len(objects) + 1
    return data + (
        b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<</Size %d %s>>\nstartxref\n%d\n%%%%EOF\n"
        % (size, table, size, trailer, len(data))
    )


def stream(body: bytes, entries: bytes = b"") -> bytes:
    """Build a stream object."""
    return b"<</Length %d %s>>\nstream\n%s\nendstream" % (len(body), entries, body)


def one_page(page_entries: bytes, *more: bytes, catalog_entries: bytes = b"") -> bytes:
    """Build a document of one page from its dictionary's entries; further objects are numbered from 4."""
    return raw_pdf(
        b"<</Type/Catalog/Pages 2 0 R %s>>" % catalog_entries,
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R %s>>" % page_entries,
        *more,
    )


def many_pages_sharing_one(count: int = 5_000) -> bytes:
    """Build a small document with many pages, all the same object."""
    return raw_pdf(
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Count %d/Kids[%s]>>" % (count, b"3 0 R " * count),
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 200]>>",
    )


def page_tree_cycle() -> bytes:
    """Build a page tree that holds itself."""
    return raw_pdf(
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 2>>",
        b"<</Type/Pages/Kids[2 0 R 3 0 R]/Count 2/Parent 2 0 R>>",
    )


def xref_loop() -> bytes:
    """Build a document whose table names itself as the one before."""
    pdf = one_page(b"/MediaBox[0 0 300 200]")
    start = int(pdf.rsplit(b"startxref\n", 1)[1].split(b"\n")[0])
    return pdf.replace(b"/Root 1 0 R", b"/Root 1 0 R/Prev %d" % start)


def form_cycle() -> bytes:
    """Build a page that draws a form that draws itself, twice each time."""
    entries = b"/Type/XObject/Subtype/Form/BBox[0 0 300 200]/Resources<</XObject<</F 5 0 R>>>>"
    return one_page(
        b"/MediaBox[0 0 300 200]/Contents 4 0 R/Resources<</XObject<</F 5 0 R>>>>",
        stream(b"/F Do"),
        stream(b"/F Do /F Do", entries),
    )


def flate_bomb(inflated_bytes: int = 1024 * 1024 * 1024) -> bytes:
    """Build a page whose content is a million times white space, a thousandth as long in the file."""
    return one_page(
        b"/MediaBox[0 0 300 200]/Contents 4 0 R",
        stream(_deflated(b" " * 1024 * 1024, inflated_bytes), b"/Filter/FlateDecode"),
    )


def object_stream_bomb(inflated_bytes: int = 2 * 1024 * 1024 * 1024) -> bytes:
    """Build a document whose catalog lies in an object stream that inflates to gigabytes."""
    data = b"%PDF-1.7\n"
    stream_at = len(data)
    body = _deflated(b"1 0 <</Type/Catalog/Pages 2 0 R>>".ljust(1024 * 1024), inflated_bytes)
    data += b"3 0 obj\n" + stream(body, b"/Type/ObjStm/N 1/First 4/Filter/FlateDecode") + b"\nendobj\n"
    table_at = len(data)
    rows = [(0, 0, 255), (2, 3, 0), (0, 0, 0), (1, stream_at, 0), (1, table_at, 0)]
    table = b"".join(struct.pack(">BIB", *row) for row in rows)
    data += b"4 0 obj\n" + stream(table, b"/Type/XRef/Size 5/W[1 4 1]/Root 1 0 R") + b"\nendobj\n"
    return data + b"startxref\n%d\n%%%%EOF\n" % table_at


def _deflated(block: bytes, length: int) -> bytes:
    """Deflate a block again and again, quickly: what one block becomes is repeated."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    first = compressor.compress(block) + compressor.flush(zlib.Z_FULL_FLUSH)
    return b"\x78\xda" + first * (length // len(block)) + b"\x03\x00"


def image_bomb(filter_: str, side: int = 20_000) -> bytes:
    """Build a page with one huge picture: `jpx`, `jbig2` or `flate`."""
    encoded: Callable[[], tuple[bytes, bytes]] = {"jpx": _jpx, "jbig2": _jbig2, "flate": _flate_rows}[filter_]
    body, entries = encoded(side)  # type: ignore[call-arg]
    entries += b"/Type/XObject/Subtype/Image/Width %d/Height %d" % (side, side)
    return one_page(
        b"/MediaBox[0 0 300 200]/Contents 4 0 R/Resources<</XObject<</I 5 0 R>>>>",
        stream(b"300 0 0 200 0 0 cm /I Do"),
        stream(body, entries),
    )


def _flate_rows(side: int) -> tuple[bytes, bytes]:
    return _deflated(
        bytes(1024 * 1024), side * side * 3
    ), b"/Filter/FlateDecode/ColorSpace/DeviceRGB/BitsPerComponent 8"


def _jpx(side: int) -> tuple[bytes, bytes]:
    """Encode a small JPEG 2000 whose header says that it is huge."""
    body = bytearray(encode(Image.new("RGB", (64, 64), "white"), "JPEG2000", no_jp2=True))
    siz = body.index(b"\xff\x51")
    struct.pack_into(">II", body, siz + 6, side, side)  # Xsiz, Ysiz
    struct.pack_into(">II", body, siz + 22, side, side)  # XTsiz, YTsiz: one tile
    return bytes(body), b"/Filter/JPXDecode"


def _jbig2(side: int) -> tuple[bytes, bytes]:
    """Encode a JBIG2 page of this size with one generic region that covers it and has hardly any data."""

    def segment(number: int, kind: int, body: bytes) -> bytes:
        return struct.pack(">IBBBI", number, kind, 0, 1, len(body)) + body

    page = struct.pack(">IIIIBH", side, side, 0, 0, 0, 0)
    region = (
        struct.pack(">IIIIB", side, side, 0, 0, 0) + b"\0" + bytes([3, 255, 253, 255, 2, 254, 254, 254]) + b"\0" * 64
    )
    return segment(0, 48, page) + segment(
        1, 38, region
    ), b"/Filter/JBIG2Decode/ColorSpace/DeviceGray/BitsPerComponent 1"


def active_pdf(address: str) -> bytes:
    """Build a page with everything that a document may ask a reader to do, all of it pointed at an address."""
    form = PdfBuilder()
    page = form.page(content=marked_content((20, 20, 120, 60)))
    form.text_field(page, "surname", (20, 20, 120, 60))
    script = Dictionary(S=Name.JavaScript, JS=String(f"app.launchURL('{address}'); this.submitForm('{address}');"))
    root = form.pdf.Root
    root.OpenAction = Dictionary(S=Name.Launch, F=String("/bin/sh"), Next=Dictionary(S=Name.URI, URI=String(address)))
    root.AA = Dictionary(WC=script)
    root.Names = Dictionary(JavaScript=Dictionary(Names=Array([String("run"), script])))
    root.AcroForm.XFA = form.pdf.make_stream(b"<xdp:xdp xmlns:xdp='http://ns.adobe.com/xdp/'><x/></xdp:xdp>")
    page.AA = Dictionary(O=script)
    page.Annots[0].AA = Dictionary(F=script, K=script, C=script)
    form.pdf.attachments["run.exe"] = b"MZ" + bytes(100)
    return form.bytes()


def truncated(pdf: bytes, kept: float) -> bytes:
    """Keep the first part of a document."""
    return pdf[: int(len(pdf) * kept)]
