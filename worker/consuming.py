"""How every worker consumes its queue: it outlives its broker, and leaves logs and signals to us."""

import os
from collections.abc import Callable
from typing import Any

import billiard.pool
from celery import signals

from core.bells import DRAIN_TASK, create_celery
from core.logs import configure_logs
from core.settings import Settings

CONSUMER_OPTIONS: dict[str, Any] = {
    "worker_hijack_root_logger": False,
    "worker_redirect_stdouts": False,
    "worker_enable_remote_control": False,
    "worker_send_task_events": False,
    "worker_cancel_long_running_tasks_on_connection_loss": False,
    "worker_deduplicate_successful_tasks": False,
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,
    "broker_connection_timeout": 5,
    "broker_transport": "worker.broker:Transport",
    "broker_transport_options": {
        "visibility_timeout": 600,
        "socket_connect_timeout": 5,
        "socket_timeout": 10,
        "socket_keepalive": True,
        "health_check_interval": 10,
    },
}
# -O fair matters to prefork only; the rest is chatter between workers that nobody listens to.
COMMAND_OPTIONS = ("-O", "fair", "--without-gossip", "--without-mingle", "--without-heartbeat")

_RESULT_LOOKS = 10  # one every 0.1 s


def end_without_readers() -> None:
    """Let a pool process end though nobody reads what became of its last task; call it before the pool is made.

    A main process that is told to end forgets a task that the pool process has not yet acknowledged, and never reads
    its result; the pool process waits 30 s for that (seen with Celery 5.7.0 and billiard 4.3.2), which is all the time
    that many a supervisor gives before it kills. Our results say nothing: what a task did is in Postgres.
    """
    billiard.pool.GUARANTEE_MESSAGE_CONSUMPTION_RETRY_LIMIT = _RESULT_LOOKS


def consume(settings: Settings, queue: str, *, answer_bell: Callable[[], None], drain: Callable[[], None]) -> int:
    """Answer the bells of a queue until told to end, and return the exit status.

    Celery carries the doorbell only, so its pool is the process itself: the work is done by threads of our own, because
    what takes long must keep nobody from being answered the bell. `drain` is called when the process is told to end.
    """
    app = create_celery(settings, **CONSUMER_OPTIONS)
    app.task(name=DRAIN_TASK)(answer_bell)
    signals.setup_logging.connect(lambda **_: configure_logs(settings), weak=False)
    signals.worker_shutting_down.connect(lambda **_: drain(), weak=False)
    options = ["--pool=solo", *COMMAND_OPTIONS, "--queues", queue]
    return int(app.worker_main(["worker", *options, "--hostname", f"{queue}-{os.getpid()}@%h"]) or 0)
