"""`inkpost demo`: everything for a moment."""

import subprocess
import sys
from pathlib import Path

from PIL import Image


def run_demo(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cli", "demo", *options], capture_output=True, text=True, timeout=150, check=False
    )


def test_the_demo_shows_what_was_written_and_what_was_read(tmp_path: Path) -> None:
    for name, shade in (("first.png", 10), ("second.png", 200)):
        Image.new("L", (200, 40), color=shade).save(tmp_path / name)
    (tmp_path / "references.tsv").write_text("first.png\tOkafor\nsecond.png\t17 Mill Lane\n", encoding="utf-8")
    shown = run_demo("--model", "fake", "--lines", str(tmp_path))
    assert shown.returncode == 0, shown.stderr
    assert "Okafor" in shown.stdout
    assert shown.stdout.count("fake-") == 2
    assert shown.stdout.count("wrong") == 2
    assert "0 of 2 lines read as written" in shown.stdout


def test_a_demo_without_samples_says_so(tmp_path: Path) -> None:
    shown = run_demo("--model", "fake", "--lines", str(tmp_path))
    assert shown.returncode == 1
    assert "references.tsv is missing" in shown.stderr
