"""/v1/jobs/{id}/lines/{index}/image: what a line was read from."""

import re

from flask import Response

from api.downloads import download, file_name
from api.jobs import job_uuid
from api.operations import Answer, Call, Content, NoQuery, Operations
from core import errors
from core.documents.line_images import find_line_image
from core.errors import NotFound
from core.ids import public_id
from core.jobs import find_job
from core.representation import JOB_PREFIX
from core.words import Scope

operations = Operations("Jobs")
_INDEX = re.compile("0|[1-9][0-9]{0,8}", re.ASCII)


@operations.add(
    "GET",
    "/v1/jobs/<job_id>/lines/<line_index>/image",
    summary="The picture of a line",
    scope=Scope.READ,
    headers={"If-None-Match": "The ETag of an earlier answer: 304 when nothing has changed."},
    answers={
        200: Answer(
            "The picture.",
            Content("image/png"),
            {"Content-Disposition": "A name for the file.", "ETag": "Changes with the picture."},
        ),
        304: Answer("Nothing has changed.", None, {"ETag": "As before."}),
    },
    errors=(errors.NotFound, errors.Gone, errors.NotOffered, errors.NotKept),
)
def show_line_image(call: Call[NoQuery], job_id: str, line_index: str) -> Response:
    """Return the picture that was cut out of the document and read, as long as it is kept.

    An image that was submitted as a line is never sent back (`not_offered`): nothing has made its bytes safe to show.
    """
    own_id = job_uuid(job_id)
    if not _INDEX.fullmatch(line_index):
        raise NotFound
    with call.services.statements() as session:
        job = find_job(session, call.caller.client_id, own_id)
        image = find_line_image(session, job.id, int(line_index))
    name = file_name(job.client_reference, public_id(JOB_PREFIX, job.id))
    return download(image, "image/png", f"{name}-{line_index}.png")
