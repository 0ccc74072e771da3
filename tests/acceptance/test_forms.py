"""The example form of twelve fields, from the command line and from curl to every format and back."""

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pikepdf
import pypdfium2
import pytest

from tests.running_up import INKPOST, RunningUp
from tests.unit.cli.test_formhtr import region_file
from worker.evaluation.metrics import count, total

ROOT = Path(__file__).parents[2]
FORM = ROOT / "examples" / "forms" / "intake.pdf"
WRITTEN = dict(row.split("\t") for row in FORM.with_suffix(".tsv").read_text(encoding="utf-8").splitlines())
PAGE_HEIGHT = 841.89


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningUp]:
    """Give a service with the starter model that the tests of this module share."""
    with RunningUp(tmp_path_factory.mktemp("forms") / "data", "--model", "inkpost-starter") as running:
        yield running


def inkpost(service: RunningUp, *words: str, status: int = 0) -> subprocess.CompletedProcess[bytes]:
    """Run a command against the service."""
    environment = {**os.environ, "INKPOST_URL": service.url, "INKPOST_API_KEY": service.api_key}
    shown = subprocess.run([*INKPOST, *words], capture_output=True, env=environment, timeout=120, check=False)
    assert shown.returncode == status, shown.stderr.decode()
    return shown


@pytest.fixture(scope="module")
def lines(service: RunningUp) -> list[dict[str, object]]:
    """Give the form's lines as the service read them."""
    job = json.loads(inkpost(service, "read", str(FORM), "--json").stdout)
    assert job["document"]["cut"] == "field"
    assert job["document"]["skipped"] == [{"name": "consent", "page": 1, "kind": "check_box"}]
    return job["lines"]


