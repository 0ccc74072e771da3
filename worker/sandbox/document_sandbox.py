"""One confined child for documents, asked one thing at a time: what cutting and writing have in common. Parent side."""

import os
from collections.abc import Callable
from signal import SIGPROF
from types import TracebackType
from typing import Protocol, Self, TypeVar

import structlog

from core.errors import UnprocessableInput
from worker.sandbox.child_process import ChildDied, ChildProcess, ChildSilent
from worker.sandbox.limits import PdfLimits
from worker.sandbox.protocol import OUT_OF_MEMORY_EXIT, Frame, ProtocolViolation

Outcome_co = TypeVar("Outcome_co", covariant=True)

_log = structlog.get_logger(__name__)


def nothing() -> None:
    """Do nothing about progress."""


class Conversation(Protocol[Outcome_co]):
    """What the child has said about one document so far. `outcome` is there once it has said everything."""

    is_refused: bool

    @property
    def outcome(self) -> Outcome_co | None:
        """What came of the document."""

    def take(self, frame: Frame, sequence: int) -> None:
        """Add an answer; raise the DocumentError that it is, or ProtocolViolation if it should not have come."""


class DocumentSandbox:
    """Owns one child at a time: started when first needed, replaced when it fails or has served its share.

    Not for use by two threads at once. A process forked from the one that used it starts a child of its own.
    """

    def __init__(
        self, limits: PdfLimits, *, entry: str, libraries: tuple[str, ...], max_answer_bytes: int, verb: str
    ) -> None:
        """`entry` is the module that the child serves with (see child_main.py); `verb` is what it does, for people."""
        self.limits = limits
        self._entry = entry
        self._libraries = libraries
        self._max_answer_bytes = max_answer_bytes
        self._verb = verb
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
        """Let the child go. The sandbox can be used again afterwards; the next document starts a new child."""
        child, self._child = self._child, None
        if child is not None:
            if child.owner_id == os.getpid():
                child.close()
            else:
                child.abandon()

    def _converse(
        self,
        request: tuple[bytes, bytes],
        conversation: Conversation[Outcome_co],
        on_progress: Callable[[], None],
    ) -> Outcome_co:
        """Ask the child and listen until it has said everything. The first part of a request is the document.

        Raises a DocumentError when the document is refused or breaks the child, SandboxUnavailable when no child can
        be started, and what `on_progress` raises. None of them keeps the next document from being served.
        """
        if len(request[0]) > self.limits.max_document_bytes:
            raise UnprocessableInput(f"The document has more than {self.limits.max_document_bytes} bytes.")
        child = self._running_child()
        self._served += 1
        child.queue(self._served, *request)
        try:
            while (outcome := conversation.outcome) is None:
                for frame in child.receive():
                    conversation.take(frame, self._served)
                on_progress()
        except (ChildDied, ChildSilent, ProtocolViolation) as error:
            self._kill()
            _log.warning("sandbox.child_failed", reason=str(error), retried=False)
            raise UnprocessableInput(self._blame(error)) from error
        except BaseException:
            if not conversation.is_refused:  # the child is in the midst of it, or says too much
                self._kill()
            raise
        return outcome

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
            self._child = ChildProcess(
                self._entry, self.limits, max_answer_bytes=self._max_answer_bytes, libraries=self._libraries
            )
        return self._child

    def _kill(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.kill()

    def _blame(self, error: Exception) -> str:
        """Say for people what the child's end means for the document it was at."""
        exit_status = error.exit_status if isinstance(error, ChildDied) else 0
        if isinstance(error, ChildSilent):
            return f"The document took too long to {self._verb}."
        if exit_status == -SIGPROF:
            return f"The document took too much processor time to {self._verb}."
        if exit_status == OUT_OF_MEMORY_EXIT:
            return f"The document took too much memory to {self._verb}."
        return f"The document broke the process that was to {self._verb} it."
