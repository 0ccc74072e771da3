"""Fair share between clients, as start-time fair queueing (Goyal, Vin, Cheng: SFQ, IEEE/ACM ToN 1997, section 2).

Each queued line carries a virtual start time, its `fair_tag`, and claims take the lowest tag first within a priority.
A client's next line starts one after its last queued line, but never before the virtual time: the lowest tag that is
still queued or, with nothing queued, the highest tag being read; else a line given back by a worker that is told to
end would find itself behind everything that came while it was held. A client with 50,000 waiting lines therefore owns
the tags far ahead, and another client's single line starts at the front. No counter row exists that all requests
would wait for; two submissions at the same moment may share a tag, which costs nothing but exactness of the share.
"""

import uuid

from sqlalchemy import text
from sqlalchemy.orm import Session

# An expression of :client_id, :model and :priority, so that a job is stored by one statement with it. The statuses are
# written out, or else a prepared plan could not use the partial indexes.
FIRST_TAG = """greatest(
    coalesce(
        (SELECT fair_tag FROM lines
         WHERE status = 'queued' AND model = :model AND priority = :priority
         ORDER BY fair_tag LIMIT 1),
        (SELECT max(fair_tag) FROM lines WHERE status = 'running' AND model = :model AND priority = :priority)
    ),
    (SELECT fair_tag + 1 FROM lines
     WHERE status = 'queued' AND model = :model AND priority = :priority AND client_id = :client_id
     ORDER BY fair_tag DESC LIMIT 1),
    0
)"""
_QUERY = text(f"SELECT {FIRST_TAG}")


def next_fair_tag(session: Session, client_id: uuid.UUID, model: str, priority: int) -> int:
    """Return the tag of the client's next line; a job of n lines takes n tags from there."""
    parameters = {"client_id": client_id, "model": model, "priority": priority}
    return int(session.execute(_QUERY, parameters).scalar_one())
