"""How every worker consumes its queue: it outlives its broker, and leaves logs and signals to us."""

from typing import Any

import billiard.pool

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
