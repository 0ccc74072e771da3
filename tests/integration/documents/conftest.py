"""The watched database of the core's tests, and somebody to submit documents."""

import pytest

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


@pytest.fixture
def paperwork(scenario: Scenario) -> Paperwork:  # noqa: F811
    return Paperwork(scenario)
