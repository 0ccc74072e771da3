"""The tables. Postgres is the truth; everything else in Inkpost can be lost.

`lazy="raise"` has no place here because there are no relationships: every query says what it reads.
"""

import datetime as dt
import uuid
from enum import StrEnum
from typing import Any, ClassVar

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    MetaData,
    SmallInteger,
    Text,
    func,
    literal_column,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from core.words import (
    BatchStatus,
    DeliveryStatus,
    DocumentStatus,
    Include,
    JobStatus,
    LineSource,
    LineStatus,
    Priority,
    RenditionStatus,
)


class Base(DeclarativeBase):
    """Base of all tables: named constraints, aware timestamps, unbounded text."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar = {
        dt.datetime: DateTime(timezone=True),
        str: Text,
        bytes: LargeBinary,
        dict[str, Any]: JSONB,
    }


def _one_of(column: str, words: type[StrEnum]) -> str:
    return f"{column} IN ({', '.join(repr(word.value) for word in words)})"


class Client(Base):
    """The owner of API keys and jobs. Its webhook secret signs the events of jobs that name a URL of their own."""

    __tablename__ = "clients"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    webhook_secret: Mapped[bytes | None]
    webhook_previous_secret: Mapped[bytes | None]
    webhook_previous_secret_expires_at: Mapped[dt.datetime | None]
    created_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())


class ApiKey(Base):
    """A key of a client. Only a digest of its secret is stored; 256 random bits need no slow hash."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(primary_key=True)
    client_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("clients.id", ondelete="CASCADE"), index=True)
    secret_sha256: Mapped[bytes]
    label: Mapped[str] = mapped_column(server_default="")
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    created_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[dt.datetime | None]
    revoked_at: Mapped[dt.datetime | None]


class Job(Base):
    """What a client submitted; owns lines. `gone_at` marks a tombstone: its lines and texts are no more."""

    __tablename__ = "jobs"
    __table_args__ = (
        CheckConstraint(_one_of("status", JobStatus), name="status"),
        CheckConstraint("lines_succeeded + lines_failed + lines_canceled <= lines_total", name="counts"),
        Index("ix_jobs_client_id_id", "client_id", "id"),
        Index(
            "ix_jobs_client_reference", "client_id", "client_reference",
            postgresql_where=text("client_reference IS NOT NULL"),
        ),
        Index("ix_jobs_expires_at", "expires_at", postgresql_where=text("gone_at IS NULL")),
        Index("ix_jobs_gone_at", "gone_at", postgresql_where=text("gone_at IS NOT NULL")),
        Index(
            "ix_jobs_webhook_endpoint_id", "webhook_endpoint_id",
            postgresql_where=text("webhook_endpoint_id IS NOT NULL"),
        ),
    )  # fmt: skip

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    client_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("clients.id"))
    status: Mapped[str] = mapped_column(server_default=JobStatus.QUEUED.value)
    model: Mapped[str]
    model_revision: Mapped[str | None]
    priority: Mapped[int] = mapped_column(SmallInteger, server_default=str(int(Priority.DEFAULT)))
    decoding: Mapped[dict[str, Any]]
    review_threshold: Mapped[float | None]
    client_reference: Mapped[str | None]
    client_metadata: Mapped[dict[str, Any]]
    webhook_endpoint_id: Mapped[uuid.UUID | None] = mapped_column(
        ForeignKey("webhook_endpoints.id", ondelete="SET NULL")
    )
    webhook_url: Mapped[str | None]
    webhook_events: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    webhook_include: Mapped[str | None]
    retention_seconds: Mapped[int]
    lines_total: Mapped[int]
    lines_succeeded: Mapped[int] = mapped_column(server_default="0")
    lines_failed: Mapped[int] = mapped_column(server_default="0")
    lines_canceled: Mapped[int] = mapped_column(server_default="0")
    lines_needing_review: Mapped[int] = mapped_column(server_default="0")
    error_code: Mapped[str | None]
    error_detail: Mapped[str | None]
    created_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    started_at: Mapped[dt.datetime | None]
    finished_at: Mapped[dt.datetime | None]
    expires_at: Mapped[dt.datetime | None]
    gone_at: Mapped[dt.datetime | None]


