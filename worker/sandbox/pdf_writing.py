"""Write recognised texts back into untrusted documents, in a confined child, one document after the other.

with PdfWriter(pdf_limits(settings)) as writer:
    searchable = writer.write(pdf, password, TranscriptFormat.PDF, lines)
    filled = writer.write(pdf, password, TranscriptFormat.FORM, lines)

What comes back is untrusted as the document was: it is stored and sent, never parsed.
"""

from collections.abc import Callable, Sequence

from core.documents.writing import WrittenLine
from core.errors import DocumentError, UnprocessableInput
from core.words import TranscriptFormat
from worker.sandbox.document_sandbox import DocumentSandbox, nothing
from worker.sandbox.limits import MIB, PdfLimits
from worker.sandbox.pdf_writing_messages import MAX_ANSWER_BYTES, Moment, read_answer, request_parts
from worker.sandbox.protocol import Frame, Kind, ProtocolViolation

_ENTRY = "worker.sandbox.pdf_renditions"
_LIBRARIES = ("pikepdf",)
_GROWTH_BYTES = 64 * MIB  # by which a document may grow, in the parent's memory; 10,000 lines take some 5 MiB


class PdfWriter(DocumentSandbox):
    """Writes documents, one child at a time."""

    def __init__(self, limits: PdfLimits, *, entry: str = _ENTRY) -> None:
        """`entry` is the module that writes in the child (see child_main.py); tests put a misbehaving one there."""
        super().__init__(limits, entry=entry, libraries=_LIBRARIES, max_answer_bytes=MAX_ANSWER_BYTES, verb="write")

    def write(
        self,
        pdf: bytes,
        password: str | None,
        format: TranscriptFormat,  # noqa: A002 - the word for it everywhere
        lines: Sequence[WrittenLine],
        on_progress: Callable[[], None] = nothing,
    ) -> bytes:
        """Return the document as a searchable PDF or as a filled form; `on_progress` is called now and then.

        An encrypted document stays encrypted, with its own passwords and permissions: a copy without them would give
        away what its owner locked. A digital signature does not survive, as it is over the bytes of the original.

        Raises a DocumentError when the document cannot be written, SandboxUnavailable when no child can be started,
        and what `on_progress` raises. None of them keeps the next document from being written.
        """
        request = request_parts(pdf, password, format, lines)
        return self._converse(request, _Writing(self.limits.max_document_bytes + _GROWTH_BYTES), on_progress)


class _Writing:
    """What the child has said about one document so far."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._written = bytearray()
        self.outcome: bytes | None = None
        self.is_refused = False

    def take(self, frame: Frame, sequence: int) -> None:
        """Add an answer; raise the DocumentError that it is, or ProtocolViolation if it should not have come."""
        if frame.kind is not Kind.ANSWER or frame.sequence != sequence or self.outcome is not None:
            raise ProtocolViolation("an answer to no question")
        answer = read_answer(frame.payload)
        if isinstance(answer, DocumentError):
            self.is_refused = True
            raise answer
        if answer is Moment.DONE:
            self.outcome = bytes(self._written)
        elif not isinstance(answer, Moment):
            self._written += answer
            if len(self._written) > self._max_bytes:
                raise UnprocessableInput("The document becomes too large when it is written.")
