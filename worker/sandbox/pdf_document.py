"""A document and its pages as pdfium has them, and what pdfium does not tell. Runs in a sandbox child only."""

import codecs
import ctypes
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pypdfium2_raw as pdfium

from core.documents.cutting import Page
from core.errors import InvalidPdf, PageTooLarge, PageUnreadable, PdfEncrypted, TooManyPages
from worker.sandbox.limits import PdfLimits
from worker.sandbox.pdf_facts import PageFacts, read_page_facts
from worker.sandbox.pdf_geometry import PageSpace, is_finite
from worker.sandbox.pdf_messages import MAX_NAME_LENGTH, MAX_TEXT_LENGTH

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_LEAST_SIDE_POINTS = 1.0  # pdfium draws nothing of a smaller page
_UTF_16 = "utf-16-le"
_MAX_STRING_BYTES = 16 * 1024 * 1024


def start_pdfium() -> None:
    """Prepare pdfium; without the machine's own fonts, so that a document looks the same everywhere."""
    codecs.lookup(_UTF_16)  # Python loads it only then, and nothing can be opened in a confined child
    no_folders = (ctypes.POINTER(ctypes.c_char) * 1)()
    pdfium.FPDF_InitLibraryWithConfig(pdfium.FPDF_LIBRARY_CONFIG(version=2, m_pUserFontPaths=no_folders))


def string_of(function: Any, *arguments: Any) -> str:
    """Return what one of pdfium's functions writes into a buffer, as UTF-16 with a zero at its end, in code units."""
    needed = function(*arguments, None, 0)
    if not 2 < needed <= _MAX_STRING_BYTES:
        return ""
    buffer = ctypes.create_string_buffer(needed)
    function(*arguments, ctypes.cast(buffer, ctypes.POINTER(pdfium.FPDF_WCHAR)), needed)
    text = buffer.raw[:needed].decode(_UTF_16, errors="replace").partition("\0")[0]
    return _UNSTORABLE.sub("\ufffd", text)[:MAX_TEXT_LENGTH]


class Document:
    """An open document. `pages` are those that are looked at, by number; a page that cannot be drawn has no size."""

    def __init__(self, data: bytes, length: int, password: str | None) -> None:
        """`data` begins with the document's `length` bytes, and outlives this."""
        self._data, self._length, self._password = data, length, password
        self.pages: dict[int, Page] = {}
        self._facts: dict[int, PageFacts] = {}
        self.handle = pdfium.FPDF_LoadMemDocument64(
            data, length, password.encode(errors="replace") if password else None
        )
        if not self.handle:
            raise _refusal(pdfium.FPDF_GetLastError())
        self._form_info = pdfium.FPDF_FORMFILLINFO(version=2)
        self.has_form = pdfium.FPDF_GetFormType(self.handle) != pdfium.FORMTYPE_NONE
        self.form = pdfium.FPDFDOC_InitFormFillEnvironment(self.handle, self._form_info)

    def look_at(self, ranges: Sequence[tuple[int, int]] | None, limits: PdfLimits) -> None:
        """Choose the pages to look at, all or those in the ranges, and measure them; there may be none."""
        count = pdfium.FPDF_GetPageCount(self.handle)
        if count < 1:
            raise InvalidPdf("The document has no pages.")
        ranges = [(1, count)] if ranges is None else ranges
        numbers = {n for first, last in ranges for n in range(max(1, first), min(last, count) + 1)}
        if len(numbers) > limits.max_pages:
            raise TooManyPages(f"The document has more than {limits.max_pages} pages to look at.")
        facts = read_page_facts(io.BytesIO(memoryview(self._data)[: self._length]), self._password, count)
        for number in sorted(numbers):
            self._facts[number] = facts.get(number, PageFacts())
            self.pages[number] = self._measure(number, limits)
        if self.pages and not any(page.width for page in self.pages.values()):
            raise InvalidPdf("None of the document's pages can be drawn.")

    def _measure(self, number: int, limits: PdfLimits) -> Page:
        facts, size = self._facts[number], pdfium.FS_SIZEF()
        label = string_of(pdfium.FPDF_GetPageLabel, self.handle, number - 1)[:MAX_NAME_LENGTH] or None
        has_size = pdfium.FPDF_GetPageSizeByIndexF(self.handle, number - 1, size)
        is_drawable = has_size and facts.is_sound and is_finite((size.width, size.height))
        if not is_drawable or min(size.width, size.height) < _LEAST_SIDE_POINTS:
            return Page(number, label, 0.0, 0.0)
        width, height = size.width * facts.unit, size.height * facts.unit
        if max(width, height) > limits.max_page_side_points:
            raise PageTooLarge(f"Page {number} measures {width:.0f} x {height:.0f} points.")
        return Page(number, label, width, height)

    @contextmanager
    def opened(self, number: int) -> Iterator["OpenPage"]:
        """Load a page for as long as the block lasts; raise PageUnreadable if it cannot be."""
        if not self.pages[number].width:
            raise PageUnreadable
        handle = pdfium.FPDF_LoadPage(self.handle, number - 1)
        if not handle:
            raise PageUnreadable
        pdfium.FORM_OnAfterLoadPage(handle, self.form)  # finds the fields that the form forgot to list
        try:
            yield OpenPage(self, number, handle, self._facts[number].unit)
        finally:
            pdfium.FORM_OnBeforeClosePage(handle, self.form)
            pdfium.FPDF_ClosePage(handle)

    def close(self) -> None:
        """Let go of everything."""
        pdfium.FPDFDOC_ExitFormFillEnvironment(self.form)
        pdfium.FPDF_CloseDocument(self.handle)


class OpenPage:
    """A loaded page."""

    def __init__(self, document: Document, number: int, handle: Any, unit: float) -> None:
        self.document = document
        self.number = number
        self.handle = handle
        box = pdfium.FS_RECTF()
        pdfium.FPDF_GetPageBoundingBox(handle, box)
        quarter_turns = pdfium.FPDFPage_GetRotation(handle) % 4
        self.space = PageSpace(box.left, box.bottom, box.right, box.top, quarter_turns, unit)


def _refusal(error: int) -> InvalidPdf | PdfEncrypted:
    if error == pdfium.FPDF_ERR_PASSWORD:
        return PdfEncrypted()
    if error == pdfium.FPDF_ERR_SECURITY:
        return PdfEncrypted("The document is encrypted in a way that is not supported.")
    return InvalidPdf()
