"""Doorbells: Celery messages that wake a worker. They carry no work; the work is in Postgres.

A bell is rung after the commit, within a short budget, and its loss costs one sweep: so it is never retried and its
failure is logged, not raised. While a bell waits in a queue a second one would tell the worker nothing new. So none is
put behind one that waits, however often a queue is rung that nobody listens to; and a Redis key remembers that one is
on its way, which the worker removes before it looks for work.
"""

import time
from typing import Any

import redis
import structlog
from celery import Celery
from kombu.exceptions import OperationalError
from sqlalchemy import event
from sqlalchemy.orm import Session, sessionmaker

from core.settings import Settings

DRAIN_TASK = "worker.drain"  # the one task of every worker: look for work on your queue
DOCUMENTS_QUEUE = "documents"
WEBHOOKS_QUEUE = "webhooks"
_DUE = "inkpost.bells"
log = structlog.get_logger(__name__)


def lines_queue(model: str) -> str:
    """Return the name of the Celery queue that wakes the recognisers of a model."""
    return f"lines.{model}"


def create_celery(settings: Settings, **changes: Any) -> Celery:
    """Build the Celery application that both sides share: no result backend, late acknowledgement, one at a time."""
    budget = settings.bell_timeout_seconds
    celery = Celery("inkpost", broker=settings.redis_url.get_secret_value(), set_as_current=False)
    celery.conf.update(
        task_ignore_result=True,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_serializer="json",
        accept_content=["json"],
        task_create_missing_queues=True,
        task_publish_retry=False,
        worker_prefetch_multiplier=1,
        broker_connection_timeout=budget,
        broker_transport_options={
            "visibility_timeout": 600,
            "socket_connect_timeout": budget,
            "socket_timeout": budget,
            "retry_on_timeout": False,
            # With kombu's own intervals a refused connection costs 2 s, whatever the timeout.
            "max_retries": 1,
            "interval_start": 0,
            "interval_step": 0,
        },
    )
    celery.conf.update(changes)
    return celery


def ring_after_commit(session: Session, queue: str) -> None:
    """Have a bell rung once this transaction is committed, when bells are attached to its sessions."""
    session.info.setdefault(_DUE, set()).add(queue)


class Bells:
    """Rings workers. Safe to share between threads; built after any fork."""

    def __init__(self, settings: Settings) -> None:
        self._celery = create_celery(settings)
        budget = settings.bell_timeout_seconds
        self._redis = redis.Redis.from_url(
            settings.redis_url.get_secret_value(),
            socket_timeout=budget,
            socket_connect_timeout=budget,
            retry=None,
        )
        self._pending_seconds = max(1, round(settings.leases.sweep_seconds))
        self._silent_until = 0.0
        self._lost: set[str] = set()

    def ring(self, queue: str, *, is_forced: bool = False) -> bool:
        """Wake one worker of the queue and return whether a bell is on its way.

        After a failure the broker is left alone for a second, so that a dead broker does not cost every request its
        whole budget. `is_forced` rings though a bell should be on its way, if none is there: the sweeper's way to make
        good a lost one.
        """
        if time.monotonic() < self._silent_until:
            return False
        try:
            # The failed ring may have left its key behind, which would now promise a bell that never came.
            is_due = is_forced or queue in self._lost
            with self._redis.pipeline(transaction=False) as commands:
                commands.set(_pending_key(queue), 1, nx=not is_due, ex=self._pending_seconds)
                commands.llen(queue)
                is_new, waiting = commands.execute()
            if is_new and not waiting:
                self._celery.send_task(DRAIN_TASK, queue=queue, retry=False)
            self._lost.discard(queue)
        except (redis.RedisError, OperationalError, OSError) as error:
            self._silent_until = time.monotonic() + 1.0
            self._lost.add(queue)
            log.warning("bell.failed", queue=queue, error=type(error).__name__)
            return False
        return True

    def attach(self, sessions: sessionmaker[Session]) -> None:
        """Ring what `ring_after_commit` asks for in these sessions; without it, the next sweep does."""

        def ring(session: Session) -> None:
            for queue in session.info.pop(_DUE, ()):
                self.ring(queue)

        def forget(session: Session) -> None:
            session.info.pop(_DUE, None)

        event.listen(sessions, "after_commit", ring)
        event.listen(sessions, "after_rollback", forget)

    def answer(self, queue: str) -> None:
        """Note that a worker is about to look for work: from now on a new bell tells something new."""
        try:
            self._redis.delete(_pending_key(queue))
        except redis.RedisError as error:
            log.warning("bell.answer_failed", queue=queue, error=type(error).__name__)

    def is_reachable(self) -> bool:
        """Tell whether the broker answers."""
        try:
            return bool(self._redis.ping())
        except redis.RedisError:
            return False

    def close(self) -> None:
        """Close the connections."""
        self._celery.close()
        self._redis.close()


def _pending_key(queue: str) -> str:
    return f"inkpost:bell:{queue}"
