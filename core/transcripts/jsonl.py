"""JSON Lines: an object a line, with the keys that a line has in the job's own JSON."""

import json
from typing import Any

from core.transcripts.texts import encodable
from core.transcripts.transcript import Transcript, TranscriptLine


def write_jsonl(transcript: Transcript) -> bytes:
    """Return the objects as UTF-8; each ends in LF."""
    lines = (json.dumps(_value(line), ensure_ascii=False, separators=(",", ":")) for line in transcript.lines)
    return "".join(encodable(line) + "\n" for line in lines).encode()


def _value(line: TranscriptLine) -> dict[str, Any]:
    error = None if line.error_code is None else {"code": line.error_code, "detail": line.error_detail}
    return {
        "index": line.index,
        "custom_id": line.custom_id,
        "page": line.page,
        "box": line.box,
        "status": line.status,
        "source": line.source,
        "text": line.text,
        "confidence": line.confidence,
        "min_token_confidence": line.min_token_confidence,
        "alternatives": [{"text": one.text, "confidence": one.confidence} for one in line.alternatives],
        "truncated": line.truncated,
        "needs_review": line.needs_review,
        "review_reasons": line.review_reasons,
        "error": error,
    }