def test_the_form_comes_back_as_csv_with_its_fields_names(service: RunningUp) -> None:
    shown = inkpost(service, "read", str(FORM), "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(shown.stdout.decode(), newline="")))
    assert [row["custom_id"] for row in rows] == list(WRITTEN)
    counted = total(count(WRITTEN[row["custom_id"]], row["text"]) for row in rows)
    assert counted.cer < 0.1  # of hands that the starter model never saw
    assert sum(row["text"] == WRITTEN[row["custom_id"]] for row in rows) >= 6


def test_the_form_comes_back_filled_in(service: RunningUp, lines: list[dict[str, object]], tmp_path: Path) -> None:
    filled = tmp_path / "filled.pdf"
    inkpost(service, "read", str(FORM), "--format", "form", "--output", str(filled))
    with pikepdf.open(filled) as pdf:
        values = dict(field_values(pdf.Root.AcroForm.Fields))
    assert values == {line["custom_id"]: line["text"] for line in lines} | {"consent": None}


def field_values(fields: pikepdf.Array, parent: str = "") -> Iterator[tuple[str, str | None]]:
    for field in fields:
        name = f"{parent}{field.T}"
        if "/Kids" in field and all("/T" in kid for kid in field.Kids):
            yield from field_values(field.Kids, f"{name}.")
        else:
            yield name, str(field.V) if "/V" in field else None


@pytest.fixture(scope="module")
def searchable(service: RunningUp, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the searchable form."""
    file = tmp_path_factory.mktemp("searchable") / "form.pdf"
    inkpost(service, "read", str(FORM), "--format", "pdf", "--output", str(file))
    return file


def test_the_form_comes_back_searchable_with_each_text_in_its_place(
    searchable: Path, lines: list[dict[str, object]]
) -> None:
    page = pypdfium2.PdfDocument(searchable)[0]
    words = page.get_textpage()
    for line in lines:
        x0, y0, x1, y1 = line["box"]
        found = words.get_text_bounded(left=x0 - 1, bottom=PAGE_HEIGHT - y1 - 1, right=x1 + 1, top=PAGE_HEIGHT - y0 + 1)
        assert found.split() == str(line["text"]).split()
    assert "Patient intake" in words.get_text_range()


def test_pdftotext_finds_each_text_in_its_place(searchable: Path, lines: list[dict[str, object]]) -> None:
    if not shutil.which("pdftotext"):
        pytest.skip("no pdftotext here")
    for line in lines:
        x0, y0, x1, y1 = (round(side) for side in line["box"])
        place = ["-r", "72", "-x", str(x0), "-y", str(y0), "-W", str(x1 - x0), "-H", str(y1 - y0)]
        command = ["pdftotext", *place, str(searchable), "-"]
        found = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
        assert found.split() == str(line["text"]).split()


def test_a_searchable_form_looks_as_before(searchable: Path) -> None:
    before, after = (pypdfium2.PdfDocument(file)[0].render(scale=1).to_numpy() for file in (FORM, searchable))
    assert (before == after).all()


@pytest.mark.parametrize("wanted", ["txt", "jsonl", "page", "alto", "hocr"])
def test_the_form_comes_back_in_every_other_format(
    service: RunningUp, lines: list[dict[str, object]], wanted: str
) -> None:
    shown = inkpost(service, "read", str(FORM), "--format", wanted)
    assert str(lines[0]["text"]) in shown.stdout.decode()


def test_an_encrypted_form_needs_its_password(service: RunningUp, tmp_path: Path) -> None:
    locked, password = tmp_path / "locked.pdf", tmp_path / "password"
    with pikepdf.open(FORM) as pdf:
        pdf.save(locked, encryption=pikepdf.Encryption(user="sesame", owner="other"))
    password.write_text("sesame\n")
    refused = inkpost(service, "read", str(locked), str(FORM), status=1)
    assert b"[pdf_encrypted]" in refused.stderr
    assert len(refused.stdout.splitlines()) == len(WRITTEN)  # of the other form, which is read all the same
    shown = inkpost(service, "read", str(locked), "--password-file", str(password))
    assert len(shown.stdout.splitlines()) == len(WRITTEN)


def test_a_form_is_cut_by_a_template_made_of_formhtr_regions(
    service: RunningUp, lines: list[dict[str, object]], tmp_path: Path
) -> None:
    wanted = {str(line["custom_id"]): line for line in lines if line["custom_id"] in {"person.surname", "visit.date"}}
    scale = 3508 / PAGE_HEIGHT
    areas = [
        {"coords": [side * scale for side in line["box"]], "varname": name}  # type: ignore[union-attr]
        for name, line in wanted.items()
    ]
    regions = tmp_path / "intake 2024.json"
    regions.write_text(region_file(*areas, {"coords": [60, 60, 110, 110], "varname": "consent", "type": "Checkbox"}))

    made = inkpost(service, "template", "import", str(regions))
    assert made.stdout.decode() == "intake-2024: 2 regions on 1 page.\n"
    assert b"consent" in made.stderr
    listed = json.loads(inkpost(service, "template", "list", "--json").stdout)
    assert [(each["name"], each["cut"], len(each["regions"])) for each in listed] == [("intake-2024", "regions", 2)]
    assert json.loads(inkpost(service, "template", "show", "intake-2024").stdout) == listed[0]

    job = json.loads(inkpost(service, "read", str(FORM), "--template", "intake-2024", "--format", "json").stdout)
    assert {line["custom_id"]: line["text"] for line in job["lines"]} == {
        name: line["text"] for name, line in wanted.items()
    }
    inkpost(service, "template", "delete", "intake-2024")
    refused = inkpost(service, "read", str(FORM), "--template", "intake-2024", status=1)
    assert b"[unknown_template]" in refused.stderr


def test_images_come_back_as_one_file_when_a_format_is_named(service: RunningUp) -> None:
    images = sorted((ROOT / "examples" / "lines").glob("0[1-3]*.png"))
    shown = inkpost(service, "read", *map(str, images), "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(shown.stdout.decode(), newline="")))
    assert [row["custom_id"] for row in rows] == [str(image) for image in images]
    refused = inkpost(service, "read", str(images[0]), "--format", "pdf", status=1)
    assert b"[not_offered]" in refused.stderr


def test_the_session_with_curl_works_as_it_is(service: RunningUp, tmp_path: Path) -> None:
    if not shutil.which("curl"):
        pytest.skip("no curl here")
    environment = {**os.environ, "INKPOST_URL": service.url, "INKPOST_API_KEY": service.api_key}
    shown = subprocess.run(
        ["bash", "examples/form.sh", str(tmp_path)],
        capture_output=True, text=True, env=environment, cwd=ROOT, timeout=120, check=False,
    )  # fmt: skip
    assert shown.returncode == 0, shown.stderr
    assert "person.surname,1,succeeded,recognised," in shown.stdout
    assert shown.stdout.splitlines()[-1] == "204"
    assert (tmp_path / "intake-1-0.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "searchable.pdf").read_bytes().startswith(b"%PDF")


def test_the_demo_reads_the_form_too(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cli", "demo"]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=150, check=False, cwd=ROOT)
    assert shown.returncode == 0, shown.stderr
    assert "Lindqvist" in shown.stdout
    assert "of 12 fields of intake.pdf read as written" in shown.stdout
