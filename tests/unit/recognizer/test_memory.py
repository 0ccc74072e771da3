"""What a loaded model takes: its weights in the precision it computes in, and a fixed sum around them."""

import subprocess
import sys

import pytest
import torch

from tests.unit.recognizer.checkpoints import SHALLOW_BASE, save_checkpoint

AROUND_MB = 400  # with torch itself
TORCH_MB = 218  # what importing its CPU build takes; the CUDA build's libraries hold 285 more, model or not
CODE = """
import re, sys
from pathlib import Path
import numpy as np
import torch

def print_resident():
    print(int(re.search(r"VmRSS:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024)

print_resident()
from core.transcription import Decoding
from worker.line_image import LineImage
from worker.recognizer.base import LineToRead
from worker.recognizer.loading import load_recognizer

recognizer = load_recognizer(sys.argv[1], device="cpu", precision=sys.argv[2], threads=1)
recognizer.warm_up()
pixels = np.full((60, 400, 3), 255, np.uint8)
recognizer.recognise([LineToRead(LineImage(pixels), Decoding(max_new_tokens=8))] * 3)
print_resident()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_checkpoint(tmp_path_factory.mktemp("models") / "base", SHALLOW_BASE)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(("precision", "size"), [("float32", 4), ("int8", 1)])
def test_a_reading_worker_holds_its_weights_once_and_in_its_own_precision(folder, precision, size):
    weights_mb = size * (folder / "model.safetensors").stat().st_size / torch.float32.itemsize / 1024**2

    done = subprocess.run(
        [sys.executable, "-c", CODE, str(folder), precision], check=True, capture_output=True, text=True, timeout=120
    )

    before_mb, resident_mb = (float(row) for row in done.stdout.splitlines() if row.replace(".", "").isdigit())
    print(f"{precision}: {resident_mb:.0f} MB resident, {before_mb:.0f} before, weights {weights_mb:.0f}")  # noqa: T201
    assert resident_mb - before_mb <= 1.25 * weights_mb + AROUND_MB - TORCH_MB
    if torch.version.cuda is None:
        assert resident_mb <= 1.25 * weights_mb + AROUND_MB
