"""/v1/jobs/{id}/transcript: the texts of a finished job in the formats that form and archive systems read."""

import time
import uuid
from collections.abc import Sequence
from typing import Literal

from flask import Response, request
from pydantic import Field

from api.answers import dump_json
from api.downloads import download, file_name
from api.jobs import job_uuid
from api.operations import Answer, Call, Content, Operations
from api.schemas import Query
from api.services import Services
from api.waiting_room import Seat, remaining
from core import errors
from core.documents.renditions import find_rendition, request_rendition
from core.errors import Fault, Gone, InvalidRequest, NotFinished, NotOffered, StillRendering
from core.ids import public_id
from core.jobs import find_job, find_job_and_document, list_lines
from core.representation import JOB_PREFIX, job_value
from core.tables import Document, Job, Line, Rendition
from core.transcripts.csv_table import write_csv
from core.transcripts.formats import FORMATS, WrittenTranscript, choose_format, write_transcript
from core.transcripts.page_xml import write_page
from core.transcripts.rows import transcript_of
from core.transcripts.sheets import sheets_of
from core.words import FINISHED_JOB, RENDITIONS, RenditionStatus, Scope, TranscriptFormat

operations = Operations("Jobs")
FormatWord = Literal["txt", "csv", "jsonl", "json", "page", "alto", "hocr", "pdf", "form"]
assert {word.value for word in TranscriptFormat} == set(FormatWord.__args__)  # type: ignore[attr-defined]  # noqa: S101


class TranscriptQuery(Query):
    """As what the texts are wanted."""

    format: FormatWord | None = Field(
        None,
        description="`txt`, `csv`, `jsonl`, `json`, `page` (PAGE XML, for several pages a ZIP), `alto`, `hocr`, "
        "`pdf` (the document with an invisible layer of text), `form` (the document with its form fields filled in). "
        "Unset goes by `Accept`, and is `txt` without one.",
    )
    bom: bool = Field(False, description="Begin CSV with a byte order mark, by which Excel knows UTF-8.")
    page: int | None = Field(None, ge=1, description="Only this page, of PAGE XML: one file in place of a ZIP.")


@operations.add(
    "GET",
    "/v1/jobs/<job_id>/transcript",
    summary="The texts of a job, as a file",
    scope=Scope.READ,
    query=TranscriptQuery,
    headers={
        "Accept": "The formats that you take, when `format` is not given.",
        "If-None-Match": "The ETag of an earlier answer: 304 when nothing has changed.",
    },
    answers={
        200: Answer(
            "The texts, named after the job's `client_reference` or its id.",
            Content("text/plain"),
            {"Content-Disposition": "A name for the file.", "ETag": "Changes with the file."},
            also=tuple(
                Content(media_type)
                for media_type in sorted(
                    {form.media_type.partition(";")[0] for form in FORMATS.values()} - {"text/plain"}
                    | {"application/zip"}
                )
            ),
        ),
        304: Answer("Nothing has changed.", None, {"ETag": "As before."}),
    },
    errors=(
        errors.NotFound, errors.Gone, errors.NotFinished, errors.NotAcceptable, errors.NotOffered, errors.NotKept,
        errors.StillRendering,
    ),
)  # fmt: skip
def show_transcript(call: Call[TranscriptQuery], job_id: str) -> Response:
    """Return the texts of a job that has finished.

    A PDF is made when it is first asked for; the call waits for it, and answers 503 `still_rendering` when that takes
    long: ask again. A format that the job cannot be had in is 409 `not_offered`: the PDFs need a document, `form` one
    that was cut into form fields.
    """
    query, own_id = call.query, job_uuid(job_id)
    wanted = choose_format(request.headers.get("Accept"), query.format)
    _check_options(query, wanted)
    if wanted in RENDITIONS:
        job, rendition = _rendered(call.services, call.caller.client_id, own_id, wanted)
        written = WrittenTranscript(rendition.data or b"", FORMATS[wanted].media_type, FORMATS[wanted].extension)
    else:
        with call.services.statements() as session:
            job, document = find_job_and_document(session, call.caller.client_id, own_id)
            if job.status not in FINISHED_JOB:
                raise NotFinished
            lines = list_lines(session, job.id)
        written = _write(wanted, query, job, lines, document)
    name = file_name(job.client_reference, public_id(JOB_PREFIX, job.id))
    response = download(written.body, written.media_type, f"{name}.{written.extension}")
    response.headers["Vary"] = "Accept"
    return response


def _check_options(query: TranscriptQuery, wanted: TranscriptFormat) -> None:
    """Refuse what has no meaning for the format.

    Raises:
        InvalidRequest: an option is given that is another format's.
    """
    if query.bom and wanted != TranscriptFormat.CSV:
        raise InvalidRequest([Fault("/bom", "Only `csv` may begin with a byte order mark.", "invalid_value")])
    if query.page is not None and wanted != TranscriptFormat.PAGE:
        raise InvalidRequest([Fault("/page", "Only `page` has a file for each page.", "invalid_value")])


def _write(
    wanted: TranscriptFormat, query: TranscriptQuery, job: Job, lines: Sequence[Line], document: Document | None
) -> WrittenTranscript:
    form = FORMATS[wanted]
    if wanted == TranscriptFormat.JSON:
        value = job_value(job, running=0, lines=lines, document=document)
        return WrittenTranscript(dump_json(value), form.media_type, form.extension)
    transcript = transcript_of(job, lines, document)
    if query.bom:
        return WrittenTranscript(write_csv(transcript, byte_order_mark=True), form.media_type, form.extension)
    if query.page is not None:
        for sheet in sheets_of(transcript):
            if sheet.number == query.page:
                return WrittenTranscript(write_page(transcript, sheet), form.media_type, form.extension)
        raise InvalidRequest([Fault("/page", "The job has no such page.", "out_of_range")])
    return write_transcript(transcript, wanted)


def _rendered(
    services: Services, client_id: uuid.UUID, job_id: uuid.UUID, wanted: TranscriptFormat
) -> tuple[Job, Rendition]:
    """Return the PDF, made now when nobody has asked for it before; wait for it without asking again and again.

    Raises:
        NotOffered: it cannot be made, or making it has failed.
        StillRendering: it is not there in time, or too many wait already.
    """
    deadline = time.monotonic() + services.settings.documents.rendition_seconds
    with services.waiting_room.seat(job_id) as seat:
        with services.transaction() as session:
            job = find_job(session, client_id, job_id)
            rendition = request_rendition(session, job, wanted)
        while rendition.status in {RenditionStatus.QUEUED, RenditionStatus.RUNNING}:
            rendition = _look_again(services, rendition, seat, deadline)
    if rendition.status == RenditionStatus.FAILED:
        raise NotOffered(f"It could not be made: {rendition.error_detail or rendition.error_code}")
    return job, rendition


def _look_again(services: Services, rendition: Rendition, seat: Seat | None, deadline: float) -> Rendition:
    if seat is None or services.waiting_room.is_closed or remaining(deadline) <= 0:
        raise StillRendering
    seat.wait(remaining(deadline))
    with services.statements() as session:
        found = find_rendition(session, rendition.job_id, TranscriptFormat(rendition.format))
    if found is None:
        raise Gone
    return found
