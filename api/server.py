"""The API under gunicorn. TLS and HTTP/2 are a reverse proxy's business; see docs."""

import gc
import importlib
import logging
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger

from api.connections import Worker
from core.settings import Settings

# prometheus_client reads this name when it is first imported: it must be set before a worker loads the application.
_METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
_METRICS_PREFIX = "inkpost-metrics-"


class PropagatingLogger(Logger):  # type: ignore[misc]  # gunicorn has no annotations
    """gunicorn's log, rendered like all others."""

    def setup(self, cfg: Any) -> None:
        """Leave level and handlers to core.logs."""
        self.cfg = cfg
        self._access_log_enabled = False
        self.error_log.propagate = True
        self.error_log.handlers = []
        self.error_log.setLevel(logging.NOTSET)


class Server(BaseApplication):  # type: ignore[misc]  # gunicorn has no annotations
    """gunicorn's master: it holds the sockets and starts the processes that load the application."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        super().__init__()

    def load_config(self) -> None:
        """Configure gunicorn from our settings alone; no file and no GUNICORN_ variable has a say."""
        api = self.settings.api
        host = f"[{api.host}]" if ":" in api.host else api.host
        for name, value in {
            "bind": f"{host}:{api.port}",
            "worker_class": Worker,
            "workers": api.processes,
            "threads": api.threads,
            "worker_connections": max(api.connections, 2 * api.threads),
            "keepalive": api.keepalive_seconds,
            "timeout": 60,
            "graceful_timeout": 30,
            "worker_tmp_dir": "/dev/shm" if os.path.isdir("/dev/shm") else None,  # noqa: S108, PTH112 - a heartbeat file
            "limit_request_line": 8_190,
            "limit_request_fields": 64,
            "limit_request_field_size": 8_190,
            "forwarded_allow_ips": "",
            "forwarder_headers": "",
            "header_map": "drop",
            "logger_class": PropagatingLogger,
            "control_socket_disable": True,
            "proc_name": "inkpost-api",
        }.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        """Load the application, in a process that will answer requests; imported here, see `_METRICS_FOLDER`."""
        app = importlib.import_module("api.app").create_app(self.settings)
        # What is loaded by now lives as long as the process. Left to the collector, all of it is looked through while
        # a large answer is built: a third of the time that a job of 1,000 lines takes.
        gc.collect()
        gc.freeze()
        return app

    def serve(self) -> None:
        """Serve until told to stop."""
        master = os.getpid()
        _forget_metrics_of_the_dead()
        folder = tempfile.mkdtemp(prefix=f"{_METRICS_PREFIX}{master}-")
        os.environ[_METRICS_FOLDER] = folder
        try:
            self.run()
        finally:
            if os.getpid() == master:  # a worker that ends passes here too
                shutil.rmtree(folder, ignore_errors=True)


def _forget_metrics_of_the_dead() -> None:
    """Remove the folders of masters that were killed: each holds some MiB."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_METRICS_PREFIX}*-*"):
        pid = folder.name.removeprefix(_METRICS_PREFIX).partition("-")[0]
        if pid.isdigit() and not _is_alive(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
