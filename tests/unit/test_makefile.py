"""The Makefile's chores: each has a line of help, and each module that it runs exists."""

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text()


@pytest.mark.skipif(shutil.which("make") is None, reason="no make here")
def test_help_lists_every_chore() -> None:
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    phony = re.search(r"^\.PHONY: (.+)$", MAKEFILE, re.MULTILINE)
    assert phony
    assert all(f"make {chore} " in shown for chore in phony[1].split())


def test_every_module_that_is_run_exists() -> None:
    modules = set(re.findall(r"-m ((?!pip|venv|pytest)[\w.]+)", MAKEFILE))
    assert modules
    assert {module for module in modules if importlib.util.find_spec(module) is None} == set()


def test_ci_calls_lint_and_then_test_so_that_the_summary_of_the_tests_comes_last() -> None:
    commands = [line for line in (ROOT / ".ci/run").read_text().splitlines() if line.startswith("make ")]
    assert commands == ["make lint", "make test"]
