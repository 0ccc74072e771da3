import datetime as dt

import pytest
from sqlalchemy import update

from core.tables import Job
from tests.integration.api.conftest import line


def test_usage_counts_a_clients_jobs_and_lines_by_day(caller, bench):
    today = dt.datetime.now(dt.UTC).date().isoformat()
    caller.submitted(line(), line())
    bench.read_lines(damaged=(1,))
    canceled = caller.submitted()
    caller("POST", f"/v1/jobs/{canceled}/cancel")

    usage = caller("GET", "/v1/usage").json

    lines = {"total": 3, "succeeded": 1, "failed": 1, "canceled": 1}
    assert (usage["until"], usage["jobs"], usage["lines"]) == (today, 2, lines)
    assert usage["days"] == [{"date": today, "jobs": 2, "lines": lines}]


def test_usage_stays_when_a_job_is_deleted(caller):
    job = caller.submitted()
    caller("DELETE", f"/v1/jobs/{job}")
    assert caller("GET", "/v1/usage").json["jobs"] == 1


def test_usage_is_that_of_the_asking_client_alone(caller, stranger):
    caller.submitted()
    assert stranger("GET", "/v1/usage").json["days"] == []


def test_usage_is_bounded_by_the_days_asked_for(caller, bench):
    caller.submitted()
    with bench.sessions.begin() as session:
        session.execute(update(Job).values(created_at=dt.datetime.now(dt.UTC) - dt.timedelta(days=1)))
    yesterday = (dt.datetime.now(dt.UTC) - dt.timedelta(days=1)).date().isoformat()

    assert caller("GET", f"/v1/usage?since={yesterday}&until={yesterday}").json["jobs"] == 1
    assert caller("GET", f"/v1/usage?since={dt.datetime.now(dt.UTC).date().isoformat()}").json["jobs"] == 0


@pytest.mark.parametrize(
    "query",
    [
        "since=tomorrow",
        "since=2026-02-02&until=2026-02-01",
        "since=2026-01-01&until=2026-12-31",
        "days=3",
        "since=0001-01-01",
        "until=9999-12-31",
    ],
)
def test_usage_refuses_what_is_no_span_of_days(caller, query):
    assert caller("GET", f"/v1/usage?{query}").status_code == 422
