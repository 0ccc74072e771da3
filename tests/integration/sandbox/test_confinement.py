"""What a child has, can do and outlives: nothing of ours, nearly nothing, and not its parent."""

import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.images import line_png
from tests.waiting import eventually
from worker.line_image import LineImage
from worker.sandbox.child_process import ChildProcess
from worker.sandbox.image_sandbox import ImageSandbox
from worker.sandbox.limits import SandboxLimits

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="confinement is fullest on Linux")

MISBEHAVING = "tests.integration.sandbox.misbehaving_decoder"
ROOT = Path(__file__).parents[3]


def start_child(**limits: object) -> ChildProcess:
    wanted = SandboxLimits(**limits)  # type: ignore[arg-type]
    return ChildProcess(MISBEHAVING, wanted, max_answer_bytes=10_000, libraries=())


@pytest.fixture(scope="module")
def child() -> Iterator[ChildProcess]:
    process = start_child()
    yield process
    process.close()


def ask(child: ChildProcess, request: str) -> str:
    child.queue(1, request.encode())
    return child.receive()[0].payload.decode()


def is_gone(process_id: int) -> bool:
    return not psutil.pid_exists(process_id) or psutil.Process(process_id).status() == psutil.STATUS_ZOMBIE


def test_a_child_inherits_no_descriptor_and_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    # given: a parent with a secret, an inheritable socket and an inheritable file
    monkeypatch.setenv("DATABASE_URL", "postgresql://secret")
    monkeypatch.setenv("INKPOST_SECRET", "secret")
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    with socket.create_server(("127.0.0.1", 0)) as server, tempfile.TemporaryFile() as file:
        os.set_inheritable(server.fileno(), True)
        os.set_inheritable(file.fileno(), True)

        # when
        child = start_child()
        descriptors = ask(child, "tell:descriptors").split()
        environment = ask(child, "tell:environment").split()
        folder = ask(child, "tell:folder")
        child.close()

    # then
    assert all(target.startswith("pipe:") or target == "/dev/null" for target in descriptors), descriptors
    assert set(environment) <= {"LD_LIBRARY_PATH", "LC_CTYPE"}
    assert folder == "/"


def test_a_child_starts_with_default_signals_in_a_session_of_its_own() -> None:
    # given: a parent that ignores and blocks what it can, as a Celery process may
    previous = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGPROF, signal.SIGUSR1, signal.SIGTERM})
    try:
        child = start_child(cpu_seconds=0.1)

        # when
        told = [ask(child, f"tell:{what}") for what in ("session", "ignored", "masked")]
        child.close()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGTERM, previous)

    # then
    assert told == ["True", "False", "False"]


@pytest.mark.parametrize("attempt", ["socket", "read", "write", "fork", "exec", "run", "signal", "trace", "root"])
def test_a_confined_child_is_refused(child: ChildProcess, attempt: str) -> None:
    if not child.confinement["system_call_filter"]:
        pytest.skip("no seccomp filter on this machine")

    assert ask(child, f"try:{attempt}") == "refused"


@pytest.mark.parametrize("attempt", ["write", "fork", "run"])
def test_without_the_filter_the_resource_limits_still_refuse(attempt: str) -> None:
    child = start_child(system_call_filter=False)

    answer = ask(child, f"try:{attempt}")
    child.close()

    assert answer == "refused"


def test_a_child_of_root_is_not_root(child: ChildProcess) -> None:
    if os.geteuid() != 0 or not child.confinement["unprivileged_user"]:
        pytest.skip("only where root may become another user")

    assert set(psutil.Process(child.id).uids()) == {65534}
    assert set(psutil.Process(child.id).gids()) == {65534}


def test_a_child_holds_no_capability_and_can_gain_none(child: ChildProcess) -> None:
    status = Path(f"/proc/{child.id}/status").read_text()

    assert "CapEff:\t0000000000000000" in status
    assert "CapPrm:\t0000000000000000" in status
    if child.confinement["system_call_filter"]:
        assert "NoNewPrivs:\t1" in status


def test_a_child_leaves_no_core_and_is_the_first_to_go_when_memory_runs_out(child: ChildProcess) -> None:
    limits = Path(f"/proc/{child.id}/limits").read_text()

    assert "Max core file size        0 " in limits
    assert "Max file size             0 " in limits
    assert Path(f"/proc/{child.id}/oom_score_adj").read_text().strip() == "1000"


@pytest.mark.parametrize("is_busy", [False, True])
def test_a_child_dies_with_its_parent(is_busy: bool) -> None:
    # given: a parent with a child that is idle, or spends all its time in a request
    program = f"""
import sys
from worker.sandbox.child_process import ChildProcess
from worker.sandbox.limits import SandboxLimits
limits = SandboxLimits(cpu_seconds=100, wall_seconds=100)
child = ChildProcess("{MISBEHAVING}", limits, max_answer_bytes=1000, libraries=())
if {is_busy}:
    child.queue(1, b"spin")
    child._exchange(0.1)
print("child:", child.id, flush=True)
sys.stdin.read()
"""
    parent = subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert parent.stdout is not None
        child_id = next(int(line.split()[1]) for line in parent.stdout if line.startswith("child:"))
        assert psutil.pid_exists(child_id)

        # when
        parent.kill()
        parent.wait()

        # then
        eventually(lambda: is_gone(child_id), message="the child outlived its parent")
    finally:
        parent.kill()
        parent.communicate()


def test_closing_ends_the_child() -> None:
    child = start_child()

    child.close()

    assert is_gone(child.id)


def decode_in_fork(sandbox: ImageSandbox, results: "multiprocessing.queues.Queue[tuple[int, bool]]") -> None:
    outcome = sandbox.decode([line_png()])[0]
    assert sandbox.child is not None
    results.put((sandbox.child.id, isinstance(outcome, LineImage)))
    sandbox.close()


def test_a_daemonic_process_forked_from_a_threaded_parent_starts_a_child_of_its_own() -> None:
    # given: a parent with threads, signal handlers and a sandbox in use
    stop = threading.Event()
    threads = [threading.Thread(target=stop.wait, daemon=True) for _ in range(8)]
    for thread in threads:
        thread.start()
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    with ImageSandbox() as sandbox:
        sandbox.decode([line_png()])
        assert sandbox.child is not None
        own_child_id = sandbox.child.id

        # when: a prefork child, daemonic as Celery's are, uses the same object
        process = context.Process(target=decode_in_fork, args=(sandbox, results), daemon=True)
        process.start()
        forked_child_id, is_decoded = results.get(timeout=30)
        process.join(30)

        # then: it has its own child, and ours still works
        assert is_decoded
        assert forked_child_id != own_child_id
        assert process.exitcode == 0
        assert isinstance(sandbox.decode([line_png()])[0], LineImage)
        assert sandbox.child.id == own_child_id
    stop.set()


def test_the_parent_side_imports_no_pillow() -> None:
    program = (
        "import sys; from worker.sandbox.image_sandbox import ImageSandbox; "
        "s = ImageSandbox(); print(s.decode([b'nothing'])[0].code); "
        "print('PIL' in sys.modules)"
    )

    output = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout

    assert output.splitlines()[-2:] == ["unsupported_image_format", "False"]
