"""The fixed vocabularies: statuses, priorities, scopes. Stored and shown by value."""

from enum import IntEnum, StrEnum


class JobStatus(StrEnum):
    """Where a job stands; ARCHITECTURE.md draws the edges between them."""

    QUEUED = "queued"  # no line was claimed yet
    RUNNING = "running"  # at least one line was claimed
    SUCCEEDED = "succeeded"  # every line was read
    PARTIAL = "partial"  # some lines were read and some failed
    FAILED = "failed"  # no line was read
    CANCELED = "canceled"  # the client stopped it; lines that had finished stay


class LineStatus(StrEnum):
    """Where a line stands; ARCHITECTURE.md draws the edges between them."""

    QUEUED = "queued"  # waits for a worker
    RUNNING = "running"  # a worker holds a lease on it
    SUCCEEDED = "succeeded"  # its transcription is stored
    FAILED = "failed"  # its error is stored
    CANCELED = "canceled"  # its job was canceled before it finished


FINISHED_JOB = frozenset({JobStatus.SUCCEEDED, JobStatus.PARTIAL, JobStatus.FAILED, JobStatus.CANCELED})
FINISHED_LINE = frozenset({LineStatus.SUCCEEDED, LineStatus.FAILED, LineStatus.CANCELED})


class Priority(IntEnum):
    """Lower is claimed first."""

    INTERACTIVE = 0
    DEFAULT = 1
    BULK = 2

    @property
    def word(self) -> str:
        """The priority as clients write it."""
        return self.name.lower()

    @classmethod
    def from_word(cls, word: str) -> "Priority":
        """Return the priority that clients write as `word`."""
        return cls[word.upper()]


class Scope(StrEnum):
    """What an API key may do."""

    READ = "jobs:read"
    WRITE = "jobs:write"
    WEBHOOKS = "webhooks:manage"  # an endpoint with results reads every job's texts, so writing jobs is not enough


class DeliveryStatus(StrEnum):
    """Where one attempt to send an event stands."""

    QUEUED = "queued"  # is sent once it is due
    RUNNING = "running"  # a worker holds a lease on it
    SUCCEEDED = "succeeded"  # the receiver answered 2xx
    FAILED = "failed"  # it did not; another attempt follows, as a row of its own
    EXHAUSTED = "exhausted"  # it did not, and no attempt follows by itself
    CANCELED = "canceled"  # its endpoint was disabled before it was sent


class BatchStatus(StrEnum):
    """Where a batch stands, in OpenAI's words."""

    VALIDATING = "validating"  # its file is being checked; no line was made yet
    FAILED = "failed"  # its file is no batch; nothing was read
    IN_PROGRESS = "in_progress"  # its requests become lines of jobs, which are read
    FINALIZING = "finalizing"  # every line has finished; the answers are being written
    COMPLETED = "completed"  # the answers are there
    EXPIRED = "expired"  # its time was over; what was read by then is there
    CANCELLING = "cancelling"  # the client stopped it; its jobs are being canceled
    CANCELLED = "cancelled"  # it is stopped; what was read by then is there


FINISHED_BATCH = frozenset({BatchStatus.FAILED, BatchStatus.COMPLETED, BatchStatus.EXPIRED, BatchStatus.CANCELLED})


class EventType(StrEnum):
    """What an event tells."""

    JOB_SUCCEEDED = "job.succeeded"
    JOB_PARTIAL = "job.partial"
    JOB_FAILED = "job.failed"
    JOB_CANCELED = "job.canceled"
    JOB_STARTED = "job.started"  # only to who asks for it
    JOB_PROGRESS = "job.progress"  # only to who asks for it
    WEBHOOK_TEST = "webhook.test"  # only to the endpoint that is tested


ENDED_EVENTS = tuple(EventType(f"job.{status}") for status in ("succeeded", "partial", "failed", "canceled"))


class Include(StrEnum):
    """What the body of an event about a job holds."""

    SUMMARY = "summary"  # the job without its lines
    RESULTS = "results"  # the job with its lines


class ReviewReason(StrEnum):
    """Why a person should look at a line."""

    LOW_CONFIDENCE = "low_confidence"
    TRUNCATED = "truncated"


class Cut(StrEnum):
    """How a document becomes lines."""

    AUTO = "auto"  # fields if the form has them, else images if every page is only images, else pages
    PAGE = "page"  # a page is a line
    IMAGE = "image"  # a picture on a page is a line
    FIELD = "field"  # a form field's rectangle is a line
    REGIONS = "regions"  # the client says where the lines are


class DocumentStatus(StrEnum):
    """Where the cutting of a document stands."""

    QUEUED = "queued"  # waits for a worker
    RUNNING = "running"  # a worker holds a lease on it
    SUCCEEDED = "succeeded"  # it is cut; its lines are like any others
    FAILED = "failed"  # it cannot be cut, and its job has failed
    CANCELED = "canceled"  # its job was canceled before it was cut


class RenditionStatus(StrEnum):
    """Where the making of a PDF out of a document and its transcriptions stands."""

    QUEUED = "queued"  # waits for a worker
    RUNNING = "running"  # a worker holds a lease on it
    SUCCEEDED = "succeeded"  # its bytes are stored
    FAILED = "failed"  # it cannot be made


class TranscriptFormat(StrEnum):
    """As what the texts of a job can be had."""

    TXT = "txt"  # one line of text a line
    CSV = "csv"  # RFC 4180, a row a line
    JSONL = "jsonl"  # a JSON object a line
    JSON = "json"  # the job as it is shown
    PAGE = "page"  # PAGE XML 2019-07-15
    ALTO = "alto"  # ALTO 4.4
    HOCR = "hocr"  # hOCR 1.2
    PDF = "pdf"  # the document with an invisible layer of text at its lines' boxes
    FORM = "form"  # the document with the texts in its form fields


RENDITIONS = (TranscriptFormat.PDF, TranscriptFormat.FORM)  # made of the document itself, by a worker, when asked for


class LineSource(StrEnum):
    """Where a line's text comes from."""

    RECOGNISED = "recognised"  # read from its image
    TYPED = "typed"  # stood in the form's field already


class RegionUnit(StrEnum):
    """What the numbers of a region's box are."""

    POINTS = "points"  # 1/72 inch
    FRACTION = "fraction"  # of the page's width and height
