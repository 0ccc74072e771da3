"""What a client has used, day by day, told from its jobs and their tombstones."""

import datetime as dt
import uuid
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.orm import Session

from core.ids import first_uuid_at

# A job's id begins with its API process's clock and `created_at` is the database's; a day apart would be a fault of its
# own. With the ids' bounds this is one scan of the index on client and id, however many jobs the client ever had.
_CLOCKS_DIFFER_BY = dt.timedelta(days=1)

_BY_DAY = text("""
SELECT CAST(timezone('UTC', created_at) AS date) AS day, count(*) AS jobs, sum(lines_total) AS lines,
       sum(lines_succeeded) AS succeeded, sum(lines_failed) AS failed, sum(lines_canceled) AS canceled
FROM jobs
WHERE client_id = :client_id AND id >= :first_id AND id < :end_id AND created_at >= :begin AND created_at < :end
GROUP BY day ORDER BY day
""")


@dataclass(frozen=True, slots=True)
class DayOfUse:
    """The jobs that a client submitted on one day, by UTC, and what has become of their lines so far."""

    day: dt.date
    jobs: int
    lines: int
    succeeded: int
    failed: int
    canceled: int


def usage_by_day(session: Session, client_id: uuid.UUID, first: dt.date, last: dt.date) -> list[DayOfUse]:
    """Return the days from `first` to `last`, both included, on which the client submitted anything, oldest first.

    A job counts until its tombstone is purged, 30 days after it is gone.
    """
    begin = dt.datetime.combine(first, dt.time.min, dt.UTC)
    end = dt.datetime.combine(last, dt.time.min, dt.UTC) + dt.timedelta(days=1)
    rows = session.execute(
        _BY_DAY,
        {
            "client_id": client_id,
            "first_id": first_uuid_at(begin - _CLOCKS_DIFFER_BY),
            "end_id": first_uuid_at(end + _CLOCKS_DIFFER_BY),
            "begin": begin,
            "end": end,
        },
    )
    return [DayOfUse(*row) for row in rows]
