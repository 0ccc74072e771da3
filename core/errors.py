"""Every way in which Inkpost says no, as one tree.

InkpostError
├── CallerError        what the caller must change; sending the same again fails again
│   ├── request        InvalidJson, JsonTooDeep, DuplicateKey, BodyInvalid, ...
│   ├── credentials    MissingCredentials, InvalidCredentials, KeyRevoked, InsufficientScope
│   ├── state          NotFound, ModelNotFound, Gone, NotKept, AlreadyTerminal, NotFinished, FileInUse, ...
│   ├── line           CorruptImage, MultipleFrames, DecodeTimeout, ... (fail one line, never the job's neighbours)
│   ├── document       PdfEncrypted, TooManyPages, InvalidPdf, ... (fail a job before it has lines)
│   └── operator       ModelUnusable, LinesUnusable (stop a worker or a command at its start; never reach a client)
└── TransientError     what may succeed later; the only family that is retried
    ├── service        DatabaseUnavailable, Overloaded, IdempotencyInFlight, StillReading, StillRendering, ...
    └── recognition    WorkerCrash, RecognitionTimeout, OutOfMemory, DeviceLost, SandboxUnavailable

A leaf has a stable snake_case `code`, the same in the problem body, on the line, in logs and in metrics.
`api/problems.py` maps leaves to HTTP statuses; a test fails when a leaf that can reach a client has none.
"""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a body: where (an RFC 6901 JSON Pointer), what, and the stable code of its kind."""

    pointer: str
    detail: str
    code: str


class InkpostError(Exception):
    """Root of the tree. `detail` is a sentence for people; it never holds secrets, texts or bytes of an image."""

    code: ClassVar[str]
    title: ClassVar[str]

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title


class CallerError(InkpostError):
    """What the caller must change."""


class TransientError(InkpostError):
    """What may succeed later. `retry_after_seconds` is a hint for the caller."""

    retry_after_seconds: int = 1


# request


class InvalidJson(CallerError):
    code, title = "invalid_json", "The body is not valid JSON."


class JsonTooDeep(CallerError):
    code, title = "json_too_deep", "The JSON body is nested too deeply."


class DuplicateKey(CallerError):
    code, title = "duplicate_key", "An object of the JSON body holds the same key twice."


class EmptyBody(CallerError):
    code, title = "invalid_json", "The body is empty."


class UnsupportedMediaType(CallerError):
    code, title = "unsupported_media_type", "This content type is not accepted here."


class UnsupportedEncoding(CallerError):
    code, title = "unsupported_encoding", "A Content-Encoding is not accepted; send the body as it is."


class LengthRequired(CallerError):
    code, title = "length_required", "A body needs a Content-Length."


class BodyTooLarge(CallerError):
    code, title = "body_too_large", "The body is larger than this service accepts."


class RequestTimeout(CallerError):
    code, title = "request_timeout", "The body did not arrive in time."


class BadRequest(CallerError):
    code, title = "bad_request", "The request is malformed."


class UriTooLong(CallerError):
    code, title = "uri_too_long", "The request's path and query are too long."


class HeadersTooLarge(CallerError):
    code, title = "headers_too_large", "The request's headers are too large."


class InvalidHost(CallerError):
    code, title = "invalid_host", "This Host is not served here."


class InvalidIdempotencyKey(CallerError):
    code, title = "invalid_idempotency_key", "The Idempotency-Key must be 1 to 255 printable ASCII characters."


class InvalidRequest(CallerError):
    """A well-formed request whose content is refused. Each fault carries a code of its own.

    The problem's own `code` is the code of its faults when they all agree, else `invalid_request`.
    """

    code, title = "invalid_request", "The request holds values that are not accepted."

    def __init__(self, faults: list[Fault], detail: str | None = None) -> None:
        super().__init__(detail or (faults[0].detail if len(faults) == 1 else None))
        self.faults = faults


class ImageTooLarge(InvalidRequest):
    code, title = "image_too_large", "An image is larger than this service accepts."


class DocumentTooLarge(InvalidRequest):
    code, title = "document_too_large", "The document is larger than this service accepts."


def code_of(error: InkpostError) -> str:
    """Return the error's code: that of its faults when they all agree, else its own."""
    if isinstance(error, InvalidRequest):
        codes = {fault.code for fault in error.faults}
        if len(codes) == 1:
            return codes.pop()
    return error.code


# credentials


class MissingCredentials(CallerError):
    code, title = "missing_credentials", "An API key is required: Authorization: Bearer ink_..."


class InvalidCredentials(CallerError):
    code, title = "invalid_credentials", "The API key is not valid."


class KeyRevoked(CallerError):
    code, title = "key_revoked", "The API key was revoked or has expired."


class InsufficientScope(CallerError):
    code, title = "insufficient_scope", "The API key lacks the scope that this call needs."


# state


class NotFound(CallerError):
    code, title = "not_found", "There is nothing here."


class MethodNotAllowed(CallerError):
    code, title = "method_not_allowed", "This method is not allowed here."


class Gone(CallerError):
    code, title = "expired", "It was here, and has expired or was deleted."


