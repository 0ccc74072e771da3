"""The files that answer a batch: each request has one line, in the output file or in the error file."""

import json
import uuid
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.errors import Gone
from core.ids import public_id
from core.openai.batch_input import lines_from, parse_line
from core.openai.batch_steps import failure_value
from core.openai.batches import BATCH_PREFIX
from core.openai.completions import completion
from core.openai.files import OUTPUT_PURPOSE, in_parts, read_part, write_file
from core.openai.readings import Value, failure_of
from core.openai.wishes import Wish
from core.settings import Settings
from core.tables import Batch, BatchRequest, Job, Line
from core.words import BatchStatus, LineStatus

_PAGE = 500
_OVER = {
    BatchStatus.CANCELLING: ("batch_cancelled", "The batch was cancelled before this request was read."),
    BatchStatus.IN_PROGRESS: ("batch_expired", "The batch's time was over before this request was read."),
}


@dataclass
class AnswerWriter:
    """Writes both files of a batch. The errors wait in memory until the output is written; they are short."""

    settings: Settings
    _errors: list[bytes] = field(default_factory=list)
    _completed: int = 0

    def write(self, session: Session, batch: Batch) -> None:
        """Write the files, in the transaction that ends the batch."""
        batch.output_file_id = self._write(session, batch, self._answers(session, batch), "output")
        batch.error_file_id = self._write(session, batch, iter(self._errors), "errors")
        batch.requests_completed, batch.requests_failed = self._completed, len(self._errors)

    def _write(self, session: Session, batch: Batch, lines: Iterator[bytes], kind: str) -> uuid.UUID | None:
        file = write_file(
            session,
            batch.client_id,
            name=f"{public_id(BATCH_PREFIX, batch.id)}_{kind}.jsonl",
            purpose=OUTPUT_PURPOSE,
            parts=in_parts(lines),
            keep_seconds=batch.output_retention_seconds,
        )
        if file.size_bytes:
            return file.id
        session.delete(file)
        session.flush()
        return None

    def _answers(self, session: Session, batch: Batch) -> Iterator[bytes]:
        """Give the lines of the output file, and put those of the error file aside."""
        first = 0
        while requests := _page(session, batch.id, first):
            lines, jobs = _read(session, requests)
            for request in requests:
                answer = self._answer(batch, request, lines, jobs)
                if answer["error"] is None and answer["status"] == 200:
                    self._completed += 1
                    yield _line(batch, request.number, request.custom_id, answer)
                else:
                    self._errors.append(_line(batch, request.number, request.custom_id, answer))
            first = requests[-1].number + 1
        self._refuse_unread(session, batch)

    def _answer(
        self,
        batch: Batch,
        request: BatchRequest,
        lines: dict[tuple[uuid.UUID, int], Line],
        jobs: dict[uuid.UUID, Job],
    ) -> Value:
        if request.job_id is None or request.wish is None:
            return {**(request.failure or {}), "error": None}
        wish = Wish.of_value(request.wish)
        own = [lines.get((request.job_id, request.first_line + place)) for place in range(request.line_count)]
        found = [line for line in own if line is not None]
        if len(found) < request.line_count:
            return {**failure_value(Gone("The job of this request was deleted.")), "error": None}
        if batch.status in _OVER and any(line.status == LineStatus.CANCELED for line in found):
            return _over(batch)
        failure = failure_of(found, wish)
        if failure is not None:
            return {**failure_value(failure), "error": None}
        job = jobs[request.job_id]
        body = completion(
            completion_id=f"{public_id('chatcmpl', request.job_id)}_{request.number}",
            created=int((job.finished_at or job.created_at).timestamp()),
            model=job.model,
            revision=job.model_revision,
            wish=wish,
            lines=found,
        )
        return {"status": 200, "body": body, "error": None}

    def _refuse_unread(self, session: Session, batch: Batch) -> None:
        """Answer the requests that never became lines: they have no row yet."""
        if batch.requests_read >= batch.requests_total:
            return
        unread = lines_from(
            lambda part: read_part(session, batch.input_file_id, part), batch.parts_read, batch.bytes_skipped
        )
        for number, line in enumerate(unread, start=batch.requests_read):
            custom_id = parse_line(line.data, self.settings).custom_id
            self._errors.append(_line(batch, number, custom_id, _over(batch)))


def _page(session: Session, batch_id: uuid.UUID, first: int) -> Sequence[BatchRequest]:
    query = select(BatchRequest).where(BatchRequest.batch_id == batch_id, BatchRequest.number >= first)
    return session.scalars(query.order_by(BatchRequest.number).limit(_PAGE)).all()


def _read(
    session: Session, requests: Sequence[BatchRequest]
) -> tuple[dict[tuple[uuid.UUID, int], Line], dict[uuid.UUID, Job]]:
    """Return the lines and the jobs of requests."""
    wanted: defaultdict[uuid.UUID, list[int]] = defaultdict(list)
    for request in requests:
        if request.job_id is not None:
            wanted[request.job_id] += [request.first_line, request.first_line + request.line_count]
    lines: dict[tuple[uuid.UUID, int], Line] = {}
    for job_id, bounds in wanted.items():
        query = select(Line).where(Line.job_id == job_id, Line.index >= min(bounds), Line.index < max(bounds))
        lines |= {(line.job_id, line.index): line for line in session.scalars(query)}
    return lines, {job.id: job for job in session.scalars(select(Job).where(Job.id.in_(wanted)))}


def _over(batch: Batch) -> Value:
    code, message = _OVER[BatchStatus(batch.status)]
    return {"status": None, "body": None, "error": {"code": code, "message": message}}


def _line(batch: Batch, number: int, custom_id: str, answer: Value) -> bytes:
    own_id = f"{public_id('batch_req', batch.id)}_{number}"
    response: Value | None = None
    if answer["error"] is None:
        response = {"status_code": answer["status"], "request_id": own_id, "body": answer["body"]}
    value = {"id": own_id, "custom_id": custom_id, "response": response, "error": answer["error"]}
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
