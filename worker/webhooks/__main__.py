"""`python -m worker.webhooks`: a worker that delivers webhooks. Start a second for a second machine, not for speed."""

import sys

from core.bells import WEBHOOKS_QUEUE
from core.logs import configure_logs
from core.settings import load_settings
from worker.consuming import consume
from worker.webhooks.process import WebhooksProcess


def main() -> int:
    """Run until told to end."""
    settings = load_settings()
    configure_logs(settings)
    process = WebhooksProcess(settings)
    try:
        return consume(settings, WEBHOOKS_QUEUE, answer_bell=process.answer_bell, drain=process.dispatcher.drain)
    finally:
        process.close()


if __name__ == "__main__":
    sys.exit(main())
