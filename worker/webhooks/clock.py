"""The alarm for a clock that is off: receivers refuse a delivery whose timestamp is five minutes off theirs."""

import time

import structlog
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.webhooks.signing import TOLERANCE_SECONDS
from worker.webhooks.metrics import CLOCK_OFFSET

log = structlog.get_logger(__name__)
MOST_SECONDS = TOLERANCE_SECONDS / 5


class ClockWatch:
    """Compares this machine's clock with the database's, which leases and plans go by.

    Which of the two is wrong cannot be known here, so deliveries are signed with this machine's time all the same.
    """

    def __init__(self) -> None:
        self._is_off = False

    def look(self, session: Session) -> None:
        """Measure the difference, and say so when it becomes large or small again."""
        asked_at = time.time()
        database = session.scalars(select(func.extract("epoch", func.clock_timestamp()))).one()
        offset = (asked_at + time.time()) / 2 - float(database)
        CLOCK_OFFSET.set(offset)
        is_off = abs(offset) > MOST_SECONDS
        if is_off and not self._is_off:
            log.warning("clock.differs", offset_seconds=round(offset, 1))
        elif self._is_off and not is_off:
            log.info("clock.agrees", offset_seconds=round(offset, 1))
        self._is_off = is_off
