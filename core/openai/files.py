"""Files: the requests of batches as they came, and the answers to them; kept in parts and forgotten with retention."""

import datetime as dt
import uuid
from collections.abc import Iterable, Iterator, Sequence

from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Session

from core.errors import FileInUse, NotFound
from core.ids import new_uuid, public_id
from core.tables import Batch, FilePart, StoredFile
from core.words import BatchStatus

FILE_PREFIX = "file"
PART_BYTES = 1024 * 1024
OUTPUT_PURPOSE = "batch_output"


def create_file(
    session: Session, client_id: uuid.UUID, *, name: str, purpose: str, data: bytes, keep_seconds: int
) -> StoredFile:
    """Store a file."""
    parts = (data[start : start + PART_BYTES] for start in range(0, len(data), PART_BYTES))
    return write_file(session, client_id, name=name, purpose=purpose, parts=parts, keep_seconds=keep_seconds)


def write_file(
    session: Session, client_id: uuid.UUID, *, name: str, purpose: str, parts: Iterable[bytes], keep_seconds: int
) -> StoredFile:
    """Store a file from its parts, which need never be in memory together."""
    now = session.scalars(select(func.now())).one()
    file = StoredFile(
        id=new_uuid(),
        client_id=client_id,
        name=name,
        purpose=purpose,
        size_bytes=0,
        created_at=now,
        expires_at=now + dt.timedelta(seconds=keep_seconds),
    )
    session.add(file)
    session.flush()
    for number, part in enumerate(parts):
        session.execute(insert(FilePart).values(file_id=file.id, number=number, data=part))
        file.size_bytes += len(part)
    session.flush()
    return file


def find_file(session: Session, client_id: uuid.UUID, file_id: uuid.UUID) -> StoredFile:
    """Return the client's file.

    Raises:
        NotFound: there is no such file, or it has expired, or it is another client's.
    """
    query = select(StoredFile).where(StoredFile.id == file_id, StoredFile.client_id == client_id)
    file = session.scalars(query.where(StoredFile.expires_at > func.now())).one_or_none()
    if file is None:
        raise NotFound("No such file.")
    return file


def list_files(
    session: Session,
    client_id: uuid.UUID,
    *,
    limit: int,
    after: uuid.UUID | None = None,
    purpose: str | None = None,
    is_ascending: bool = False,
) -> Sequence[StoredFile]:
    """Return the client's files by their age, the newest first unless told otherwise, from the one after `after`."""
    query = select(StoredFile).where(StoredFile.client_id == client_id, StoredFile.expires_at > func.now())
    if purpose is not None:
        query = query.where(StoredFile.purpose == purpose)
    if after is not None:
        query = query.where(StoredFile.id > after if is_ascending else StoredFile.id < after)
    query = query.order_by(StoredFile.id if is_ascending else StoredFile.id.desc())
    return session.scalars(query.limit(limit)).all()


def delete_file(session: Session, client_id: uuid.UUID, file_id: uuid.UUID) -> None:
    """Delete the client's file with its bytes.

    Raises:
        NotFound: there is no such file.
        FileInUse: a batch has not read all of it.
    """
    file = find_file(session, client_id, file_id)
    if session.scalars(select(Batch.id).where(Batch.input_file_id == file.id, _IS_READING).limit(1)).one_or_none():
        raise FileInUse
    session.delete(file)
    session.flush()


# One that is being cancelled reads on to answer each request that it will not have read.
_IS_READING = (Batch.status == BatchStatus.VALIDATING) | (
    Batch.status.in_([BatchStatus.IN_PROGRESS, BatchStatus.CANCELLING]) & (Batch.requests_read < Batch.requests_total)
)


def forget_expired_files(session: Session, *, limit: int) -> int:
    """Delete files whose time is over, but for what a batch is still reading; return how many."""
    reading = select(Batch.id).where(Batch.input_file_id == StoredFile.id, _IS_READING)
    expired = select(StoredFile.id).where(StoredFile.expires_at <= func.now(), ~reading.exists()).limit(limit)
    return len(session.execute(delete(StoredFile).where(StoredFile.id.in_(expired)).returning(StoredFile.id)).all())


def read_part(session: Session, file_id: uuid.UUID, number: int) -> bytes | None:
    """Return a part of a file, or None after the last."""
    query = select(FilePart.data).where(FilePart.file_id == file_id, FilePart.number == number)
    return session.scalars(query).one_or_none()


def in_parts(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Join lines to parts of a file."""
    part = bytearray()
    for line in lines:
        part += line
        if len(part) >= PART_BYTES:
            yield bytes(part)
            part.clear()
    if part:
        yield bytes(part)


def file_value(file: StoredFile) -> dict[str, object]:
    """Return a file as clients see it."""
    return {
        "id": public_id(FILE_PREFIX, file.id),
        "object": "file",
        "bytes": file.size_bytes,
        "created_at": int(file.created_at.timestamp()),
        "expires_at": int(file.expires_at.timestamp()),
        "filename": file.name,
        "purpose": file.purpose,
        "status": "processed",
        "status_details": None,
    }
