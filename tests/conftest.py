"""What every test may ask for. The fixtures are described in tests/README.md."""

import os
from collections.abc import Iterator

import pytest

from tests.servers import (  # noqa: F401 - fixtures are found by name here
    database_url,
    own_postgres,
    own_redis,
    postgres,
    postgres_server,
    redis_server,
    redis_url,
    settings,
)


@pytest.fixture(scope="session", autouse=True)
def no_settings_from_outside() -> Iterator[None]:
    """Hide the developer's own INKPOST_ variables from the tests and from the processes that they start."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith("INKPOST_") or name in {"DATABASE_URL", "REDIS_URL"}:
                patch.delenv(name)
        yield
