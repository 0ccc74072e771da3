"""Batches as their clients see them: create, find, list, cancel. `core.openai.batch_steps` makes them go on."""

import datetime as dt
import uuid
from collections.abc import Sequence

from sqlalchemy import func, null, select
from sqlalchemy.orm import Session

from core.bells import WEBHOOKS_QUEUE, ring_after_commit
from core.errors import AlreadyTerminal, Fault, InvalidRequest, NotFound
from core.ids import new_uuid, public_id
from core.openai.files import FILE_PREFIX, find_file
from core.settings import Settings
from core.tables import Batch
from core.words import BatchStatus

BATCH_PREFIX = "batch"
COMPLETION_WINDOW = "24h"
MOMENTS = ("in_progress", "finalizing", "completed", "failed", "expired", "cancelling", "cancelled")


def create_batch(
    session: Session,
    client_id: uuid.UUID,
    settings: Settings,
    *,
    input_file_id: uuid.UUID,
    endpoint: str,
    metadata: dict[str, str] | None,
    output_keep_seconds: int | None,
) -> Batch:
    """Store a batch; its file is looked into by a worker.

    Raises:
        InvalidRequest: there is no such file of this client, or it is not meant for a batch.
    """
    try:
        file = find_file(session, client_id, input_file_id)
    except NotFound as error:
        raise InvalidRequest([Fault("/input_file_id", "No such file.", "file_not_found")]) from error
    if file.purpose != "batch":
        raise InvalidRequest([Fault("/input_file_id", "The file's purpose is not batch.", "invalid_purpose")])
    now = session.scalars(select(func.now())).one()
    batch = Batch(
        id=new_uuid(),
        client_id=client_id,
        endpoint=endpoint,
        input_file_id=file.id,
        completion_window=COMPLETION_WINDOW,
        client_metadata=metadata if metadata is not None else null(),
        errors=null(),
        retention_seconds=settings.retention_seconds,
        output_retention_seconds=output_keep_seconds or settings.retention_seconds,
        expires_at=now + dt.timedelta(seconds=settings.openai.batch_window_seconds),
    )
    session.add(batch)
    session.flush()
    session.refresh(batch)
    ring_after_commit(session, WEBHOOKS_QUEUE)
    return batch


def find_batch(session: Session, client_id: uuid.UUID, batch_id: uuid.UUID, *, lock: bool = False) -> Batch:
    """Return the client's batch.

    Raises:
        NotFound: there is no such batch, or it is another client's.
    """
    query = select(Batch).where(Batch.id == batch_id, Batch.client_id == client_id)
    batch = session.scalars(query.with_for_update() if lock else query).one_or_none()
    if batch is None:
        raise NotFound("No such batch.")
    return batch


def list_batches(
    session: Session, client_id: uuid.UUID, *, limit: int, after: uuid.UUID | None = None
) -> Sequence[Batch]:
    """Return the client's batches, the newest first, from the one after `after`."""
    query = select(Batch).where(Batch.client_id == client_id)
    if after is not None:
        query = query.where(Batch.id < after)
    return session.scalars(query.order_by(Batch.id.desc()).limit(limit)).all()


def cancel_batch(session: Session, client_id: uuid.UUID, batch_id: uuid.UUID) -> Batch:
    """Stop a batch: a worker cancels its jobs and writes down what was read by then. A second call changes nothing.

    Raises:
        AlreadyTerminal: it has finished, or is being finished.
    """
    batch = find_batch(session, client_id, batch_id, lock=True)
    if batch.status == BatchStatus.CANCELLING:
        return batch
    if batch.status not in {BatchStatus.VALIDATING, BatchStatus.IN_PROGRESS}:
        raise AlreadyTerminal("The batch has already finished.")
    batch.status = BatchStatus.CANCELLING
    batch.cancelling_at = batch.look_at = session.scalars(select(func.now())).one()
    session.flush()
    ring_after_commit(session, WEBHOOKS_QUEUE)
    return batch


def batch_value(batch: Batch) -> dict[str, object]:
    """Return a batch as clients see it."""
    return {
        "id": public_id(BATCH_PREFIX, batch.id),
        "object": "batch",
        "endpoint": batch.endpoint,
        "model": None,
        "errors": batch.errors,
        "input_file_id": public_id(FILE_PREFIX, batch.input_file_id),
        "completion_window": batch.completion_window,
        "status": batch.status,
        "output_file_id": _file_id(batch.output_file_id),
        "error_file_id": _file_id(batch.error_file_id),
        "created_at": _seconds(batch.created_at),
        "expires_at": _seconds(batch.expires_at),
        **{f"{moment}_at": _seconds(getattr(batch, f"{moment}_at")) for moment in MOMENTS},
        "request_counts": {
            "total": batch.requests_total,
            "completed": batch.requests_completed,
            "failed": batch.requests_failed,
        },
        "metadata": batch.client_metadata,
    }


def _file_id(file_id: uuid.UUID | None) -> str | None:
    return None if file_id is None else public_id(FILE_PREFIX, file_id)


def _seconds(moment: dt.datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp())
