"""What is said and written of a form that was read."""

import io
from pathlib import Path

import pytest

from cli.failure import CommandFailed
from cli.forms import complain, read_password, write
from cli.service_client import JobAnswer


def job(*lines: dict[str, object], **values: object) -> JobAnswer:
    counts = {"total": len(lines), "succeeded": 0, "failed": len(lines), "canceled": 0}
    return JobAnswer.model_validate({"id": "job_1", "status": "failed", "counts": counts, "lines": lines, **values})


def test_lines_that_were_not_read_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    error = {"code": "page_unreadable", "detail": "It is damaged."}
    read = {"index": 0, "status": "succeeded", "text": "Okafor"}
    failed = {"index": 1, "custom_id": "town", "status": "failed", "error": error}
    assert complain(Path("form.pdf"), job(read, failed, {"index": 2, "status": "canceled"}))
    assert capsys.readouterr().err.splitlines() == [
        "form.pdf, town: It is damaged. [page_unreadable]",
        "form.pdf, line 3: canceled",
    ]
    assert not complain(None, job(read))


def test_a_form_that_was_not_cut_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    assert complain(Path("form.pdf"), job(error={"code": "pdf_encrypted", "detail": "It is encrypted."}))
    assert capsys.readouterr().err == "form.pdf: It is encrypted. [pdf_encrypted]\n"


@pytest.mark.parametrize("transcript", [b"%PDF-1.7 ...", b"PK\x03\x04..."])
def test_what_is_no_text_is_not_thrown_at_a_screen(
    transcript: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    with pytest.raises(CommandFailed, match="--output"):
        write(transcript, None)
    write(transcript, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == transcript


def test_a_text_is_shown_whatever_it_begins_with(
    capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    write(b"PK 4711\n", None)
    assert capsysbinary.readouterr().out == b"PK 4711\n"


def test_a_password_is_the_first_line_of_its_file_blanks_and_all() -> None:
    assert read_password(io.StringIO(" open sesame \r\nmore\n"), prompt=False) == " open sesame "
    assert read_password(None, prompt=False) is None
