"""`python -m worker`: one recognition worker, a Celery main process with one child that holds the model.

Exit codes: 0 ended in order; 70 the accelerator or the process is broken, start it anew; 78 the model is unusable.
"""

import argparse
import os
import sys

from core.bells import lines_queue
from core.errors import ModelUnusable
from core.logs import configure_logs
from core.settings import load_settings, served_name
from worker.app import create_worker_app
from worker.consuming import COMMAND_OPTIONS
from worker.recognizer.checkpoint import resolve_checkpoint
from worker.slot import EXIT_UNUSABLE, Slot


def main(arguments: list[str]) -> int:
    """Run until told to end."""
    settings = load_settings()
    parser = argparse.ArgumentParser(prog="inkpost worker", description="Read lines with one model.")
    parser.add_argument("--model", default=settings.worker.model or settings.default_model)
    model: str = parser.parse_args(arguments).model
    configure_logs(settings)
    try:
        if served_name(model) != "fake":
            resolve_checkpoint(model)  # before anything is started: a missing file is the operator's to mend
    except ModelUnusable as error:
        sys.stderr.write(f"inkpost worker: {error.detail}\n")
        return EXIT_UNUSABLE
    slot = Slot()
    app = create_worker_app(settings, slot, model)
    options = ["--pool=prefork", "--concurrency=1", *COMMAND_OPTIONS]
    options += ["--queues", lines_queue(served_name(model)), "--hostname", f"{served_name(model)}-{os.getpid()}@%h"]
    return slot.exit_code(app.worker_main(["worker", *options]) or 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
