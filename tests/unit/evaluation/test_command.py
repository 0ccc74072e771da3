import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from worker.recognizer.fake import fake_text


@pytest.fixture(scope="module")
def lines(tmp_path_factory) -> Path:
    """A hundred noise images whose references are what the fake recogniser reads, except for three of them."""
    folder = tmp_path_factory.mktemp("lines")
    source = np.random.default_rng(3)
    rows = []
    for number in range(100):
        pixels = source.integers(0, 255, (16, 48, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:03}.png")
        rows.append(f"{number:03}.png\t{fake_text(pixels)}")
    rows[0] = "000.png\t<b>never read</b>"
    rows[1] = "001.png\tshort"
    (folder / "002.png").write_bytes((folder / "002.png").read_bytes()[:200])
    (folder / "references.tsv").write_text("\n".join(rows) + "\n")
    return folder


def evaluate(*arguments: str | Path, columns: int = 200) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "worker.evaluation", *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "COLUMNS": str(columns)},
    )


def test_the_json_report_is_one_document_with_all_rates(lines):
    done = evaluate("--model", "fake", "--lines", lines, "--json", "--batch", "7")

    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["lines"] == 100
    assert report["exact"] == pytest.approx(0.97)
    assert 0 < report["cer"] < 0.05
    assert report["wer"] == pytest.approx(4 / 101)  # two words of one line, the only word of two others
    assert report["word_f1"] == pytest.approx(2 * 97 / (101 + 99))
    assert report["word_accuracy"] == pytest.approx(0.97)
    assert report["unreadable"] == [{"name": "002.png", "error": "corrupt_image"}]
    assert (report["model"], report["precision"], report["num_beams"]) == ("fake", "float32", 1)
    assert sum(group["lines"] for group in report["reliability"]) == 100
    assert [row["threshold"] for row in report["thresholds"]] == sorted(
        row["threshold"] for row in report["thresholds"]
    )


def test_the_table_names_the_rates_and_the_lines_that_could_not_be_read(lines):
    done = evaluate("--model", "fake", "--lines", lines / "references.tsv")

    assert done.returncode == 0, done.stderr
    assert "CER" in done.stdout
    assert "97 of 100 lines" in done.stdout
    assert "002.png: corrupt_image" in done.stdout


def test_a_limit_takes_the_first_lines(lines):
    done = evaluate("--model", "fake", "--lines", lines, "--json", "--limit", "2")

    assert json.loads(done.stdout)["lines"] == 2


def test_the_page_and_the_diagram_are_written(lines, tmp_path):
    page, diagram = tmp_path / "worst.html", tmp_path / "reliability.svg"

    done = evaluate("--model", "fake", "--lines", lines, "--html", page, "--diagram", diagram, "--worst", "3")

    assert done.returncode == 0, done.stderr
    assert page.read_text().count("<tr><td") == 3
    assert "&lt;" in page.read_text()
    assert "<b>" not in page.read_text()
    assert diagram.read_text().startswith("<svg")


def test_a_calibration_without_enough_errors_in_each_half_still_says_what_it_did(lines, tmp_path):
    file = tmp_path / "calibration.json"

    done = evaluate("--model", "fake", "--lines", lines, "--limit", "20", "--calibration", file)

    assert done.returncode == 1
    assert "Too few lines" in done.stderr
    assert not file.exists()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--model", "fake", "--lines", "nowhere"], "nowhere' does not exist"),
        (["--model", "no such model", "--lines", "."], "no such model"),
        (["--model", "fake", "--lines", ".", "--precision", "float8"], "float8"),
        (["--model", "fake", "--lines", "."], "holds no line images"),
        (["--lines", "."], "--model"),
        (["--model", "fake", "--lines", ".", "--html", "no/such/folder/page.html"], "'no/such/folder' does not exist"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(tmp_path, arguments, complaint):
    lines = [str(tmp_path) if argument == "." else argument for argument in arguments]
    if "no such model" in arguments:
        Image.new("RGB", (40, 20), "white").save(tmp_path / "a.png")
        (tmp_path / "a.txt").write_text("text")

    done = evaluate(*lines)

    assert done.returncode in {1, 2}
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
