"""What the commands say before they do anything."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.commands.demo import load_samples
from cli.failure import CommandFailed
from cli.main import COMMANDS, SUMMARIES, main


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "evaluate"])
def test_every_command_explains_itself(name: str) -> None:
    shown = CliRunner().invoke(main, [name, "--help"])
    assert shown.exit_code == 0
    assert f"inkpost {name}" in shown.output.replace("main", "inkpost")
    assert "Example" in shown.output
    assert "\\b" not in shown.output  # click's mark for kept line breaks, taken for text


def test_the_list_of_commands_names_each_with_a_summary() -> None:
    shown = CliRunner().invoke(main, ["--help"])
    assert all(name in shown.output and SUMMARIES[name] in shown.output for name in COMMANDS)


def test_help_loads_neither_the_database_nor_a_model() -> None:
    code = (
        "import sys; from cli.main import main\n"
        "main(['--help'], standalone_mode=False)\n"
        "print(sorted({'torch', 'sqlalchemy', 'flask', 'celery'} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.splitlines()[-1] == "[]"


def test_an_unknown_command_is_a_wrong_call() -> None:
    assert CliRunner().invoke(main, ["fly"]).exit_code == 2


def test_a_model_folder_that_is_not_there_is_a_wrong_call() -> None:
    shown = CliRunner().invoke(main, ["up", "--model", "./nowhere"])
    assert shown.exit_code == 2
    assert "no folder ./nowhere" in shown.output


@pytest.mark.parametrize("queue", ["documents", "webhooks"])
def test_a_worker_that_recognises_nothing_takes_no_model(queue: str) -> None:
    assert CliRunner().invoke(main, ["worker", "--queue", queue, "--model", "fake"]).exit_code == 2


def test_a_setting_that_is_not_acceptable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INKPOST_LEASES__SECONDS", "soon")
    shown = CliRunner().invoke(main, ["migrate"])
    assert shown.exit_code == 1
    assert "INKPOST_LEASES__SECONDS" in shown.output
    assert "Traceback" not in shown.output


def test_a_database_that_does_not_answer_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://inkpost:hidden@127.0.0.1:1/inkpost")
    for words in (["migrate"], ["clients", "list"], ["clients", "create", "billing"]):
        shown = CliRunner().invoke(main, words)
        assert shown.exit_code == 1
        assert "127.0.0.1:1/inkpost does not answer" in shown.output
        assert "hidden" not in shown.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["form.pdf", "line.png"], "calls of their own"),
        (["line.png", "--cut", "page"], "--cut is for PDFs"),
        (["line.png", "--template", "intake"], "--template is for PDFs"),
        (["line.png", "--password-prompt"], "--password is for PDFs"),
        (["form.pdf", "other.PDF", "--output", "out.csv"], "--output takes one form"),
        (["form.pdf", "--format", "docx"], "docx"),
        (["form.pdf", "--cut", "regions"], "regions"),
    ],
)
def test_what_does_not_go_together_is_refused_before_anything_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("form.pdf", "other.PDF", "line.png"):
        (tmp_path / name).write_bytes(b"%PDF-1.7")
    shown = CliRunner().invoke(main, ["read", "--api-key", "ink_x", "--url", "http://127.0.0.1:1", *words])
    assert shown.exit_code == 2
    assert said in shown.output


def test_a_service_that_does_not_answer_is_one_clear_line(tmp_path: Path) -> None:
    image = tmp_path / "line.png"
    image.write_bytes(b"\x89PNG")
    shown = CliRunner().invoke(main, ["read", "--api-key", "ink_x", "--url", "http://127.0.0.1:1", str(image)])
    assert shown.exit_code == 1
    assert "http://127.0.0.1:1 does not answer" in shown.output


def test_samples_are_read_with_their_references(tmp_path: Path) -> None:
    (tmp_path / "references.tsv").write_text("a.png\tOne two\nb.png\tThree\n", encoding="utf-8")
    samples = load_samples(tmp_path)
    assert [(sample.image.name, sample.reference) for sample in samples] == [("a.png", "One two"), ("b.png", "Three")]


def test_a_folder_without_samples_says_so(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match=r"references\.tsv is missing"):
        load_samples(tmp_path)
