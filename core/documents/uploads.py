"""Form PDFs as they are uploaded: in base64 or as bytes. Only their size and their first bytes are looked at here."""

from core.base64_data import BadUpload, Kind, decode_data
from core.settings import Limits

PDF = Kind(
    noun="document",
    article="A",
    too_large="document_too_large",
    media_types=("application/pdf",),
    aliases={"application/x-pdf": "application/pdf"},
)
_MARK = b"%PDF-"
_MARK_WITHIN = 1_024  # viewers look for it so far; scanners and mail gateways put bytes before it
_LEAST_BYTES = 60  # a catalog and a page take more, even where nothing else is


def decode_pdf(text: str, limits: Limits) -> bytes:
    """Return the document in a field of a JSON body.

    Raises:
        BadUpload: it is not base64, too large, of another media type, or no PDF by its first bytes.
    """
    data, claimed = decode_data(text, PDF, limits.max_document_bytes)
    return check_pdf(data, claimed, limits)


def check_pdf(data: bytes, claimed: str | None, limits: Limits) -> bytes:
    """Return the document if its size, its first bytes and its claimed media type are acceptable.

    Raises:
        BadUpload: one of them is not.
    """
    PDF.check_size(len(data), limits.max_document_bytes)
    mark = data.find(_MARK, 0, _MARK_WITHIN)
    if mark < 0 or len(data) - mark < _LEAST_BYTES:
        raise BadUpload("invalid_pdf", "The bytes are no PDF, or end soon after their header.")
    if claimed is not None and not PDF.accepts(claimed):
        raise BadUpload("type_mismatch", f"Said to be {claimed}, but the bytes are a PDF.")
    return data