class Line(Base):
    """A line of a job. `attempt` fences: only the holder of the current attempt may write an outcome.

    `client_id`, `model` and `priority` repeat the job's, so that a claim is one index scan. `fair_tag` is the line's
    virtual start time; see `core.fair_share`. `image_width` and `image_height` are what the image's header says, in
    pixels, and null where it says nothing. `tokens`, where they were asked for, is
    `{"image_tokens": number, "tokens": [[text, log-probability, [[text, log-probability], ...]], ...]}`.
    """

    __tablename__ = "lines"
    __table_args__ = (
        CheckConstraint(_one_of("status", LineStatus), name="status"),
        CheckConstraint("(status = 'running') = (lease_expires_at IS NOT NULL)", name="lease"),
        CheckConstraint("(status = 'failed') = (error_code IS NOT NULL)", name="error"),
        CheckConstraint("(status = 'succeeded') = (text IS NOT NULL)", name="text"),
        CheckConstraint(_one_of("source", LineSource), name="source"),
        Index(
            "ix_lines_claim", "model", "priority", "fair_tag", "job_id", "index",
            postgresql_where=text("status = 'queued'"),
        ),
        Index(
            "ix_lines_share", "client_id", "model", "priority", "fair_tag",
            postgresql_where=text("status = 'queued'"),
        ),
        Index(
            "ix_lines_suspect", "model", "priority", "fair_tag",
            postgresql_where=text("status = 'queued' AND crash_attempts > 0"),
        ),
        Index("ix_lines_lease", "lease_expires_at", postgresql_where=text("status = 'running'")),
        {"postgresql_with": {"autovacuum_vacuum_scale_factor": "0.02"}},  # a queue's dead rows slow its claims
    )  # fmt: skip

    job_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    index: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    client_id: Mapped[uuid.UUID]
    model: Mapped[str]
    priority: Mapped[int] = mapped_column(SmallInteger)
    fair_tag: Mapped[int] = mapped_column(BigInteger)
    status: Mapped[str] = mapped_column(server_default=LineStatus.QUEUED.value)
    attempt: Mapped[int] = mapped_column(server_default="0")
    crash_attempts: Mapped[int] = mapped_column(server_default="0")
    leased_by: Mapped[uuid.UUID | None]
    lease_expires_at: Mapped[dt.datetime | None]
    custom_id: Mapped[str | None]
    page: Mapped[int | None]
    box: Mapped[list[float] | None] = mapped_column(ARRAY(Double))
    image_width: Mapped[int | None]
    image_height: Mapped[int | None]
    source: Mapped[str] = mapped_column(server_default=LineSource.RECOGNISED.value)
    text: Mapped[str | None]
    confidence: Mapped[float | None]
    min_token_confidence: Mapped[float | None]
    alternatives: Mapped[dict[str, Any] | None]
    tokens: Mapped[dict[str, Any] | None]
    truncated: Mapped[bool] = mapped_column(server_default="false")
    needs_review: Mapped[bool] = mapped_column(server_default="false")
    review_reasons: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    error_code: Mapped[str | None]
    error_detail: Mapped[str | None]
    finished_at: Mapped[dt.datetime | None]


# Constants and not parameters: the generic plan of a prepared statement can use a partial index only so.
LINE_IS_QUEUED = Line.status == literal_column(f"'{LineStatus.QUEUED}'")
LINE_IS_RUNNING = Line.status == literal_column(f"'{LineStatus.RUNNING}'")


class StoredImage(Base):
    """The bytes of a line image as they came. Apart from the line, so that an update of a line copies no bytes."""

    __tablename__ = "line_images"
    __table_args__ = (
        ForeignKeyConstraint(["job_id", "index"], ["lines.job_id", "lines.index"], ondelete="CASCADE"),
    )  # fmt: skip

    job_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    index: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    media_type: Mapped[str]
    data: Mapped[bytes]