class AlreadyTerminal(CallerError):
    code, title = "already_terminal", "The job has already finished."


class ModelNotFound(CallerError):
    code, title = "model_not_found", "No worker serves this model; see /v1/models."


class FileInUse(CallerError):
    code, title = "file_in_use", "A batch is still reading this file."


class EndpointDisabled(CallerError):
    code, title = "endpoint_disabled", "The webhook endpoint is disabled; enable it first."


class NotFinished(CallerError):
    code, title = "not_finished", "The job has not finished yet; ask again once it has."
    retry_after_seconds: int = 1


class NotAcceptable(CallerError):
    code, title = "not_acceptable", "None of the formats that are offered is acceptable to the caller."


class NotOffered(CallerError):
    code, title = "not_offered", "This job cannot be had in this format."


class NotKept(CallerError):
    code, title = "not_kept", "The image or document is not kept any more."


class TemplateExists(CallerError):
    code, title = "template_exists", "There is a template of this name already."


class IdempotencyMismatch(CallerError):
    code, title = "idempotency_mismatch", "This Idempotency-Key was used with another body."


# line: what the bytes of one line image can be guilty of


class LineError(CallerError):
    """Fails one line; its code is stored on the line."""


class CorruptImage(LineError):
    code, title = "corrupt_image", "The image is damaged and cannot be decoded."


class UnsupportedImageFormat(LineError):
    code, title = "unsupported_image_format", "The image is not a PNG, JPEG, WebP, TIFF or BMP."


class MultipleFrames(LineError):
    code, title = "multiple_frames", "The image has more than one frame or page; a line image has one."


class ImageDimensions(LineError):
    code, title = "image_dimensions", "The image's width, height or shape is outside the limits."


class DecodeTimeout(LineError):
    code, title = "decode_timeout", "The image took too long or too much memory to decode."


class PageUnreadable(LineError):
    code, title = "page_unreadable", "The page that holds this line is damaged and cannot be drawn."


class RegionOutside(LineError):
    code, title = "region_outside", "The region lies outside of its page, or on a page that the document does not have."


# document: what the bytes of a form PDF can be guilty of


class DocumentError(CallerError):
    """Fails one job, which then has no lines; its code is stored on the job."""


class InvalidPdf(DocumentError):
    code, title = "invalid_pdf", "The document is no PDF, or is damaged beyond reading."


class PdfEncrypted(DocumentError):
    code, title = "pdf_encrypted", "The document is encrypted, and the password is missing or wrong."


class TooManyPages(DocumentError):
    code, title = "too_many_pages", "The document has more pages than this service cuts."


class PageTooLarge(DocumentError):
    code, title = "page_too_large", "A page of the document is larger than this service draws."


class PageOutOfRange(DocumentError):
    code, title = "page_out_of_range", "None of the pages asked for is in the document."


class TooManyLines(DocumentError):
    code, title = "too_many_lines", "The document has more lines than a job may have."


class NoLines(DocumentError):
    code, title = "no_lines", "The document holds nothing that this cut takes for a line."


class UnprocessableInput(DocumentError):
    code, title = "unprocessable_input", "The document took too much time or memory to cut."


# service


class DatabaseUnavailable(TransientError):
    code, title = "database_unavailable", "The database does not answer; try again shortly."
    retry_after_seconds = 2


class Overloaded(TransientError):
    code, title = "overloaded", "The service is busy; try again shortly."


class IdempotencyInFlight(TransientError):
    code, title = "idempotency_in_flight", "A request with this Idempotency-Key is still being handled."


class InternalError(TransientError):
    code, title = "internal_error", "Something went wrong on our side; the request id finds it in our logs."


class StillReading(TransientError):
    code, title = "still_reading", "The lines are still being read; send the same again to wait on."


class StillRendering(TransientError):
    code, title = "still_rendering", "The document is still being written; ask again shortly."


class LineNotRead(TransientError):
    code, title = "line_not_read", "A line could not be read, each time it was tried."


# recognition


class RecognitionError(TransientError):
    """A line could not be read for a reason of ours; once retries are used up its code is stored on the line."""


class WorkerCrash(RecognitionError):
    code, title = "worker_crash", "The worker died each time it read this line."


class RecognitionFailed(RecognitionError):
    code, title = "recognition_failed", "The line could not be read, each time it was tried."


class RecognitionTimeout(RecognitionError):
    code, title = "timeout", "The line took too long to read each time it was tried."


class OutOfMemory(RecognitionError):
    code, title = "out_of_memory", "The line does not fit into the model's memory, even alone."


class DeviceLost(RecognitionError):
    code, title = "device_lost", "The accelerator failed and needs a new process."


class SandboxUnavailable(RecognitionError):
    code, title = "sandbox_unavailable", "The process that decodes images could not be started."


# operator


class ModelUnusable(CallerError):
    """What the operator must change before a worker can start; its detail names the file or the setting."""

    code, title = "model_unusable", "The model cannot be loaded."


class LinesUnusable(CallerError):
    """What must change before a model can be evaluated on these lines; its detail names the file."""

    code, title = "lines_unusable", "The lines to evaluate on cannot be read."
