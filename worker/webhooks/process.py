"""What the webhooks worker holds: connections, the dispatcher of deliveries, the clerk of batches, a sweeper."""

import structlog
from prometheus_client import start_http_server
from sqlalchemy import event
from sqlalchemy.engine.interfaces import DBAPIConnection

from core.bells import WEBHOOKS_QUEUE, Bells
from core.database import create_database_engine, create_session_factory
from core.settings import Settings
from core.webhooks.resolving import create_resolver
from worker.batches.clerk import Clerk
from worker.duties import Duties
from worker.sweeping import sweep_and_ring
from worker.webhooks.clock import ClockWatch
from worker.webhooks.dispatcher import Dispatcher
from worker.webhooks.sender import Sender

log = structlog.get_logger(__name__)


def _commit_quickly(connection: DBAPIConnection, _: object) -> None:
    """Let commits of this process not wait for the disk.

    A database that crashes may forget its last half second of them: then a delivery is still claimed, its lease
    expires, and it is sent again with the same id, which is what a receiver must bear anyway.
    """
    cursor = connection.cursor()
    cursor.execute("SET synchronous_commit = off")
    cursor.close()
    connection.commit()


class WebhooksProcess:
    """Runs from its making to `close`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._engine = create_database_engine(settings, "inkpost-webhooks")
        event.listen(self._engine, "connect", _commit_quickly)
        self._sessions = create_session_factory(self._engine)
        self._bells = Bells(settings)
        self._bells.attach(self._sessions)
        sender = Sender(settings.webhooks, create_resolver(settings.webhooks))
        self._clerk = Clerk(settings, self._sessions)
        self._clock = ClockWatch()
        self.dispatcher = Dispatcher(settings, self._sessions, sender)
        # At the same pace as the recognisers sweep, for one of them may be all that is alive.
        self._duties = Duties("sweeper", {"sweep": (self._sweep, settings.leases.sweep_seconds)})
        if settings.webhooks.metrics_port is not None:
            start_http_server(settings.webhooks.metrics_port, addr=settings.worker.metrics_host)
        self.dispatcher.start()
        self._clerk.start()
        self._duties.start()
        log.info("webhooks.ready")

    def answer_bell(self) -> None:
        """The queue's task: something new may be due. A second run is harmless."""
        self._bells.answer(WEBHOOKS_QUEUE)
        self.dispatcher.wake()
        self._clerk.wake()

    def close(self) -> None:
        """End in order: finish what is on the way, then let go of the connections."""
        self.dispatcher.stop()
        self._clerk.stop()
        self._duties.stop()
        self._bells.close()
        self._engine.dispose()

    def _sweep(self) -> None:
        with self._sessions() as session:
            self._clock.look(session)
        sweep_and_ring(self._sessions, self._settings, self._bells)
