"""The entry module for documents: a PDF in; pages, lines and the cut that was made out. Runs in a sandbox child only.

pdfium draws, finds pictures and knows the form; nothing of a document is run (this pdfium has no JavaScript and no
XFA), followed or written. Pages are looked at one after the other, and a line leaves as soon as it is cut, so that the
child never holds more than one page and one line.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import cast

from PIL import Image

from core.documents.cutting import Box, CutLine, CutWish, Page, Region, SkippedField
from core.errors import (
    DocumentError,
    ImageDimensions,
    LineError,
    NoLines,
    PageOutOfRange,
    PageUnreadable,
    RegionOutside,
    TooManyLines,
)
from core.words import Cut, RegionUnit
from worker.sandbox.limits import PdfLimits, SandboxLimits
from worker.sandbox.pdf_document import Document, OpenPage, start_pdfium
from worker.sandbox.pdf_drawing import line_png
from worker.sandbox.pdf_fields import Field, fields_of
from worker.sandbox.pdf_geometry import common, in_reading_order
from worker.sandbox.pdf_images import holds_only_images, image_pngs, placements_of
from worker.sandbox.pdf_messages import Answer, answer_parts, read_answer, read_request, request_parts

_SAMPLE = b"""%PDF-1.4
1 0 obj <</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[5 0 R]>>>> endobj
2 0 obj <</Type/Pages/Kids[3 0 R]/Count 1>> endobj
3 0 obj <</Type/Page/Parent 2 0 R/MediaBox[0 0 200 40]/Contents 4 0 R/Annots[5 0 R]
/Resources<</Font<</F<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>>> endobj
4 0 obj <</Length 40>> stream
BT /F 20 Tf 1 0 0 1 5 10 Tm (Okafor) Tj ET
endstream endobj
5 0 obj <</Type/Annot/Subtype/Widget/FT/Tx/T(surname)/Rect[0 0 200 40]/P 3 0 R>> endobj
trailer <</Root 1 0 R>>
"""
_OVERHANG_POINTS = 1.0  # by which a region may leave its page: boxes are measured by hand


def prepare(limits: SandboxLimits) -> Callable[[bytes], Iterable[Sequence[bytes]]]:
    """Return the function that cuts one document under these limits."""
    start_pdfium()
    Image.preinit()  # Pillow loads its plugins only when it first saves, when nothing can be opened any more
    pdf_limits = cast("PdfLimits", limits)

    def cut(payload: bytes) -> Iterator[Sequence[bytes]]:
        length, wish = read_request(payload)
        try:
            for answer in _cut(payload, length, wish, pdf_limits):
                yield answer_parts(answer)
        except DocumentError as error:
            yield answer_parts(error)

    return cut


def check(cut: Callable[[bytes], Iterable[Sequence[bytes]]]) -> None:
    """Cut a small form: what the confinement breaks shows itself here."""
    payload = b"".join(request_parts(_SAMPLE, CutWish(Cut.FIELD)))
    answers = [read_answer(bytearray(b"".join(parts))) for parts in cut(payload)]
    lines = [answer for answer in answers if isinstance(answer, CutLine)]
    if answers[-1] != Cut.FIELD or [line.name for line in lines] != ["surname"] or not lines[0].image:
        raise RuntimeError(f"a form cannot be cut in this confinement: {answers[-1]}")


def _cut(data: bytes, length: int, wish: CutWish, limits: PdfLimits) -> Iterator[Answer]:
    document = Document(data, length, wish.password)
    try:
        document.look_at(_ranges(wish), limits)
        if not document.pages and wish.cut != Cut.REGIONS:
            raise PageOutOfRange
        yield from document.pages.values()
        cut = _choose(document) if wish.cut == Cut.AUTO else wish.cut
        count = 0
        answers = _cut_regions(document, wish.regions, limits) if cut == Cut.REGIONS else _CUTS[cut](document, limits)
        for answer in answers:
            count += isinstance(answer, CutLine)
            if count > limits.max_lines:
                raise TooManyLines
            yield answer
        if not count:
            raise NoLines
        yield cut
    finally:
        document.close()


def _ranges(wish: CutWish) -> tuple[tuple[int, int], ...] | None:
    """Return the pages to look at; regions name theirs."""
    if wish.pages is None and wish.cut == Cut.REGIONS:
        return tuple((region.page, region.page) for region in wish.regions)
    return wish.pages


def _choose(document: Document) -> Cut:
    """Say how a document is best cut: by its form, else by its pictures if there is nothing else, else by its pages."""
    are_all_images = True
    for number in document.pages:
        try:
            with document.opened(number) as page:
                if any(field.skipped is None for field in fields_of(page)):
                    return Cut.FIELD
                are_all_images = are_all_images and holds_only_images(page)
        except PageUnreadable:
            continue
    return Cut.IMAGE if are_all_images else Cut.PAGE


def _cut_pages(document: Document, limits: PdfLimits) -> Iterator[Answer]:
    def whole(page: OpenPage) -> Iterator[Answer]:
        yield _drawn(page, (0.0, 0.0, *page.space.size), None, limits)

    return _page_by_page(document, whole)


def _cut_images(document: Document, limits: PdfLimits) -> Iterator[Answer]:
    def pictures(page: OpenPage) -> Iterator[Answer]:
        placements = placements_of(page)
        if len(placements) > limits.max_lines:
            raise TooManyLines
        for placement, png in zip(placements, image_pngs(page, placements, limits), strict=True):
            if isinstance(png, LineError):
                yield CutLine(page.number, placement.box, error=png)
            elif png is not None:
                yield CutLine(page.number, placement.box, image=png)

    return _page_by_page(document, pictures)


def _cut_fields(document: Document, limits: PdfLimits) -> Iterator[Answer]:
    names = _Names()

    def form(page: OpenPage) -> Iterator[Answer]:
        places: list[tuple[Box, Field]] = []
        for field in fields_of(page):
            if field.box is not None:
                places.append((field.box, field))
            elif names.is_new(field):
                yield SkippedField(field.name, page.number, field.skipped or "")
        if len(places) > limits.max_lines:
            raise TooManyLines
        for box, field in in_reading_order(places, lambda place: place[0]):
            name = names.next(field.name)
            if field.text is None:
                yield _drawn(page, box, name, limits)
            else:
                yield CutLine(page.number, box, name, text=field.text)

    return _page_by_page(document, form)


def _cut_regions(document: Document, regions: Sequence[Region], limits: PdfLimits) -> Iterator[Answer]:
    """Cut regions in the order asked for; a page stays open, and its pictures decoded, for those that follow on it."""
    for number, together in groupby(regions, lambda region: region.page):
        wanted = [(region.name, _box_of(region, document.pages.get(number))) for region in together]
        if number not in document.pages:
            yield from (CutLine(number, box, name, error=RegionOutside()) for name, box in wanted)
            continue
        try:
            with document.opened(number) as page:
                for name, box in wanted:
                    inside = _within(box, page)
                    if inside is None:
                        yield CutLine(number, box, name, error=RegionOutside())
                    else:
                        yield _drawn(page, inside, name, limits)
        except PageUnreadable as error:
            yield from (CutLine(number, box, name, error=error) for name, box in wanted)


_CUTS: dict[Cut, Callable[[Document, PdfLimits], Iterator[Answer]]] = {
    Cut.PAGE: _cut_pages,
    Cut.IMAGE: _cut_images,
    Cut.FIELD: _cut_fields,
}


def _page_by_page(document: Document, cut: Callable[[OpenPage], Iterator[Answer]]) -> Iterator[Answer]:
    """Cut each page; one that cannot be drawn is a line that says so, since nobody knows which lines it held."""
    for number, seen in document.pages.items():
        try:
            with document.opened(number) as page:
                yield from cut(page)
        except PageUnreadable as error:
            yield CutLine(number, (0.0, 0.0, seen.width, seen.height), error=error)


def _drawn(page: OpenPage, box: Box, name: str | None, limits: PdfLimits) -> CutLine:
    try:
        return CutLine(page.number, box, name, image=line_png(page, box, limits))
    except ImageDimensions as error:
        return CutLine(page.number, box, name, error=error)


def _box_of(region: Region, page: Page | None) -> Box:
    """Return a region in points, as far as its page is known."""
    if region.unit == RegionUnit.POINTS:
        return region.box
    width, height = (page.width, page.height) if page is not None else (0.0, 0.0)
    x0, y0, x1, y1 = region.box
    return x0 * width, y0 * height, x1 * width, y1 * height


def _within(box: Box, page: OpenPage) -> Box | None:
    """Return a box without its overhang; None if it is not within its page."""
    x0, y0, x1, y1 = box
    width, height = page.space.size
    is_within = min(x0, y0) >= -_OVERHANG_POINTS and x1 <= width + _OVERHANG_POINTS and y1 <= height + _OVERHANG_POINTS
    return common(box, (0.0, 0.0, width, height)) if is_within else None


class _Names:
    """The names given to the lines of a form: each once, however often a field is placed."""

    def __init__(self) -> None:
        self._given: set[str] = set()
        self._skipped: set[str] = set()

    def next(self, name: str) -> str | None:
        """Return a field's name, `name#2` for its second place and so on; None for a field without one."""
        if not name:
            return None
        candidate, place = name, 1
        while candidate in self._given:
            place += 1
            candidate = f"{name}#{place}"
        self._given.add(candidate)
        return candidate

    def is_new(self, field: Field) -> bool:
        """Say whether a skipped field has not been reported yet."""
        is_new = field.name not in self._skipped
        self._skipped.add(field.name)
        return is_new