class Document(Base):
    """A form PDF and how its client wants it cut; once it is cut, how it was. `attempt` fences as a line's does.

    `data` and `password` go when they are needed no more; both are needed as long as a PDF may be made of them.
    `pages` are the ranges asked for, `[[first, last], ...]`; `regions` as `core.documents.wishes` writes them.
    `found_pages` is `[{"number", "label", "width", "height"}, ...]` and `skipped` `[{"name", "page", "kind"}, ...]`.
    """

    __tablename__ = "documents"
    __table_args__ = (
        CheckConstraint(_one_of("status", DocumentStatus), name="status"),
        CheckConstraint("(status = 'running') = (lease_expires_at IS NOT NULL)", name="lease"),
        CheckConstraint("status <> 'queued' OR data IS NOT NULL", name="data"),
        Index("ix_documents_queued", "created_at", postgresql_where=text("status = 'queued'")),
        Index("ix_documents_lease", "lease_expires_at", postgresql_where=text("status = 'running'")),
    )

    job_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    status: Mapped[str] = mapped_column(server_default=DocumentStatus.QUEUED.value)
    attempt: Mapped[int] = mapped_column(server_default="0")
    crash_attempts: Mapped[int] = mapped_column(server_default="0")
    leased_by: Mapped[uuid.UUID | None]
    lease_expires_at: Mapped[dt.datetime | None]
    data: Mapped[bytes | None]
    size_bytes: Mapped[int]
    password: Mapped[str | None]
    asked_cut: Mapped[str]
    pages: Mapped[dict[str, Any] | None]
    regions: Mapped[dict[str, Any] | None]
    template: Mapped[str | None]
    cut: Mapped[str | None]
    found_pages: Mapped[dict[str, Any] | None]
    skipped: Mapped[dict[str, Any] | None]
    created_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())


class Rendition(Base):
    """A PDF made of a document and its transcriptions because somebody asked. `attempt` fences as a line's does."""

    __tablename__ = "renditions"
    __table_args__ = (
        CheckConstraint(_one_of("status", RenditionStatus), name="status"),
        CheckConstraint("(status = 'running') = (lease_expires_at IS NOT NULL)", name="lease"),
        CheckConstraint("(status = 'failed') = (error_code IS NOT NULL)", name="error"),
        CheckConstraint("(status = 'succeeded') = (data IS NOT NULL)", name="data"),
        Index("ix_renditions_queued", "created_at", postgresql_where=text("status = 'queued'")),
        Index("ix_renditions_lease", "lease_expires_at", postgresql_where=text("status = 'running'")),
    )

    job_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("documents.job_id", ondelete="CASCADE"), primary_key=True)
    format: Mapped[str] = mapped_column(primary_key=True)
    status: Mapped[str] = mapped_column(server_default=RenditionStatus.QUEUED.value)
    attempt: Mapped[int] = mapped_column(server_default="0")
    crash_attempts: Mapped[int] = mapped_column(server_default="0")
    leased_by: Mapped[uuid.UUID | None]
    lease_expires_at: Mapped[dt.datetime | None]
    data: Mapped[bytes | None]
    error_code: Mapped[str | None]
    error_detail: Mapped[str | None]
    created_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())


class Template(Base):
    """How a kind of form is to be cut, described once by its client; columns as those of a document."""

    __tablename__ = "templates"
    __table_args__ = (Index("uq_templates_client_id_name", "client_id", "name", unique=True),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    client_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("clients.id", ondelete="CASCADE"))
    name: Mapped[str]
    cut: Mapped[str]
    pages: Mapped[dict[str, Any] | None]
    regions: Mapped[dict[str, Any] | None]
    created_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())


class IdempotencyKey(Base):
    """What was answered to a POST with an Idempotency-Key; `answer` is emptied when the job is deleted."""

    __tablename__ = "idempotency_keys"

    client_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("clients.id", ondelete="CASCADE"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    body_sha256: Mapped[bytes]
    job_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), unique=True)
    answer: Mapped[dict[str, Any] | None]
    created_at: Mapped[dt.datetime] = mapped_column(server_default=func.now(), index=True)


