"""The entry module for writing: a document and texts in, the document with the texts out. Runs in a sandbox child only.

qpdf takes the document apart and puts it together again: damaged parts are mended or dropped as qpdf does, everything
else is carried over without being run, followed or decoded.
"""

import io
from collections.abc import Callable, Iterable, Iterator, Sequence

import pikepdf
from pikepdf import Dictionary

from core.documents.writing import WrittenLine
from core.errors import DocumentError, InvalidPdf, PdfEncrypted
from core.words import TranscriptFormat
from worker.sandbox.limits import SandboxLimits
from worker.sandbox.pdf_form import fill_form
from worker.sandbox.pdf_text_layer import add_text_layer
from worker.sandbox.pdf_writing_messages import (
    Moment,
    moment_parts,
    read_answer,
    read_request,
    refusal_parts,
    request_parts,
    written_parts,
)

_STEPS_PER_WORD = 25  # pages or fields after which the parent hears that work goes on
_TEXT = "Ok\u0430for"  # not all of it Latin
_SAMPLE = b"""%PDF-1.4
1 0 obj <</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[4 0 R]>>>> endobj
2 0 obj <</Type/Pages/Kids[3 0 R]/Count 1>> endobj
3 0 obj <</Type/Page/Parent 2 0 R/MediaBox[0 0 200 40]/Annots[4 0 R]>> endobj
4 0 obj <</Type/Annot/Subtype/Widget/FT/Tx/T(surname)/Rect[0 0 200 40]/P 3 0 R>> endobj
trailer <</Root 1 0 R>>
"""

_WRITERS: dict[TranscriptFormat, Callable[[pikepdf.Pdf, Sequence[WrittenLine]], Iterator[None]]] = {
    TranscriptFormat.PDF: add_text_layer,
    TranscriptFormat.FORM: fill_form,
}


def prepare(limits: SandboxLimits) -> Callable[[bytes], Iterable[Sequence[bytes]]]:  # noqa: ARG001
    """Return the function that writes one document; its limits are those of the process."""
    check(_write)  # Python loads what it encodes with only when it does, and nothing can be opened later
    return _write


def check(write: Callable[[bytes], Iterable[Sequence[bytes]]]) -> None:
    """Write a small form both ways, encrypted: what the confinement breaks shows itself here."""
    locked = io.BytesIO()
    with pikepdf.open(io.BytesIO(_SAMPLE), suppress_warnings=True) as pdf:
        pdf.save(locked, encryption=pikepdf.Encryption(user="a", owner="b"))
    for wanted in _WRITERS:
        lines = [WrittenLine(1, (0.0, 0.0, 200.0, 40.0), _TEXT, "surname")]
        payload = b"".join(request_parts(locked.getvalue(), "a", wanted, lines))
        answers = [read_answer(bytearray(b"".join(parts))) for parts in write(payload)]
        if answers[-1] is not Moment.DONE:
            raise RuntimeError(f"a document cannot be written in this confinement: {answers[-1]}")


def _write(payload: bytes) -> Iterator[Sequence[bytes]]:
    data, password, wanted, lines = read_request(payload)
    try:
        with _opened(data, password) as pdf:
            for step, _ in enumerate(_WRITERS[wanted](pdf, lines)):
                if step % _STEPS_PER_WORD == 0:
                    yield moment_parts(Moment.PROGRESS)
            _withdraw_usage_rights(pdf)
            written = io.BytesIO()
            pdf.save(written, encryption=pdf.is_encrypted)
            yield moment_parts(Moment.PROGRESS)
    except DocumentError as error:
        yield refusal_parts(error)
    except MemoryError:
        raise
    except Exception as error:  # an edge: qpdf and pikepdf raise nearly anything on damaged bytes
        if "bad_alloc" in str(error):
            raise MemoryError from error
        yield refusal_parts(InvalidPdf())
    else:
        yield from written_parts(written.getbuffer())


def _opened(data: memoryview, password: str | None) -> pikepdf.Pdf:
    """Open the document. A password in an older document is not UTF-8 but, where it is not ASCII, Latin-1."""
    given = password or ""
    passwords = dict.fromkeys((given.encode(), given.encode("latin-1", errors="ignore")))
    for encoded in passwords:
        try:
            return pikepdf.open(io.BytesIO(data), password=encoded, suppress_warnings=True)
        except pikepdf.PasswordError:
            continue
    raise PdfEncrypted


def _withdraw_usage_rights(pdf: pikepdf.Pdf) -> None:
    """Remove the rights that Adobe's products grant to the original's bytes: broken, they make Acrobat complain."""
    rights = pdf.Root.get("/Perms")
    for key in ("/UR", "/UR3"):
        if isinstance(rights, Dictionary) and key in rights:
            del rights[key]
