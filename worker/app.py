"""The worker's Celery application: its queue, its one task, and the signals that open and close a pool process."""

import sys
from typing import Any

import structlog
from celery import Celery, signals

from core.bells import DRAIN_TASK, create_celery
from core.errors import ModelUnusable
from core.logs import configure_logs
from core.settings import Settings
from worker.consuming import CONSUMER_OPTIONS, end_without_readers
from worker.process import WorkerProcess
from worker.slot import Slot, SlotState

log = structlog.get_logger(__name__)

# A large model on a cold disk takes minutes; Celery's default of 4 s would kill the child while it loads.
_LOAD_SECONDS = 900.0
_POOL_LOOK_SECONDS = 0.5


def create_worker_app(settings: Settings, slot: Slot, model: str) -> Celery:
    """Build the application of one worker; its pool process loads the model before it takes a task."""
    end_without_readers()
    hard_limit = settings.worker.slice_seconds + settings.leases.stall_seconds + 60  # the stall watch comes first
    app = create_celery(
        settings,
        task_time_limit=hard_limit,
        worker_proc_alive_timeout=_LOAD_SECONDS,
        **CONSUMER_OPTIONS,
    )
    holder = _Holder(settings, slot, model)
    app.task(name=DRAIN_TASK)(holder.drain)
    signals.setup_logging.connect(holder.configure_logs, weak=False)
    signals.worker_process_init.connect(holder.open, weak=False)
    signals.worker_process_shutdown.connect(holder.close, weak=False)
    signals.worker_shutting_down.connect(holder.begin_shutdown, weak=False)
    signals.worker_ready.connect(_watch_pool_closely, weak=False)
    return app


def _watch_pool_closely(sender: Any, **_: object) -> None:
    """Look for a dead pool process twice a second.

    Celery looks every 5 s, and sees the death of every process but the first at once; measured with Celery 5.7.0, the
    first one's went unseen until that look. A GPU should not idle for it.
    """
    sender.hub.call_repeatedly(_POOL_LOOK_SECONDS, sender.pool._pool.maintain_pool)


class _Holder:
    """Receives Celery's signals; in a pool process it holds the opened process."""

    def __init__(self, settings: Settings, slot: Slot, model: str) -> None:
        self._settings = settings
        self._slot = slot
        self._model = model
        self._process: WorkerProcess | None = None

    def configure_logs(self, **_: object) -> None:
        configure_logs(self._settings)

    def open(self, **_: object) -> None:
        # Celery swallows what a signal's receiver raises; a process without a model must not take tasks.
        try:
            self._process = WorkerProcess(self._settings, self._slot, self._model)
        except ModelUnusable as error:
            log.error("model.unusable", model=self._model, detail=error.detail)  # noqa: TRY400  the detail says it all
            self._slot.give_up(SlotState.UNUSABLE)
            sys.exit(1)
        except Exception:  # an edge: whatever it was, the whole worker is to be started anew
            log.exception("worker.failed_to_start", model=self._model)
            self._slot.give_up(SlotState.BROKEN)
            sys.exit(1)

    def drain(self) -> None:
        if self._process is not None:
            self._process.lines.drain()

    def begin_shutdown(self, **_: object) -> None:
        self._slot.drain()

    def close(self, **_: object) -> None:
        if self._process is not None:
            self._process.close()
