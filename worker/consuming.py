"""How every worker consumes its queue: it outlives its broker, and leaves logs and signals to us."""

from typing import Any

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
