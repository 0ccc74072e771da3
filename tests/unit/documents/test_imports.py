"""The image of the documents worker has neither a model's libraries nor the API's."""

import subprocess
import sys

ABSENT = ("torch", "transformers", "safetensors", "numpy", "flask", "gunicorn")


def test_a_documents_worker_needs_no_more_than_its_extra() -> None:
    block = f"import sys; sys.modules.update(dict.fromkeys({ABSENT!r}))"

    done = subprocess.run(
        [sys.executable, "-c", f"{block}; import worker.documents.process, worker.documents.__main__"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
