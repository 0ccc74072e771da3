"""Cut untrusted documents into lines in a confined child, one after the other.

with PdfCutter(pdf_limits(settings)) as cutter:
    document = cutter.cut(pdf, CutWish(Cut.FIELD))
"""

from collections.abc import Callable

from core.documents.cutting import CutDocument, CutLine, CutWish, Page, SkippedField
from core.errors import DocumentError, TooManyLines, UnprocessableInput
from core.words import Cut
from worker.sandbox.document_sandbox import DocumentSandbox, nothing
from worker.sandbox.limits import PdfLimits
from worker.sandbox.pdf_messages import MAX_JSON_BYTES, Answer, read_answer, request_parts
from worker.sandbox.protocol import Frame, Kind, ProtocolViolation

_ENTRY = "worker.sandbox.pdf_cutting"
_LIBRARIES = ("pypdfium2_raw", "pikepdf", "PIL")


class PdfCutter(DocumentSandbox):
    """Cuts documents, one child at a time."""

    def __init__(self, limits: PdfLimits, *, entry: str = _ENTRY) -> None:
        """`entry` is the module that cuts in the child (see child_main.py); tests put a misbehaving one there."""
        largest = limits.max_image_bytes + MAX_JSON_BYTES
        super().__init__(limits, entry=entry, libraries=_LIBRARIES, max_answer_bytes=largest, verb="cut")

    def cut(self, pdf: bytes, wish: CutWish, on_progress: Callable[[], None] = nothing) -> CutDocument:
        """Cut one document; `on_progress` is called whenever the child has sent something.

        Raises a DocumentError when the document cannot be cut, SandboxUnavailable when no child can be started, and
        what `on_progress` raises. None of them keeps the next document from being cut.
        """
        return self._converse(request_parts(pdf, wish), _Cutting(self.limits), on_progress)


class _Cutting:
    """What the child has said about one document so far."""

    def __init__(self, limits: PdfLimits) -> None:
        self._limits = limits
        self._pages: list[Page] = []
        self._lines: list[CutLine] = []
        self._skipped: list[SkippedField] = []
        self._cut_bytes = 0
        self.outcome: CutDocument | None = None
        self.is_refused = False

    def take(self, frame: Frame, sequence: int) -> None:
        """Add an answer; raise the DocumentError that it is, or ProtocolViolation if it should not have come."""
        if frame.kind is not Kind.ANSWER or frame.sequence != sequence or self.outcome is not None:
            raise ProtocolViolation("an answer to no question")
        answer = read_answer(frame.payload)
        if isinstance(answer, DocumentError):
            self.is_refused = True
            raise answer
        self._add(answer)

    def _add(self, answer: Answer) -> None:
        if isinstance(answer, CutLine):
            self._lines.append(answer)
            self._cut_bytes += len(answer.image or b"")
        elif isinstance(answer, SkippedField):
            self._skipped.append(answer)
        elif isinstance(answer, Page):
            self._pages.append(answer)
        elif isinstance(answer, Cut):
            self.outcome = CutDocument(answer, tuple(self._pages), tuple(self._lines), tuple(self._skipped))
        if len(self._lines) > self._limits.max_lines or len(self._skipped) > self._limits.max_lines:
            raise TooManyLines
        if len(self._pages) > self._limits.max_pages:
            raise ProtocolViolation("more pages than were to be looked at")
        if self._cut_bytes > self._limits.max_cut_bytes:
            raise UnprocessableInput("The images of the document's lines take too much memory.")
