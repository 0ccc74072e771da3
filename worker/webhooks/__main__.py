"""`python -m worker.webhooks`: one worker that delivers webhooks. Start a second for a second machine, not for speed.

Celery carries the doorbell only, so its pool is the process itself: deliveries go out from threads of our own, because
a receiver that hangs must keep nobody from being answered the bell.
"""

import os
import sys

from celery import signals

from core.bells import DRAIN_TASK, WEBHOOKS_QUEUE, create_celery
from core.logs import configure_logs
from core.settings import Settings, load_settings
from worker.consuming import COMMAND_OPTIONS, CONSUMER_OPTIONS
from worker.webhooks.process import WebhooksProcess


def main() -> int:
    """Run until told to end."""
    settings = load_settings()
    configure_logs(settings)
    process = WebhooksProcess(settings)
    try:
        return _consume(settings, process)
    finally:
        process.close()


def _consume(settings: Settings, process: WebhooksProcess) -> int:
    app = create_celery(settings, **CONSUMER_OPTIONS)
    app.task(name=DRAIN_TASK)(process.answer_bell)
    signals.setup_logging.connect(lambda **_: configure_logs(settings), weak=False)
    signals.worker_shutting_down.connect(lambda **_: process.dispatcher.drain(), weak=False)
    options = ["--pool=solo", *COMMAND_OPTIONS, "--queues", WEBHOOKS_QUEUE]
    return int(app.worker_main(["worker", *options, "--hostname", f"webhooks-{os.getpid()}@%h"]) or 0)


if __name__ == "__main__":
    sys.exit(main())
