"""Cut untrusted documents into lines in a confined child, one after the other.

with PdfCutter(pdf_limits(settings)) as cutter:
    document = cutter.cut(pdf, CutWish(Cut.FIELD))
"""

import os
from collections.abc import Callable
from signal import SIGPROF
from types import TracebackType
from typing import Self

import structlog

from core.documents.cutting import CutDocument, CutLine, CutWish, Page, SkippedField
from core.errors import DocumentError, TooManyLines, UnprocessableInput
from core.words import Cut
from worker.sandbox.child_process import ChildDied, ChildProcess, ChildSilent
from worker.sandbox.limits import PdfLimits
from worker.sandbox.pdf_messages import MAX_JSON_BYTES, Answer, read_answer, request_parts
from worker.sandbox.protocol import OUT_OF_MEMORY_EXIT, Frame, Kind, ProtocolViolation

_ENTRY = "worker.sandbox.pdf_cutting"
_LIBRARIES = ("pypdfium2_raw", "pikepdf", "PIL")

_log = structlog.get_logger(__name__)


def _nothing() -> None:
    """Do nothing about progress."""


class PdfCutter:
    """Owns one child at a time: started when first needed, replaced when it fails or has served its share.

    Not for use by two threads at once. A process forked from the one that used it starts a child of its own.
    """

    def __init__(self, limits: PdfLimits, *, entry: str = _ENTRY) -> None:
        """`entry` is the module that cuts in the child (see child_main.py); tests put a misbehaving one there."""
        self.limits = limits
        self._entry = entry
        self._child: ChildProcess | None = None
        self._served = 0  # documents given to the present child

    @property
    def child(self) -> ChildProcess | None:
        """The present child, if one is running."""
        return self._child

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let the child go. The cutter can be used again afterwards; the next document starts a new child."""
        child, self._child = self._child, None
        if child is not None:
            if child.owner_id == os.getpid():
                child.close()
            else:
                child.abandon()

    def cut(self, pdf: bytes, wish: CutWish, on_progress: Callable[[], None] = _nothing) -> CutDocument:
        """Cut one document; `on_progress` is called whenever the child has sent something.

        Raises a DocumentError when the document cannot be cut, SandboxUnavailable when no child can be started, and
        what `on_progress` raises. None of them keeps the next document from being cut.
        """
        if len(pdf) > self.limits.max_document_bytes:
            raise UnprocessableInput(f"The document has more than {self.limits.max_document_bytes} bytes.")
        child = self._running_child()
        self._served += 1
        cutting = _Cutting(self.limits)
        child.queue(self._served, *request_parts(pdf, wish))
        try:
            while (document := cutting.document) is None:
                for frame in child.receive():
                    cutting.take(frame, self._served)
                on_progress()
        except (ChildDied, ChildSilent, ProtocolViolation) as error:
            self._kill()
            _log.warning("sandbox.child_failed", reason=str(error), retried=False)
            raise UnprocessableInput(_blame(error)) from error
        except BaseException:
            if not cutting.is_refused:  # the child is in the midst of it, or says too much
                self._kill()
            raise
        return document

    def _running_child(self) -> ChildProcess:
        """Return the present child, or a new one if there is none that is ours, alive and not worn out."""
        if self._child is not None and (
            self._child.owner_id != os.getpid()
            or self._child.has_ended
            or self._served >= self.limits.requests_per_child
        ):
            self.close()
        if self._child is None:
            self._served = 0
            largest = self.limits.max_image_bytes + MAX_JSON_BYTES
            self._child = ChildProcess(self._entry, self.limits, max_answer_bytes=largest, libraries=_LIBRARIES)
        return self._child

    def _kill(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.kill()


class _Cutting:
    """What the child has said about one document so far. `document` is there once it has said everything."""

    def __init__(self, limits: PdfLimits) -> None:
        self._limits = limits
        self._pages: list[Page] = []
        self._lines: list[CutLine] = []
        self._skipped: list[SkippedField] = []
        self._cut_bytes = 0
        self.document: CutDocument | None = None
        self.is_refused = False

    def take(self, frame: Frame, sequence: int) -> None:
        """Add an answer; raise the DocumentError that it is, or ProtocolViolation if it should not have come."""
        if frame.kind is not Kind.ANSWER or frame.sequence != sequence or self.document is not None:
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
            self.document = CutDocument(answer, tuple(self._pages), tuple(self._lines), tuple(self._skipped))
        if len(self._lines) > self._limits.max_lines or len(self._skipped) > self._limits.max_lines:
            raise TooManyLines
        if len(self._pages) > self._limits.max_pages:
            raise ProtocolViolation("more pages than were to be looked at")
        if self._cut_bytes > self._limits.max_cut_bytes:
            raise UnprocessableInput("The images of the document's lines take too much memory.")


def _blame(error: Exception) -> str:
    """Say for people what the child's end means for the document it was at."""
    exit_status = error.exit_status if isinstance(error, ChildDied) else 0
    if isinstance(error, ChildSilent):
        return "The document took too long to cut."
    if exit_status == -SIGPROF:
        return "The document took too much processor time to cut."
    if exit_status == OUT_OF_MEMORY_EXIT:
        return "The document took too much memory to cut."
    return "The document broke the process that was cutting it."
