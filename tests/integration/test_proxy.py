"""The proxy makes the faults that it says it makes."""

import psycopg
import pytest
import redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from tests.proxy import TcpProxy


def test_a_passing_proxy_is_not_noticed(database_url: str) -> None:
    with TcpProxy.before(database_url) as proxy, psycopg.connect(proxy.url(database_url)) as connection:
        assert connection.execute("SELECT repeat('x', 300000)").fetchone() == ("x" * 300_000,)


def test_a_blackhole_holds_what_was_sent_and_passes_it_on_later(redis_url: str) -> None:
    with TcpProxy.before(redis_url) as proxy:
        client = redis.Redis.from_url(proxy.url(redis_url), socket_timeout=0.3, retry=None)
        client.ping()
        proxy.blackhole()
        with pytest.raises(RedisTimeoutError):
            client.set("key", "value")
        proxy.pass_through()
        assert client.ping()


def test_a_reset_ends_connections_and_refuses_new_ones(redis_url: str) -> None:
    with TcpProxy.before(redis_url) as proxy:
        client = redis.Redis.from_url(proxy.url(redis_url), socket_timeout=2, retry=None)
        client.ping()
        proxy.reset()
        with pytest.raises(RedisConnectionError):
            client.ping()
        proxy.pass_through()
        assert client.ping()


def test_a_cut_on_commit_leaves_the_client_not_knowing_and_the_row_written(database_url: str) -> None:
    with TcpProxy.before(database_url) as proxy:
        connection = psycopg.connect(proxy.url(database_url))
        connection.execute("CREATE TABLE written (i int)")
        proxy.cut_on(b"COMMIT")
        with pytest.raises(psycopg.OperationalError):
            connection.commit()
        assert proxy.has_cut
        with psycopg.connect(proxy.url(database_url)) as again:
            assert again.execute("SELECT to_regclass('written') IS NOT NULL").fetchone() == (True,)


def test_a_cut_after_some_bytes_passes_just_those(redis_url: str) -> None:
    with TcpProxy.before(redis_url) as proxy:
        client = redis.Redis.from_url(proxy.url(redis_url), socket_timeout=2, retry=None)
        client.ping()
        proxy.cut_after(5)
        with pytest.raises(RedisConnectionError):
            client.set("half", "written")
    with redis.Redis.from_url(redis_url) as direct:
        assert direct.get("half") is None
