"""`python -m worker.documents`: a worker that cuts documents and writes them. Start more for more at once."""

import sys

from core.bells import DOCUMENTS_QUEUE
from core.logs import configure_logs
from core.settings import load_settings
from worker.consuming import consume
from worker.documents.process import DocumentsProcess


def main() -> int:
    """Run until told to end."""
    settings = load_settings()
    configure_logs(settings)
    process = DocumentsProcess(settings)
    try:
        return consume(settings, DOCUMENTS_QUEUE, answer_bell=process.answer_bell, drain=process.drain)
    finally:
        process.close()


if __name__ == "__main__":
    sys.exit(main())