class WorkerPresence(Base):
    """A worker process that said it is alive. A slot outlives the process in it; see `core.recovery.take_over`."""

    __tablename__ = "workers"

    slot: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    model: Mapped[str] = mapped_column(index=True)
    model_revision: Mapped[str]
    device: Mapped[str]
    precision: Mapped[str]
    host: Mapped[str]
    pid: Mapped[int]
    started_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    seen_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    left_at: Mapped[dt.datetime | None]


class WebhookEndpoint(Base):
    """A URL that is told of events, with its secret.

    Either registered by the client, with a filter and a secret of its own, or made for the URLs that jobs name, all
    that differ only in their query: then the job says where exactly and which events, and the client's secret signs.
    `failing_since` is the first failure after a success.
    """

    __tablename__ = "webhook_endpoints"
    __table_args__ = (
        CheckConstraint(_one_of("include", Include), name="include"),
        CheckConstraint("is_registered = (secret IS NOT NULL)", name="secret"),
        CheckConstraint("(disabled_at IS NULL) = (disabled_reason IS NULL)", name="disabled"),
        Index("ix_webhook_endpoints_client_id_id", "client_id", "id"),
        Index("uq_webhook_endpoints_url", "client_id", "url", unique=True, postgresql_where=text("NOT is_registered")),
    )  # fmt: skip

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    client_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("clients.id", ondelete="CASCADE"))
    url: Mapped[str]
    is_registered: Mapped[bool]
    description: Mapped[str] = mapped_column(server_default="")
    events: Mapped[list[str]] = mapped_column(ARRAY(Text))
    include: Mapped[str] = mapped_column(server_default=Include.SUMMARY.value)
    secret: Mapped[bytes | None]
    previous_secret: Mapped[bytes | None]
    previous_secret_expires_at: Mapped[dt.datetime | None]
    failing_since: Mapped[dt.datetime | None]
    disabled_at: Mapped[dt.datetime | None]
    disabled_reason: Mapped[str | None]
    created_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())


class Event(Base):
    """What happened, stored once: the bytes that are signed and sent, without lines and, where asked for, with them."""

    __tablename__ = "events"
    __table_args__ = (
        Index(
            "uq_events_job_id_type", "job_id", "type", unique=True,
            postgresql_where=text("job_id IS NOT NULL AND type <> 'job.progress'"),
        ),
        Index("ix_events_client_id_created_at", "client_id", "created_at"),
    )  # fmt: skip

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    client_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("clients.id", ondelete="CASCADE"))
    job_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), index=True)
    type: Mapped[str]
    body: Mapped[bytes]
    body_with_lines: Mapped[bytes | None]
    lines_finished: Mapped[int | None]
    created_at: Mapped[dt.datetime] = mapped_column(server_default=func.now(), index=True)


class Delivery(Base):
    """One attempt to send an event to an endpoint, from its planning to its end; a failed one is followed by a new row.

    `claim` fences: only the holder of the current claim may write what became of the attempt.
    """

    __tablename__ = "deliveries"
    __table_args__ = (
        CheckConstraint(_one_of("status", DeliveryStatus), name="status"),
        CheckConstraint("(status = 'running') = (lease_expires_at IS NOT NULL)", name="lease"),
        CheckConstraint(_one_of("include", Include), name="include"),
        Index("ix_deliveries_due", "endpoint_id", "due_at", postgresql_where=text("status = 'queued'")),
        Index("ix_deliveries_running", "endpoint_id", postgresql_where=text("status = 'running'")),
        Index("ix_deliveries_client_id_id", "client_id", "id"),
        Index("ix_deliveries_endpoint_id_id", "endpoint_id", "id"),
        {"postgresql_with": {"autovacuum_vacuum_scale_factor": "0.02"}},  # as of `lines`
    )  # fmt: skip

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    client_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("clients.id", ondelete="CASCADE"))
    endpoint_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("webhook_endpoints.id", ondelete="CASCADE"))
    event_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("events.id", ondelete="CASCADE"), index=True)
    attempt: Mapped[int] = mapped_column(SmallInteger, server_default="1")
    status: Mapped[str] = mapped_column(server_default=DeliveryStatus.QUEUED.value)
    include: Mapped[str]
    due_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    claim: Mapped[int] = mapped_column(server_default="0")
    lease_expires_at: Mapped[dt.datetime | None]
    started_at: Mapped[dt.datetime | None]
    finished_at: Mapped[dt.datetime | None]
    duration_ms: Mapped[int | None]
    response_status: Mapped[int | None]
    response_start: Mapped[str | None]
    error_code: Mapped[str | None]


