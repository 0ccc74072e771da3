"""Commands and addresses of the roles."""

import pytest

from cli.local.supervisor import LONGEST_PAUSE_SECONDS, pause_after
from cli.roles import api_command, recogniser_command, url_of


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),
        ("::", "http://[::1]:8000"),
        ("inkpost.example", "http://inkpost.example:8000"),
    ],
)
def test_the_url_is_one_that_a_client_here_can_use(host: str, url: str) -> None:
    assert url_of(host, 8000) == url


def test_what_is_not_given_is_left_to_the_settings() -> None:
    assert api_command(host=None, port=None)[1:] == ["-m", "api"]
    assert api_command(host="::1", port=9)[3:] == ["--host", "::1", "--port", "9"]
    assert recogniser_command()[1:] == ["-m", "worker"]
    assert recogniser_command("fake")[1:] == ["-m", "worker", "--model", "fake"]


def test_the_pause_grows_with_each_death_up_to_a_limit() -> None:
    pauses = [pause_after(deaths) for deaths in range(1, 12)]
    assert pauses == sorted(pauses)
    assert pauses[0] < 1.0
    assert pauses[-1] == LONGEST_PAUSE_SECONDS
