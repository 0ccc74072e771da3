"""`inkpost up`: the whole service from one command, through the worst that can happen to it."""

import base64
import json
import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from cli.local.accounts import CAP_DAC_OVERRIDE, is_reachable
from cli.local.folder import SERVERS
from cli.local.process import LAUNCHER
from tests.running_up import INKPOST, RunningUp, line_images, survivors
from tests.waiting import eventually

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningUp]:
    """Give a service that the tests of this module share."""
    with RunningUp(tmp_path_factory.mktemp("up") / "data", "--model", "fake") as running:
        yield running


def test_a_line_that_is_posted_is_read(service: RunningUp) -> None:
    job = service.finished(service.submit(1, client_reference="form-7"))
    assert job["status"] == "succeeded"
    assert job["lines"][0]["text"].startswith("fake-")
    assert job["client_reference"] == "form-7"


def test_a_second_up_on_the_same_folder_is_refused_and_says_where_the_first_one_is(service: RunningUp) -> None:
    second = subprocess.run(
        [*INKPOST, "up", "--port", "0", "--data", str(service.folder), "--model", "fake"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert second.returncode == 1
    assert service.url in second.stderr
    assert "Traceback" not in second.stderr
    assert httpx.get(f"{service.url}/readyz").status_code == 200


def test_a_taken_port_is_one_clear_line(service: RunningUp, tmp_path: Path) -> None:
    port = service.url.rsplit(":", 1)[1]
    second = subprocess.run(
        [*INKPOST, "up", "--port", port, "--data", str(tmp_path / "data"), "--model", "fake"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert second.returncode == 1
    assert f"Port {port} of 127.0.0.1 is taken" in second.stderr


def test_another_key_is_made_while_it_runs(service: RunningUp) -> None:
    made = subprocess.run(
        [*INKPOST, "clients", "create", "billing", "--data", str(service.folder)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    answer = httpx.get(f"{service.url}/v1/jobs", headers={"Authorization": f"Bearer {made.stdout.strip()}"})
    assert answer.status_code == 200
    assert answer.json()["data"] == []


def test_read_prints_one_line_a_file_in_the_order_given(service: RunningUp, tmp_path: Path) -> None:
    files = []
    for number, line in enumerate(line_images(3)):
        files.append(tmp_path / f"{number}.png")
        files[-1].write_bytes(base64.b64decode(line["image"]))
    environment = {**os.environ, "INKPOST_URL": service.url, "INKPOST_API_KEY": service.api_key}
    command = [*INKPOST, "read", "--json", *map(str, reversed(files))]
    shown = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=True)
    lines = json.loads(shown.stdout)
    assert [line["file"] for line in lines] == [str(file) for file in reversed(files)]
    job = service.finished(service.submit(3))
    assert [line["text"] for line in lines] == [line["text"] for line in reversed(job["lines"])]


def test_read_says_which_files_could_not_be_read(service: RunningUp, tmp_path: Path) -> None:
    good, cut = tmp_path / "good.png", tmp_path / "cut.png"
    image = base64.b64decode(line_images(1)[0]["image"])
    good.write_bytes(image)
    cut.write_bytes(image[: len(image) // 2])
    environment = {**os.environ, "INKPOST_URL": service.url, "INKPOST_API_KEY": service.api_key}
    command = [*INKPOST, "read", str(good), str(cut)]
    shown = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)
    assert shown.returncode == 1
    assert shown.stdout.startswith("fake-")
    assert "cut.png: " in shown.stderr
    assert "[corrupt_image]" in shown.stderr


@pytest.mark.parametrize("command", [["bash", "examples/curl.sh"], [sys.executable, "examples/client.py"]], ids=str)
def test_the_examples_work_as_they_are(service: RunningUp, command: list[str]) -> None:
    if command[0] == "bash" and not shutil.which("curl"):
        pytest.skip("no curl here")
    files = ["examples/lines/01-surname.png", "examples/lines/02-name.png"] if "client" in command[1] else []
    environment = {**os.environ, "INKPOST_URL": service.url, "INKPOST_API_KEY": service.api_key}
    shown = subprocess.run(
        [*command, *files], capture_output=True, text=True, env=environment, cwd=ROOT, timeout=60, check=False
    )
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.count("fake-") == 2


def test_a_recogniser_that_is_killed_is_started_again(service: RunningUp) -> None:
    def recognisers() -> list[psutil.Process]:
        return [child for child in psutil.Process(service.process.pid).children() if "worker" in child.cmdline()]

    (killed,) = recognisers()
    killed.kill()
    assert service.finished(service.submit(2))["status"] == "succeeded"
    assert [process.pid for process in recognisers()] != [killed.pid]


def test_a_database_that_is_killed_is_started_again_and_nothing_is_lost(service: RunningUp) -> None:
    def servers() -> dict[str, psutil.Process]:
        family = psutil.Process(service.process.pid).children()
        return {child.name(): child for child in family if child.name() in SERVERS}

    before = service.submit(3)
    killed = servers()
    assert set(killed) == set(SERVERS)
    for server in killed.values():
        server.kill()
    eventually(
        lambda: set(servers()) == set(SERVERS) and not set(servers().values()) & set(killed.values()),
        60,
        "they were not started again",
    )
    eventually(lambda: httpx.get(f"{service.url}/readyz").status_code == 200, 60, "it never became ready again")
    assert service.finished(before)["status"] == "succeeded"
    assert service.finished(service.submit(1))["status"] == "succeeded"


def test_ctrl_c_stops_everything_and_the_next_start_knows_its_jobs_and_its_key(tmp_path: Path) -> None:
    with RunningUp(tmp_path / "data", "--model", "fake") as first:
        job_id = first.submit(2)
        done = first.finished(job_id)
        pids = [process.pid for process in first.family()]
        assert first.stop() == 0
        assert len(first.said) == 1
        assert survivors(pids) == []
    with RunningUp(tmp_path / "data", "--model", "fake") as second:
        assert second.api_key == first.api_key
        assert second.job(job_id)["lines"] == done["lines"]


def test_a_job_that_was_cut_short_by_a_kill_of_everything_finishes_after_the_next_start(tmp_path: Path) -> None:
    with RunningUp(tmp_path / "data", "--model", "fake:0,200") as first:
        job_id = first.submit(30)
        eventually(lambda: first.job(job_id)["status"] == "running", message="the job never began")
        first.kill()
    with RunningUp(tmp_path / "data", "--model", "fake") as second:
        job = second.finished(job_id)
    assert job["status"] == "succeeded"
    assert [line["custom_id"] for line in job["lines"]] == [f"line-{number}" for number in range(30)]
    assert len({line["text"] for line in job["lines"]}) == 30


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
def test_nothing_survives_a_kill_of_up_alone(tmp_path: Path) -> None:
    with RunningUp(tmp_path / "data", "--model", "fake") as running:
        pids = [process.pid for process in running.family()]
        assert len(pids) > 5
        running.process.kill()
        running.process.wait(10)
        eventually(lambda: survivors(pids) == [], 30, "something outlived `inkpost up`")


@pytest.mark.skipif(os.geteuid() != 0, reason="this is an ordinary user's run already, as all the others are")
def test_an_ordinary_user_can_run_it(tmp_path_factory: pytest.TempPathFactory) -> None:
    nobody = pwd.getpwnam("nobody")
    folder = tmp_path_factory.mktemp("nobody")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    folder.chmod(0o700)
    # A Python below root's private home cannot be started by others; the user is an ordinary one all the same.
    reaches_all = all(is_reachable(path, nobody.pw_uid, nobody.pw_gid) for path in (Path(sys.executable), folder))
    capability = "-" if reaches_all else str(CAP_DAC_OVERRIDE)
    launcher = [sys.executable, "-I", "-S", str(LAUNCHER), "SIGKILL", "nobody", capability, str(os.getpid()), "--"]
    environment = {"HOME": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "1"}
    with RunningUp(folder / "data", "--model", "fake", environment=environment, prefix=launcher) as running:
        assert {process.uids().effective for process in running.family()} == {nobody.pw_uid}
        assert running.finished(running.submit(1))["status"] == "succeeded"
        assert running.stop() == 0


def test_a_model_that_cannot_be_used_ends_the_start_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "empty-model").mkdir()
    shown = subprocess.run(
        [*INKPOST, "up", "--port", "0", "--data", str(tmp_path / "data"), "--model", str(tmp_path / "empty-model")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert shown.returncode == 1
    assert "Traceback" not in shown.stderr
    assert "empty-model" in shown.stderr.splitlines()[-1]
