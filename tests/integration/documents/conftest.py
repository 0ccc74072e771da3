"""The watched database of the core's tests and somebody to submit documents; a reception before real workers."""

from collections.abc import Iterator

import pytest

from core.settings import Documents, Settings
from tests.integration.core.conftest import (  # noqa: F401 - fixtures are found by name here
    client_id,
    core_database_url,
    database_settings,
    engine,
    scenario,
    sessions,
)
from tests.integration.core.scenario import Scenario
from tests.integration.documents.paperwork import Paperwork
from tests.integration.documents.reception import Reception, open_reception


@pytest.fixture
def paperwork(scenario: Scenario) -> Paperwork:  # noqa: F811
    return Paperwork(scenario)


@pytest.fixture
def quick_settings(settings: Settings) -> Settings:
    """Give settings with a documents lease short enough to wait for."""
    return settings.model_copy(update={"documents": Documents(lease_seconds=3.0)})


@pytest.fixture
def reception(quick_settings: Settings) -> Iterator[Reception]:
    """Give a reception over the test's own database and broker."""
    with open_reception(quick_settings) as reception:
        yield reception
