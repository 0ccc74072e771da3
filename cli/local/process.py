"""One program as a child: started with a log file, dying with its parent, stopped in order."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from cli.local.accounts import Account

LAUNCHER = Path(__file__).with_name("launch.py")


class LocalServerError(Exception):
    """A local server did not start or stop; the message says which, why, and where its log is."""


def spawn(
    command: Sequence[str],
    *,
    log: Path,
    death_signal: signal.Signals,
    environment: Mapping[str, str] | None = None,
    account: Account | None = None,
    directory: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Start a command in a session of its own, appending to its log file.

    Call it from a thread that lives as long as the child should: the kernel sends `death_signal` when that thread ends.
    """
    capability = account.capability if account else None
    launched = [
        sys.executable,
        "-I",
        "-S",
        str(LAUNCHER),
        death_signal.name,
        account.name if account else "-",
        "-" if capability is None else str(capability),
        str(os.getpid()),
        "--",
        *command,
    ]
    with log.open("ab") as output:
        return subprocess.Popen(
            launched,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=None if environment is None else dict(environment),
            cwd=directory,
            start_new_session=True,
        )


def stop(process: subprocess.Popen[bytes], *steps: tuple[signal.Signals, float]) -> int:
    """Send each signal in turn and wait its seconds, then SIGKILL the whole session; return the exit status."""
    for signal_number, seconds in steps:
        if process.poll() is not None:
            break
        process.send_signal(signal_number)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            continue
    kill_session(process)
    return process.wait()


def kill_session(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL what is left of the child's process group, its own children included."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):  # macOS says EPERM when only zombies are left
        return


def tail(log: Path, lines: int = 15) -> str:
    """Return the last lines of a log file, for an error message."""
    if not log.exists():
        return "(no log)"
    with log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - 16_384))
        text = stream.read().decode(errors="replace")
    return "\n".join(text.splitlines()[-lines:])
