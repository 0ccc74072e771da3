"""How files become jobs, and answers become lines of text."""

from pathlib import Path

import httpx
import pytest

from cli.commands import read
from cli.commands.read import as_read, batches, show
from cli.failure import CommandFailed
from cli.service_client import LineAnswer, LineError, ServiceClient, explain


def make_files(folder: Path, sizes: list[int]) -> list[Path]:
    files = [folder / f"{number}.png" for number in range(len(sizes))]
    for file, size in zip(files, sizes, strict=True):
        file.write_bytes(b"x" * size)
    return files


def test_files_keep_their_order_over_several_jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read, "MAX_LINES_PER_JOB", 2)
    files = make_files(tmp_path, [1, 2, 3, 4, 5])
    made = list(batches(files))
    assert [len(batch) for batch, _ in made] == [2, 2, 1]
    assert [file for batch, _ in made for file in batch] == files
    assert [len(image.data) for _, images in made for image in images] == [1, 2, 3, 4, 5]


def test_a_job_stays_below_its_bytes_but_a_large_file_still_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read, "MAX_BYTES_PER_JOB", 100)
    made = list(batches(make_files(tmp_path, [60, 60, 500, 10])))
    assert [len(batch) for batch, _ in made] == [1, 1, 1, 1]


def test_a_line_that_failed_says_why() -> None:
    answer = LineAnswer(index=0, status="failed", error=LineError(code="corrupt_image", detail="It is damaged."))
    assert as_read(Path("a.png"), answer).error == "It is damaged. [corrupt_image]"


def test_csv_quotes_what_needs_it(capsys: pytest.CaptureFixture[str]) -> None:
    line = as_read(Path("a.png"), LineAnswer(index=0, status="succeeded", text='Hollis, "Meg"', confidence=0.5))
    show([line], "csv")
    assert capsys.readouterr().out.splitlines()[1] == 'a.png,"Hollis, ""Meg""",0.5,false,'


def test_a_refusal_names_the_file_that_it_points_to() -> None:
    body = {
        "code": "unsupported_image_format",
        "detail": "Two are wrong.",
        "errors": [
            {"pointer": "/lines/1/image", "detail": "Not an image."},
            {"pointer": "/lines/2/image", "detail": "Not an image."},
        ],
    }
    response = httpx.Response(422, json=body, request=httpx.Request("POST", "http://127.0.0.1/v1/jobs"))
    said = explain(response, ["a.png", "b.png", "c.png"])
    assert said == "b.png: Not an image. (and 1 more) [unsupported_image_format]"


def test_an_answer_that_is_not_ours_is_still_one_line() -> None:
    response = httpx.Response(502, text="<html>", request=httpx.Request("GET", "http://127.0.0.1/v1/jobs/x"))
    assert explain(response) == "The service answered 502 to GET http://127.0.0.1/v1/jobs/x."


def test_a_job_that_cannot_be_canceled_is_one_clear_line() -> None:
    with ServiceClient("http://127.0.0.1:1", "ink_x") as client, pytest.raises(CommandFailed, match="goes on"):
        client.cancel("job_1")
