"""What one pool process holds: model, sandbox, connections, housekeeper. Opened after the fork, closed at exit."""

import gc
import os
import platform
import time

import structlog
from prometheus_client import start_http_server

from core.bells import Bells, lines_queue
from core.database import create_database_engine, create_session_factory, translated_errors
from core.errors import TransientError
from core.presence import say_goodbye
from core.recovery import take_over
from core.settings import Settings
from core.tables import WorkerPresence
from worker.held_lines import HeldLines
from worker.housekeeper import Housekeeper
from worker.ledger import Ledger
from worker.lines import LineReader
from worker.recognizer.loading import load_recognizer
from worker.sandbox.image_sandbox import ImageSandbox
from worker.sandbox.limits import SandboxLimits
from worker.slot import Slot

log = structlog.get_logger(__name__)


class WorkerProcess:
    """Opening loads and warms the model, so that the first task finds everything in place."""

    def __init__(self, settings: Settings, slot: Slot, model: str) -> None:
        self._settings = settings
        self._slot = slot
        self._engine = create_database_engine(settings, "inkpost-worker")
        self._sessions = create_session_factory(self._engine)
        self._bells = Bells(settings)
        self._bells.attach(self._sessions)
        self._held = HeldLines()
        self._take_over()
        started_at = time.monotonic()
        worker = settings.worker
        self._recognizer = load_recognizer(
            model, device=worker.device, precision=worker.precision, threads=worker.threads
        )
        self._recognizer.warm_up()
        log.info(
            "model.loaded",
            model=self._recognizer.name,
            revision=self._recognizer.revision,
            device=self._recognizer.device,
            precision=self._recognizer.precision,
            seconds=round(time.monotonic() - started_at, 2),
        )
        self._sandbox = ImageSandbox(_sandbox_limits(settings))
        ledger = Ledger(
            settings=settings,
            sessions=self._sessions,
            held=self._held,
            slot_id=slot.id,
            model=self._recognizer.name,
            revision=self._recognizer.revision,
        )
        self._housekeeper = Housekeeper(
            settings=settings,
            sessions=self._sessions,
            bells=self._bells,
            held=self._held,
            presence=self._presence,
            settle_doubt=ledger.settle_doubt,
        )
        self.lines = LineReader(
            settings=settings,
            slot=slot,
            ledger=ledger,
            bells=self._bells,
            held=self._held,
            sandbox=self._sandbox,
            recognizer=self._recognizer,
        )
        if worker.metrics_port is not None:
            start_http_server(worker.metrics_port, addr=worker.metrics_host)
        # The model and its libraries live as long as the process: the collector need not look through them again.
        gc.collect()
        gc.freeze()
        self._housekeeper.start()
        self._bells.ring(lines_queue(self._recognizer.name), is_forced=True)

    def close(self) -> None:
        """End in order: stop the thread, say goodbye, let the sandbox child go."""
        self._housekeeper.stop()
        self.lines.close()
        try:
            with translated_errors(), self._sessions.begin() as session:
                say_goodbye(session, self._slot.id)
        except TransientError as error:
            log.warning("goodbye.failed", error=error.code)
        self._sandbox.close()
        self._bells.close()
        self._engine.dispose()

    def _take_over(self) -> None:
        """Put back at once what a predecessor in this slot held when it died."""
        leases = self._settings.leases
        try:
            with translated_errors(), self._sessions.begin() as session:
                recovered = take_over(
                    session, self._slot.id, max_crashes=leases.max_crashes, keep_images=self._settings.keep_images
                )
        except TransientError as error:  # then their leases expire
            log.warning("take_over.failed", error=error.code)
            return
        if recovered.requeued or recovered.failed:
            log.warning("predecessor.recovered", requeued=recovered.requeued, failed=recovered.failed)

    def _presence(self) -> WorkerPresence:
        return WorkerPresence(
            slot=self._slot.id,
            model=self._recognizer.name,
            model_revision=self._recognizer.revision,
            device=self._recognizer.device,
            precision=self._recognizer.precision,
            host=platform.node(),
            pid=os.getpid(),
        )


def _sandbox_limits(settings: Settings) -> SandboxLimits:
    limits = settings.limits
    return SandboxLimits(
        max_image_bytes=limits.max_image_bytes,
        min_image_side_pixels=limits.min_image_side_pixels,
        max_image_side_pixels=limits.max_image_side_pixels,
        max_image_pixels=limits.max_image_pixels,
        max_aspect_ratio=limits.max_aspect_ratio,
    )
