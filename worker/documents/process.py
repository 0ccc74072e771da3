"""What the documents worker holds: connections, a desk for each kind of work, a thread for what comes round."""

from typing import Any

import structlog
from prometheus_client import start_http_server

from core.bells import DOCUMENTS_QUEUE, Bells
from core.database import create_database_engine, create_session_factory
from core.settings import Settings
from worker.documents.cutting import Cutting
from worker.documents.desk import Desk
from worker.documents.writing import Writing
from worker.duties import Duties
from worker.sandbox.limits import pdf_limits
from worker.sandbox.pdf_sandbox import PdfCutter
from worker.sandbox.pdf_writing import PdfWriter
from worker.sweeping import sweep_and_ring

log = structlog.get_logger(__name__)


class DocumentsProcess:
    """Runs from its making to `close`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._engine = create_database_engine(settings, "inkpost-documents")
        self._sessions = create_session_factory(self._engine)
        self._bells = Bells(settings)
        self._bells.attach(self._sessions)
        cutting = Cutting(PdfCutter(pdf_limits(settings)), keep_images=settings.keep_images)
        writing = Writing(PdfWriter(pdf_limits(settings)))
        self._desks: tuple[Desk[Any, Any], ...] = (
            Desk(settings, self._sessions, self._bells, cutting),
            Desk(settings, self._sessions, self._bells, writing),
        )
        self._duties = Duties(
            "housekeeper",
            {
                "renew": (self._renew, settings.documents.lease_seconds / 3),
                "sweep": (self._sweep, settings.leases.sweep_seconds),
            },
        )
        if settings.documents.metrics_port is not None:
            start_http_server(settings.documents.metrics_port, addr=settings.worker.metrics_host)
        for desk in self._desks:
            desk.start()
        self._duties.start()
        log.info("documents.ready")

    def answer_bell(self) -> None:
        """The queue's task: something may be queued. A second run is harmless."""
        self._bells.answer(DOCUMENTS_QUEUE)
        for desk in self._desks:
            desk.wake()

    def drain(self) -> None:
        """Claim nothing more."""
        for desk in self._desks:
            desk.drain()

    def close(self) -> None:
        """End in order: finish what is in hand, then let go of the connections."""
        self.drain()
        for desk in self._desks:
            desk.stop()
        self._duties.stop()
        self._bells.close()
        self._engine.dispose()

    def _renew(self) -> None:
        for desk in self._desks:
            desk.renew()

    def _sweep(self) -> None:
        sweep_and_ring(self._sessions, self._settings, self._bells)
