"""The form fields of a page. Runs in a sandbox child only."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pypdfium2_raw as pdfium

from core.documents.cutting import Box
from worker.sandbox.pdf_document import OpenPage, string_of
from worker.sandbox.pdf_geometry import around_box, common
from worker.sandbox.pdf_messages import MAX_NAME_LENGTH

_UNSEEN_FLAGS = pdfium.FPDF_ANNOT_FLAG_HIDDEN | pdfium.FPDF_ANNOT_FLAG_NOVIEW
_PASSWORD_FLAG = 1 << 13
_CHOICES = (pdfium.FPDF_FORMFIELD_COMBOBOX, pdfium.FPDF_FORMFIELD_LISTBOX)
_KINDS_WITHOUT_LINE = {
    pdfium.FPDF_FORMFIELD_PUSHBUTTON: "push_button",
    pdfium.FPDF_FORMFIELD_CHECKBOX: "check_box",
    pdfium.FPDF_FORMFIELD_RADIOBUTTON: "radio_group",
}


@dataclass(frozen=True, slots=True)
class Field:
    """A place of a form field: its rectangle, and the text typed into it; `skipped` says why it holds no line."""

    name: str
    box: Box | None
    text: str | None = None
    skipped: str | None = None


def fields_of(page: OpenPage) -> Iterator[Field]:
    """Yield each place of each form field on a page, in the order of the document."""
    form = page.document.form
    for index in range(pdfium.FPDFPage_GetAnnotCount(page.handle)):
        annotation = pdfium.FPDFPage_GetAnnot(page.handle, index)
        if not annotation:
            continue
        try:
            if pdfium.FPDFAnnot_GetSubtype(annotation) == pdfium.FPDF_ANNOT_WIDGET:
                kind = pdfium.FPDFAnnot_GetFormFieldType(form, annotation)
                if kind > pdfium.FPDF_FORMFIELD_UNKNOWN:
                    yield _field(page, annotation, kind)
        finally:
            pdfium.FPDFPage_CloseAnnot(annotation)


def _field(page: OpenPage, annotation: Any, kind: int) -> Field:
    form = page.document.form
    name = string_of(pdfium.FPDFAnnot_GetFormFieldName, form, annotation)[:MAX_NAME_LENGTH]
    skipped = _KINDS_WITHOUT_LINE.get(kind)
    if skipped is None:
        rectangle = pdfium.FS_RECTF()
        pdfium.FPDFAnnot_GetRect(annotation, rectangle)
        on_page = (rectangle.left, rectangle.bottom, rectangle.right, rectangle.top)
        box = common(around_box(on_page, page.space.to_seen), (0.0, 0.0, *page.space.size))
        if box is None or pdfium.FPDFAnnot_GetFlags(annotation) & _UNSEEN_FLAGS:
            skipped = "hidden"
        elif kind == pdfium.FPDF_FORMFIELD_TEXTFIELD and (
            pdfium.FPDFAnnot_GetFormFieldFlags(form, annotation) & _PASSWORD_FLAG
        ):
            skipped = "password"
        else:
            return Field(name, box, _typed(form, annotation, kind))
    return Field(name, None, skipped=skipped)


def _typed(form: Any, annotation: Any, kind: int) -> str | None:
    """Return what was typed or chosen, as the form shows it."""
    if kind == pdfium.FPDF_FORMFIELD_SIGNATURE:
        return None
    text = ""
    if kind in _CHOICES:
        count = pdfium.FPDFAnnot_GetOptionCount(form, annotation)
        chosen = [index for index in range(count) if pdfium.FPDFAnnot_IsOptionSelected(form, annotation, index)]
        text = ", ".join(string_of(pdfium.FPDFAnnot_GetOptionLabel, form, annotation, index) for index in chosen)
    text = text or string_of(pdfium.FPDFAnnot_GetFormFieldValue, form, annotation)
    return text if text.strip() else None
