"""CSV as RFC 4180 has it: a header, a row a line, CRLF.

Spreadsheets take a cell for a formula by its first character. Such a cell gets an apostrophe in front, as OWASP
recommends (CSV Injection), whoever wrote it: the writer of a form or the client that named the line. A program that
reads the texts exactly takes another format, for an apostrophe may also be the text's own.
"""

import codecs
import csv
import io

from core.transcripts.texts import encodable
from core.transcripts.transcript import Transcript, TranscriptLine

COLUMNS = (
    "index", "custom_id", "page", "status", "source", "text", "confidence", "min_token_confidence", "needs_review",
    "error",
)  # fmt: skip
FORMULA_STARTS = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")  # the last four are = + - @ in full width


def write_csv(transcript: Transcript, *, byte_order_mark: bool = False) -> bytes:
    """Return the table as UTF-8. With a byte order mark Excel takes it for that; other programs see it as text."""
    table = io.StringIO(newline="")
    writer = csv.writer(table, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    writer.writerows(_row(line) for line in transcript.lines)
    return (codecs.BOM_UTF8 if byte_order_mark else b"") + table.getvalue().encode()


def _row(line: TranscriptLine) -> tuple[object, ...]:
    return (
        line.index,
        _cell(line.custom_id),
        line.page,
        line.status,
        line.source,
        _cell(line.text),
        line.confidence,
        line.min_token_confidence,
        "true" if line.needs_review else "false",
        line.error_code,
    )


def _cell(text: str | None) -> str | None:
    if text is None:
        return None
    return encodable(f"'{text}" if text.startswith(FORMULA_STARTS) else text)