class StoredFile(Base):
    """A file in OpenAI's dialect: the requests of a batch as they came, or what came of them."""

    __tablename__ = "files"
    __table_args__ = (
        Index("ix_files_client_id_id", "client_id", "id"),
        Index("ix_files_expires_at", "expires_at"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    client_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("clients.id", ondelete="CASCADE"))
    name: Mapped[str]
    purpose: Mapped[str]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[dt.datetime]


class FilePart(Base):
    """A part of a file's bytes. A line of text may go on in the next part."""

    __tablename__ = "file_parts"

    file_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("files.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    data: Mapped[bytes]


class Batch(Base):
    """Many requests in a file, answered into files. `claim` fences as a line's `attempt` does.

    `parts_read`, `bytes_skipped` and `requests_read` say how far the input has been turned into jobs: the next request
    begins after so many bytes of the part with that number.
    """

    __tablename__ = "batches"
    __table_args__ = (
        CheckConstraint(_one_of("status", BatchStatus), name="status"),
        Index("ix_batches_client_id_id", "client_id", "id"),
        Index("ix_batches_input_file_id", "input_file_id"),
        Index("ix_batches_due", "look_at", postgresql_where=text("look_at IS NOT NULL")),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    client_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("clients.id", ondelete="CASCADE"))
    status: Mapped[str] = mapped_column(server_default=BatchStatus.VALIDATING.value)
    endpoint: Mapped[str]
    input_file_id: Mapped[uuid.UUID]
    output_file_id: Mapped[uuid.UUID | None]
    error_file_id: Mapped[uuid.UUID | None]
    completion_window: Mapped[str]
    client_metadata: Mapped[dict[str, Any] | None]
    errors: Mapped[dict[str, Any] | None]
    requests_total: Mapped[int] = mapped_column(server_default="0")
    requests_read: Mapped[int] = mapped_column(server_default="0")
    requests_completed: Mapped[int] = mapped_column(server_default="0")
    requests_failed: Mapped[int] = mapped_column(server_default="0")
    parts_read: Mapped[int] = mapped_column(server_default="0")
    bytes_skipped: Mapped[int] = mapped_column(server_default="0")
    claim: Mapped[int] = mapped_column(server_default="0")
    look_at: Mapped[dt.datetime | None] = mapped_column(server_default=func.now())
    retention_seconds: Mapped[int]
    output_retention_seconds: Mapped[int]
    created_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[dt.datetime]
    in_progress_at: Mapped[dt.datetime | None]
    finalizing_at: Mapped[dt.datetime | None]
    completed_at: Mapped[dt.datetime | None]
    failed_at: Mapped[dt.datetime | None]
    expired_at: Mapped[dt.datetime | None]
    cancelling_at: Mapped[dt.datetime | None]
    cancelled_at: Mapped[dt.datetime | None]


class BatchRequest(Base):
    """A request of a batch: the lines of a job that answer it, or the failure that it met before it had any."""

    __tablename__ = "batch_requests"
    __table_args__ = (
        CheckConstraint("(job_id IS NULL) = (failure IS NOT NULL)", name="failure"),
        Index("ix_batch_requests_job_id", "job_id", postgresql_where=text("job_id IS NOT NULL")),
    )  # fmt: skip

    batch_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("batches.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    custom_id: Mapped[str]
    job_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    first_line: Mapped[int] = mapped_column(server_default="0")
    line_count: Mapped[int] = mapped_column(server_default="0")
    wish: Mapped[dict[str, Any] | None]
    failure: Mapped[dict[str, Any] | None]
