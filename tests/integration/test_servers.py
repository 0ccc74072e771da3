"""The servers under the other tests are real, and each test has its own."""

import psycopg
import redis

from core.settings import Settings


def test_a_database_starts_empty_and_migrated(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT count(*) FROM jobs").fetchone() == (0,)


def test_two_databases_of_one_test_do_not_share_rows(postgres, database_url: str) -> None:
    with postgres.fresh_database() as other, psycopg.connect(other) as connection:
        connection.execute("CREATE TABLE only_here ()")
        connection.commit()
        with psycopg.connect(database_url) as first:
            assert first.execute("SELECT to_regclass('only_here')").fetchone() == (None,)


def test_redis_starts_empty_and_evicts_nothing(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        client.set("left", "behind")


def test_the_settings_name_these_servers(settings: Settings, database_url: str, redis_url: str) -> None:
    assert settings.database_url.get_secret_value() == database_url
    assert settings.redis_url.get_secret_value() == redis_url
