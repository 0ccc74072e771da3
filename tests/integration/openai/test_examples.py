"""The examples and OpenAI's Node client, against a running service."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from core.settings import OpenAI, Worker
from tests.integration.openai.conftest import Place, picture, serving
from tests.node import install_packages
from tests.processes import WorkerProcess

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def node_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder in which Node finds OpenAI's client."""
    return install_packages(ROOT / "examples" / "package.json", tmp_path_factory.mktemp("node"))


def environment(place: Place) -> dict[str, str]:
    return {**os.environ, "OPENAI_BASE_URL": f"{place.url}/v1", "OPENAI_API_KEY": place.key}


def files(folder: Path) -> dict[str, str]:
    found = {}
    for number in range(3):
        one = picture()
        path = folder / f"line-{number}.png"
        path.write_bytes(one.png)
        found[str(path)] = one.text
    return found


def run(command: list[str], place: Place, folder: Path) -> str:
    done = subprocess.run(
        command, cwd=folder, env=environment(place), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def check(output: str, texts: dict[str, str]) -> None:
    lines = output.splitlines()
    assert lines[1:4] == list(texts.values())
    assert lines[5:] == [f"{name}\t{text}" for name, text in texts.items()]


def test_the_python_example_reads_now_and_as_a_batch(place, tmp_path):
    texts = files(tmp_path)
    check(run([sys.executable, str(ROOT / "examples" / "openai_client.py"), *texts], place, tmp_path), texts)


def test_the_node_example_reads_now_and_as_a_batch(place, node_folder, tmp_path):
    texts = files(tmp_path)
    shutil.copy(ROOT / "examples" / "openai_client.mjs", node_folder)
    check(run(["node", "openai_client.mjs", *texts], place, node_folder), texts)


def test_the_node_client_tells_our_errors_by_its_classes(place, node_folder):
    shutil.copy(Path(__file__).with_name("errors.mjs"), node_folder)
    assert json.loads(run(["node", "errors.mjs"], place, node_folder)) == [
        ["AuthenticationError", 401, "invalid_credentials", "string"],
        ["NotFoundError", 404, "model_not_found", "string"],
        ["UnprocessableEntityError", 422, "no_image", "string"],
        ["NotFoundError", 404, "not_found", "string"],
    ]


def test_the_node_client_waits_for_a_slow_model_by_its_own_repeats_and_reads_once(settings, tmp_path, node_folder):
    shutil.copy(Path(__file__).with_name("calls.mjs"), node_folder)
    one = picture()
    (tmp_path / "line.png").write_bytes(one.png)
    slow = settings.model_copy(update={"worker": Worker(model="fake:1500"), "openai": OpenAI(answer_seconds=0.5)})
    with WorkerProcess(slow, tmp_path), serving(slow, tmp_path) as place:
        told = json.loads(run(["node", "calls.mjs", str(tmp_path / "line.png")], place, node_folder))
        assert place.scalar("SELECT count(*) FROM jobs") == 2
    assert told == {"texts": [one.text] * 2, "tokens": one.text, "requestIds": ["string"] * 2, "revision": "fake"}
