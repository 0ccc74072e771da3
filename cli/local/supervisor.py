"""Keep the roles running: one that dies is started again, a little later each time."""

import contextlib
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cli.local.process import LocalServerError, kill_session, spawn, tail

EXIT_UNUSABLE = 78  # EX_CONFIG: a new process would fail in the same way
LONGEST_PAUSE_SECONDS = 30.0
SETTLED_SECONDS = 30.0  # a process that ran this long starts with a clean record
TRIES_BEFORE_READY = 3


@dataclass(frozen=True, slots=True)
class Role:
    """A program to keep running."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    grace_seconds: float


def pause_after(deaths: int) -> float:
    """Return the seconds to wait before the next start, after so many deaths in a row."""
    return min(LONGEST_PAUSE_SECONDS, 0.5 * 2.0 ** (deaths - 1))


class SupervisedRole:
    """One role and its process of the moment."""

    def __init__(self, role: Role) -> None:
        self.role = role
        self.deaths = 0
        self.process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._next_start_at = 0.0

    def start(self) -> None:
        """Start the process."""
        role = self.role
        self._started_at = time.monotonic()
        self.process = spawn(role.command, log=role.log, death_signal=signal.SIGKILL, environment=role.environment)

    def keep_running(self) -> str | None:
        """Start the process again when it is due; return what there is to tell, if anything."""
        now = time.monotonic()
        if self.process is None:
            if now >= self._next_start_at:
                self.start()
            return None
        status = self.process.poll()
        if status is None:
            return None
        kill_session(self.process)  # a child of its that lives on would hold what the next one needs
        self.process = None
        self.deaths = 1 if now - self._started_at > SETTLED_SECONDS else self.deaths + 1
        pause = pause_after(self.deaths)
        self._next_start_at = now + pause
        if status == EXIT_UNUSABLE:
            reason = tail(self.role.log, 1).removeprefix("inkpost worker: ")
            raise LocalServerError(f"{self.role.name} cannot run. {reason}")
        return f"{self.role.name} ended with status {status}; starting again in {pause:g} s (log: {self.role.log})"

    def ask_to_stop(self) -> None:
        """Send SIGTERM."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()


class Supervisor:
    """All roles of this machine. Use it from one thread that lives until `stop`."""

    def __init__(self) -> None:
        self._roles: list[SupervisedRole] = []

    def start(self, role: Role) -> None:
        """Start a role and keep it running from now on."""
        supervised = SupervisedRole(role)
        supervised.start()
        self._roles.append(supervised)

    def keep_running(self) -> list[str]:
        """Look after every role once; return what there is to tell.

        Raises:
            LocalServerError: a role says that starting it again would not help.
        """
        return [told for told in (supervised.keep_running() for supervised in self._roles) if told is not None]

    def check_beginning(self) -> None:
        """Give up on a role that dies again and again before the service was ever ready.

        Raises:
            LocalServerError: one did; the message ends with its log's last lines.
        """
        for supervised in self._roles:
            if supervised.deaths >= TRIES_BEFORE_READY:
                log = supervised.role.log
                raise LocalServerError(f"{supervised.role.name} does not start. {log}:\n{tail(log)}")

    def stop(self) -> None:
        """Ask every role to finish what it has in hand, then end what is left."""
        for supervised in self._roles:
            supervised.ask_to_stop()
        now = time.monotonic()
        for supervised in self._roles:
            process = supervised.process
            if process is None:
                continue
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, now + supervised.role.grace_seconds - time.monotonic()))
            kill_session(process)
            process.wait()
        self._roles = []

    def kill(self) -> None:
        """End every role at once."""
        for supervised in self._roles:
            if supervised.process is not None:
                kill_session(supervised.process)
                supervised.process.wait()
        self._roles = []
