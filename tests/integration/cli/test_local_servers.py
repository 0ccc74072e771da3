"""The servers that `inkpost up` runs: they come back after the worst, and leave nothing behind."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from cli.local.postgres import LocalPostgres
from cli.local.process import LocalServerError
from cli.local.redis import LocalRedis
from tests.waiting import eventually


def test_a_committed_row_survives_a_kill_of_postgres(own_postgres: LocalPostgres) -> None:
    with psycopg.connect(own_postgres.url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
    own_postgres.kill()
    own_postgres.start()
    with psycopg.connect(own_postgres.url) as connection:
        assert connection.execute("SELECT number FROM kept").fetchone() == (7,)


def test_a_backend_that_outlives_a_killed_postgres_does_not_keep_it_from_starting(own_postgres: LocalPostgres) -> None:
    connection = psycopg.connect(own_postgres.url)
    backend = psutil.Process(connection.info.backend_pid)
    backend.suspend()  # it does not get its turn, and so does not notice
    own_postgres.kill()
    try:
        own_postgres.start()
    finally:
        with contextlib.suppress(psutil.NoSuchProcess):
            backend.kill()
        connection.close()
    assert own_postgres.is_running


def test_a_pid_file_naming_a_process_of_somebody_else_does_not_stop_postgres(own_postgres: LocalPostgres) -> None:
    own_postgres.kill()
    pid_file = own_postgres.folder / "cluster" / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    pid_file.write_text("\n".join([str(os.getppid()), *lines[1:]]) + "\n")
    own_postgres.start()
    assert own_postgres.is_running


def test_a_second_postgres_on_the_same_folder_is_refused(own_postgres: LocalPostgres) -> None:
    second = LocalPostgres(own_postgres.folder)
    with pytest.raises(LocalServerError, match="Another PostgreSQL"):
        second.start()
    assert own_postgres.is_running


def test_postgres_asks_for_its_password(own_postgres: LocalPostgres) -> None:
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(f"postgresql://inkpost:wrong@127.0.0.1:{own_postgres.port}/inkpost")


def test_the_log_of_postgres_quotes_no_row(own_postgres: LocalPostgres) -> None:
    with psycopg.connect(own_postgres.url) as connection:
        connection.execute("CREATE TABLE notes (words text CHECK (words = ''))")
        with pytest.raises(psycopg.errors.CheckViolation):
            connection.execute("INSERT INTO notes VALUES (%s)", ["planted"])
    log = own_postgres.log.read_text()
    assert "violates check constraint" in log
    assert "planted" not in log


def test_postgres_does_not_run_as_root(own_postgres: LocalPostgres) -> None:
    assert own_postgres.pid is not None
    assert psutil.Process(own_postgres.pid).uids().effective != 0


def test_a_cluster_whose_making_was_interrupted_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "postgres" / "cluster.new" / "base").mkdir(parents=True)
    with LocalPostgres(tmp_path / "postgres", durable=False) as server, psycopg.connect(server.url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_redis_keeps_its_list_over_a_kill(own_redis: LocalRedis) -> None:
    with redis.Redis.from_url(own_redis.url) as client:
        client.config_set("appendfsync", "always")
        client.lpush("bells", "ding")
    own_redis.kill()
    own_redis.start()
    with redis.Redis.from_url(own_redis.url) as client:
        assert client.lrange("bells", 0, -1) == [b"ding"]


def test_redis_starts_empty_when_its_file_is_damaged(own_redis: LocalRedis) -> None:
    own_redis.kill()
    (own_redis.folder / "appendonly.aof").write_bytes(b"this was never a command\r\n" * 10)
    own_redis.start()
    with redis.Redis.from_url(own_redis.url) as client:
        assert client.dbsize() == 0


def test_redis_asks_for_its_password_and_keeps_it_off_the_command_line(own_redis: LocalRedis) -> None:
    with pytest.raises(redis.AuthenticationError):
        redis.Redis(port=own_redis.port or 0, retry=None).ping()
    assert own_redis.pid is not None
    password = (own_redis.folder / "password").read_text().strip()
    assert password not in " ".join(psutil.Process(own_redis.pid).cmdline())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
def test_the_servers_die_with_a_killed_parent(tmp_path: Path) -> None:
    script = (
        "import sys, time, pathlib\n"
        "from cli.local.postgres import LocalPostgres\n"
        "from cli.local.redis import LocalRedis\n"
        "postgres = LocalPostgres(pathlib.Path(sys.argv[1]) / 'postgres', durable=False)\n"
        "redis = LocalRedis(pathlib.Path(sys.argv[1]) / 'redis')\n"
        "postgres.start(); redis.start()\n"
        "print(postgres.pid, redis.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pids = [int(word) for word in parent.stdout.readline().split()]
        assert len(pids) == 2
        parent.send_signal(signal.SIGKILL)
    eventually(lambda: not any(psutil.pid_exists(pid) for pid in pids), message="the servers outlived their parent")
