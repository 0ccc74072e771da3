"""Everything that Inkpost is, on one machine, from one data folder."""

import datetime as dt
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
from pydantic import SecretStr
from sqlalchemy import func, select

from cli.database import transaction
from cli.local.folder import MARKER, DataFolder, Running, write_private
from cli.local.ports import free_port, is_free
from cli.local.postgres import LocalPostgres
from cli.local.process import LocalServerError
from cli.local.redis import LocalRedis
from cli.local.supervisor import Role, Supervisor
from cli.migrations import migrate_database
from cli.roles import api_command, documents_command, recogniser_command, url_of, webhooks_command
from core.clients import authenticate, create_client, create_key, list_clients
from core.errors import CallerError
from core.settings import Settings, load_settings, served_name
from core.tables import WorkerPresence

FIRST_CLIENT = "local"
API_GRACE_SECONDS = 5.0  # long-polls are cut; their clients ask again
DOCUMENTS_GRACE_SECONDS = 20.0  # the document in hand has half of it
RECOGNISER_GRACE_SECONDS = 35.0  # what is in hand is read first; a batch is chosen so that it takes 20 s at most
POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run."""

    folder: Path
    model: str
    host: str = "127.0.0.1"
    port: int = 8000  # 0 takes a free one
    workers: int = 1


@dataclass(frozen=True, slots=True)
class FirstKey:
    """The API key kept in the data folder; `is_new` the first time only."""

    secret: str | None
    is_new: bool


class LocalService:
    """A context manager: inside it the service runs, for as long as `keep_running` is called."""

    def __init__(self, plan: Plan, *, tell: Callable[[str], None], should_stop: Callable[[], bool]) -> None:
        self._plan = plan
        self._tell = tell
        self._should_stop = should_stop
        self.folder = DataFolder(plan.folder)
        self._postgres = LocalPostgres(self.folder.path / "postgres", log=self.folder.logs / "postgres.log")
        self._redis = LocalRedis(self.folder.path / "redis", log=self.folder.logs / "redis.log")
        self._supervisor = Supervisor()
        self.url = ""
        self.key = FirstKey(None, is_new=False)

    def __enter__(self) -> Self:
        """Start everything; return once lines can be submitted and read.

        Raises:
            LocalServerError: something did not start.
            StartInterrupted: `should_stop` came true first.
        """
        self.folder.acquire()
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop everything in order: roles, then servers."""
        self.stop()

    def keep_running(self) -> None:
        """Look after everything once; call it a few times a second.

        Raises:
            LocalServerError: something cannot be kept running.
        """
        for server in (self._postgres, self._redis):
            if not server.is_running:
                self._tell(f"{server.log.stem} ended; starting it again (log: {server.log})")
                server.start()
        for told in self._supervisor.keep_running():
            self._tell(told)

    def stop(self) -> None:
        """Stop everything; a second call does nothing."""
        self._supervisor.stop()
        self._redis.stop()
        self._postgres.stop()
        self.folder.release()

    def _start(self) -> None:
        plan = self._plan
        port = plan.port or free_port(plan.host)
        if not is_free(plan.host, port):
            raise LocalServerError(f"Port {port} of {plan.host} is taken: pass another --port, or 0 for a free one.")
        self.url = url_of(plan.host, port)
        for log in (self._postgres.log, self._redis.log):
            self.folder.log(log.stem)
        self._tell("Starting PostgreSQL and Redis")
        self._redis.launch()
        self._postgres.start()
        self._redis.start()
        settings = self._settings()
        self._tell("Bringing the database up to date")
        migrate_database(settings)
        with transaction(settings) as session:
            started_at = session.execute(select(func.now())).scalar_one()
        self.key = first_key(settings, self.folder.key_file)
        recognisers = f"{plan.workers} recogniser{'s'[: plan.workers > 1]} with {plan.model}"
        self._tell(f"Starting the API, webhooks, documents and {recognisers}")
        self._start_roles(settings, port)
        self._wait_until_ready(settings, started_at)
        self.folder.announce(Running(os.getpid(), self.url, self._postgres.url, self._redis.url))

    def _settings(self) -> Settings:
        """Return the operator's settings with this machine's servers in place of any others."""
        plan = self._plan
        settings = load_settings()
        threads = settings.worker.threads or max(1, (os.cpu_count() or 1) // plan.workers)
        return settings.model_copy(
            update={
                "database_url": SecretStr(self._postgres.url),
                "redis_url": SecretStr(self._redis.url),
                "default_model": plan.model,
                "worker": settings.worker.model_copy(update={"model": plan.model, "threads": threads}),
            }
        )

    def _start_roles(self, settings: Settings, port: int) -> None:
        environment = {
            **os.environ,
            "INKPOST_DATABASE_URL": settings.database_url.get_secret_value(),
            "INKPOST_REDIS_URL": settings.redis_url.get_secret_value(),
            "INKPOST_DEFAULT_MODEL": settings.default_model,
            "INKPOST_WORKER__MODEL": settings.default_model,
            "INKPOST_WORKER__THREADS": str(settings.worker.threads),
            "PYTHONUNBUFFERED": "1",
            MARKER: self.folder.marker,
        }
        command = api_command(host=self._plan.host, port=port)
        self._supervisor.start(Role("api", command, environment, self.folder.log("api"), API_GRACE_SECONDS))
        grace = settings.webhooks.attempt_seconds + 5.0
        self._supervisor.start(Role("webhooks", webhooks_command(), environment, self.folder.log("webhooks"), grace))
        log = self.folder.log("documents")
        self._supervisor.start(Role("documents", documents_command(), environment, log, DOCUMENTS_GRACE_SECONDS))
        for number in range(1, self._plan.workers + 1):
            name = f"recogniser-{number}"
            command = recogniser_command(settings.default_model)
            self._supervisor.start(Role(name, command, environment, self.folder.log(name), RECOGNISER_GRACE_SECONDS))

    def _wait_until_ready(self, settings: Settings, started_at: dt.datetime) -> None:
        """Return once the API says that it is ready and a worker of this start has its model loaded."""
        while not (self._has_worker(settings, started_at) and self._api_is_ready()):
            if self._should_stop():
                raise StartInterrupted("Stopped before it was ready.")
            self.keep_running()
            self._supervisor.check_beginning()
            time.sleep(POLL_SECONDS)

    def _api_is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", timeout=2.0).status_code == 200
        except httpx.HTTPError:
            return False

    def _has_worker(self, settings: Settings, started_at: dt.datetime) -> bool:
        query = select(WorkerPresence.slot).where(
            WorkerPresence.model == served_name(settings.default_model), WorkerPresence.started_at >= started_at
        )
        with transaction(settings) as session:
            return session.execute(query.limit(1)).first() is not None


class StartInterrupted(Exception):
    """The operator changed their mind while things were starting."""


def first_key(settings: Settings, key_file: Path) -> FirstKey:
    """Return the API key kept in the data folder, made now when the database has no client yet.

    A key is shown by the service once only; this one is kept beside the database's own password, in a file of the same
    privacy, so that a script that starts `inkpost up --json` again is handed it again. Deleting the file or revoking
    the key ends that.
    """
    kept = key_file.read_text().strip() if key_file.exists() else ""
    with transaction(settings) as session:
        if kept:
            try:
                authenticate(session, kept)
            except CallerError:
                kept = ""
        if kept or list_clients(session):
            return FirstKey(kept or None, is_new=False)
        client = create_client(session, FIRST_CLIENT)
        secret = create_key(session, client.id, label="made by inkpost up")
        write_private(key_file, secret + "\n")  # before the commit: a crash between leaves a file that is made anew
    return FirstKey(secret, is_new=True)
