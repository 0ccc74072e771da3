"""The pictures of lines that may be shown: those that our own sandbox has drawn."""

import uuid

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from core.errors import NotFound, NotKept, NotOffered
from core.tables import Line, StoredImage
from core.words import LineSource


def find_line_image(session: Session, job_id: uuid.UUID, index: int) -> bytes:
    """Return the PNG that was cut out of a document for a line.

    Raises:
        NotFound: the job has no such line.
        NotOffered: the line was sent as an image, whose bytes are the client's own, or there was never a picture.
        NotKept: the picture is gone.
    """
    query = (
        select(Line.page, Line.source, Line.image_width, StoredImage.data)
        .outerjoin(StoredImage, and_(StoredImage.job_id == Line.job_id, StoredImage.index == Line.index))
        .where(Line.job_id == job_id, Line.index == index)
    )
    row = session.execute(query).one_or_none()
    if row is None:
        raise NotFound("The job has no such line.")
    if row.page is None:
        raise NotOffered("This line was sent as an image; images that were sent are not sent back.")
    if row.data is not None:
        return bytes(row.data)
    if row.source == LineSource.TYPED or row.image_width is None:
        raise NotOffered("No picture was made of this line: its text was typed, or its place cannot be drawn.")
    raise NotKept("The picture of this line is not kept any more.")
