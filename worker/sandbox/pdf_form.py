"""A filled form: the texts written into the fields that they were read from. Child side only.

Text and choice fields are filled that are empty, by their fully qualified names; what was typed, check boxes, radio
groups, signatures, passwords and names of files are left alone. A field has one value however often it is placed, so
of the texts of its places (`name`, `name#2`) the first that is not empty is taken. A text longer than the field allows
is kept whole. A choice takes the option that the text names, and else the text itself, that nothing is lost.

A signed document's signatures are left alone as well, though rewritten bytes are no longer what was signed.

Each place gets an appearance, for many viewers draw nothing else. Where it needs characters that Helvetica may lack,
viewers are asked besides to draw anew with fonts of their own (NeedAppearances). XFA is dropped: a viewer that knows it
would show it, still empty, in place of the form.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pikepdf
from pikepdf import Dictionary, Name

from core.documents.writing import WrittenLine
from core.transcripts.texts import encodable, single_line
from worker.sandbox.pdf_form_appearance import Look, appearance
from worker.sandbox.pdf_messages import MAX_NAME_LENGTH

_MAX_DEPTH = 64
_MAX_APPEARANCE_BYTES = 1_000  # of operators for a font and a colour
_LATER_PLACE = re.compile(r"#\d+$")
_MULTILINE, _PASSWORD, _FILE, _COMB = 1 << 12, 1 << 13, 1 << 20, 1 << 24


@dataclass(frozen=True, slots=True)
class _Place:
    """A widget, and the node of the field tree that holds its field's value."""

    widget: Any
    field: Any


def fill_form(pdf: pikepdf.Pdf, lines: Sequence[WrittenLine]) -> Iterator[None]:
    """Write the lines into the fields that they name; yield after each field."""
    form = pdf.Root.get("/AcroForm")
    if not isinstance(form, Dictionary):
        return
    places = _places(pdf)
    for name, text in _texts(lines, places).items():
        _fill(pdf, form, places[name], text)
        yield
    for key in ("/XFA", "/NeedsRendering"):
        for holder in (form, pdf.Root):
            if key in holder:
                del holder[key]


def _places(pdf: pikepdf.Pdf) -> dict[str, list[_Place]]:
    """Return the places of each field that can be filled, by its name, in the order of the pages."""
    places: dict[str, list[_Place]] = {}
    for page in pdf.pages:
        annotations = page.obj.get("/Annots")
        for widget in annotations if isinstance(annotations, pikepdf.Array) else ():
            if isinstance(widget, Dictionary) and widget.get("/Subtype") == Name.Widget:
                field, name = _field_of(widget)
                if field is not None and _is_fillable(field):
                    places.setdefault(name, []).append(_Place(widget, field))
    return places


def _field_of(widget: Any) -> tuple[Any, str]:
    """Return the nearest node with a name, and all names from the root on, with points between."""
    field, names = None, []
    for node in _upwards(widget):
        partial = node.get("/T")
        if isinstance(partial, pikepdf.String) and str(partial):
            field = node if field is None else field
            names.append(str(partial))
    return field, ".".join(reversed(names))[:MAX_NAME_LENGTH]


def _upwards(node: Any) -> Iterator[Any]:
    for _ in range(_MAX_DEPTH):
        if not isinstance(node, Dictionary):
            return
        yield node
        node = node.get("/Parent")


def _inherited(node: Any, key: str) -> Any:
    return next((one[key] for one in _upwards(node) if key in one), None)


def _whole_number(value: Any) -> int:
    return int(value) if isinstance(value, int) else 0


def _is_fillable(field: Any) -> bool:
    kind, flags = _inherited(field, "/FT"), _whole_number(_inherited(field, "/Ff"))
    if kind == Name.Tx:
        return not flags & (_PASSWORD | _FILE) and not _is_filled(_inherited(field, "/V"))
    return bool(kind == Name.Ch) and not _is_filled(_inherited(field, "/V"))


def _is_filled(value: Any) -> bool:
    if isinstance(value, pikepdf.Stream):  # a long text
        return bool(value.read_bytes().strip())
    if isinstance(value, pikepdf.Array):  # several options
        return any(_is_filled(one) for one in value)
    return value is not None and bool(str(value).strip())


def _texts(lines: Sequence[WrittenLine], places: dict[str, list[_Place]]) -> dict[str, str]:
    """Return the text of each field: the first of those of its places that is not empty."""
    texts: dict[str, str] = {}
    for line in lines:
        text = encodable(line.text).replace("\0", "")
        if line.field and text.strip():
            name = line.field if line.field in places else _LATER_PLACE.sub("", line.field)
            if name in places:
                texts.setdefault(name, text)
    return texts


def _fill(pdf: pikepdf.Pdf, form: Any, places: Sequence[_Place], text: str) -> None:
    for place in places:
        field = place.field
        is_text = _inherited(field, "/FT") == Name.Tx
        flags = _whole_number(_inherited(field, "/Ff")) if is_text else 0
        shown = text if flags & _MULTILINE else single_line(text)
        value = shown
        if not is_text:
            value, shown = _option(_inherited(field, "/Opt"), shown)
        field["/V"] = pikepdf.String(value)
        for key in ("/RV", "/I", "/TI"):  # the text in rich form, chosen options and the scroll position: outdated
            if key in field:
                del field[key]
        default = _inherited(place.widget, "/DA") or form.get("/DA")
        alignment = _inherited(place.widget, "/Q")
        look = Look(
            default_appearance=bytes(default)[:_MAX_APPEARANCE_BYTES] if isinstance(default, pikepdf.String) else b"",
            alignment=_whole_number(form.get("/Q") if alignment is None else alignment),
            is_multiline=bool(flags & _MULTILINE),
            comb_cells=_whole_number(_inherited(field, "/MaxLen")) if flags & _COMB else 0,
        )
        drawn = appearance(pdf, place.widget, look, shown)
        if drawn is not None:
            place.widget["/AP"] = Dictionary(N=drawn.stream)
            if not drawn.is_certain:
                form["/NeedAppearances"] = True


def _option(options: Any, text: str) -> tuple[str, str]:
    """Return the value and the wording of the option that a text names, whatever its case; else the text as both."""
    for option in options if isinstance(options, pikepdf.Array) else ():
        pair = list(option) if isinstance(option, pikepdf.Array) else [option, option]
        if len(pair) == 2 and all(isinstance(one, pikepdf.String) for one in pair):
            value, wording = map(str, pair)
            if text.strip().casefold() in {value.strip().casefold(), wording.strip().casefold()}:
                return value, wording
    return text, text
