"""Which formats there are, and which one a caller wants.

Without a wish the answer is plain text. `Accept` is read as RFC 9110 says: each format has the quality of the most
specific range that names it. Of those with the highest, the one named first in the header is taken, since that is how
people write their preference; a wildcard takes the first of FORMATS that it allows. Parameters of a range but q are
passed over. A browser gets plain text by its */*, not hOCR: it could not show that under its own media type, and
text/html names no format. application/xml and text/xml name none either: there are two that they could mean. The filled
form is had by `?format=form` only, since application/pdf names the searchable document.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from core.errors import NotAcceptable
from core.transcripts.alto import write_alto
from core.transcripts.csv_table import write_csv
from core.transcripts.hocr import write_hocr
from core.transcripts.jsonl import write_jsonl
from core.transcripts.page_xml import is_archive, write_pages
from core.transcripts.transcript import Transcript
from core.transcripts.txt import write_txt
from core.words import TranscriptFormat

ZIP = "application/zip"


@dataclass(frozen=True, slots=True)
class Format:
    """A format under its names. `write` is None where a transcript is not enough: the job as JSON, and PDFs.

    `media_type` is as the answer has it, parameters included; `aliases` are other names that `Accept` may use.
    """

    media_type: str
    extension: str
    write: Callable[[Transcript], bytes] | None = None
    aliases: tuple[str, ...] = ()
    needs_document: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """All media types that name the format in `Accept`."""
        return (self.media_type.partition(";")[0], *self.aliases)


@dataclass(frozen=True, slots=True)
class WrittenTranscript:
    """A transcript in a format, ready to be sent."""

    body: bytes
    media_type: str
    extension: str


# In the order in which a wildcard is answered.
FORMATS: dict[TranscriptFormat, Format] = {
    TranscriptFormat.TXT: Format("text/plain; charset=utf-8", "txt", write_txt),
    TranscriptFormat.JSON: Format("application/json", "json"),
    TranscriptFormat.CSV: Format("text/csv; charset=utf-8; header=present", "csv", write_csv),
    TranscriptFormat.JSONL: Format(
        "application/jsonl", "jsonl", write_jsonl, ("application/x-ndjson", "application/x-jsonlines")
    ),
    TranscriptFormat.PAGE: Format("application/vnd.prima.page+xml", "xml", write_pages, (ZIP,)),
    TranscriptFormat.ALTO: Format("application/alto+xml", "xml", write_alto),
    TranscriptFormat.HOCR: Format(
        "text/vnd.hocr+html; charset=utf-8", "hocr", write_hocr, ("application/vnd.hocr+html",)
    ),
    TranscriptFormat.PDF: Format("application/pdf", "pdf", needs_document=True),
    TranscriptFormat.FORM: Format("application/pdf", "pdf", needs_document=True),
}
_NEGOTIABLE = {wanted: form for wanted, form in FORMATS.items() if wanted is not TranscriptFormat.FORM}


def write_transcript(transcript: Transcript, wanted: TranscriptFormat) -> WrittenTranscript:
    """Write a transcript in one of the formats that have a `write`; PAGE of several pages comes as a ZIP."""
    form = FORMATS[wanted]
    if form.write is None:
        raise ValueError(f"{wanted} is not made of a transcript alone")
    body = form.write(transcript)
    if wanted is TranscriptFormat.PAGE and is_archive(transcript):
        return WrittenTranscript(body, ZIP, "zip")
    return WrittenTranscript(body, form.media_type, form.extension)


def choose_format(accept: str | None, wish: str | None) -> TranscriptFormat:
    """Return the format that `?format=` names, else the one that `Accept` prefers.

    Raises:
        NotAcceptable: there is no format of this name, or none that `Accept` allows.
    """
    if wish is not None:
        if wish not in list(TranscriptFormat):
            raise NotAcceptable(f"There is no such format; format is one of {', '.join(TranscriptFormat)}.")
        return TranscriptFormat(wish)
    if accept is None or not accept.strip():
        return TranscriptFormat.TXT
    ranges = list(_ranges(accept))
    ranked = [(_rank(form, ranges), wanted) for wanted, form in _NEGOTIABLE.items()]
    (quality, _), best = max(ranked, key=lambda one: one[0])  # the first of equals
    if quality <= 0:
        names = ", ".join(name for form in _NEGOTIABLE.values() for name in form.names)
        raise NotAcceptable(f"The Accept header allows none of {names}.")
    return best


def _ranges(accept: str) -> Iterator[tuple[str, float]]:
    """Read a header's media ranges with their qualities, passing over what is malformed."""
    for part in accept.lower().split(","):
        media_range, *parameters = (piece.strip() for piece in part.split(";"))
        quality = 1.0
        for parameter in parameters:
            name, _, value = (piece.strip() for piece in parameter.partition("="))
            if name == "q":
                try:
                    quality = float(value)
                except ValueError:
                    quality = -1.0
        if media_range.count("/") == 1 and 0 <= quality <= 1:
            yield media_range, quality


def _rank(form: Format, ranges: list[tuple[str, float]]) -> tuple[float, int]:
    """Return the format's quality and, negated, the place in the header of the range that gives it."""
    best = (0.0, 0)
    for name in form.names:
        for specific in (name, name.partition("/")[0] + "/*", "*/*"):
            found = [(quality, -place) for place, (given, quality) in enumerate(ranges) if given == specific]
            if found:
                best = max(best, *found)
                break
    return best
