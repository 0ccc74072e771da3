"""A page of the worst lines: image, reference, hypothesis and confidence side by side, in one file without scripts."""

import base64
import io
from collections.abc import Sequence
from html import escape

import jiwer
from PIL import Image

from core.errors import LineError
from worker.evaluation.evaluation import EvaluatedLine
from worker.evaluation.metrics import normalise
from worker.evaluation.report import Reader
from worker.line_image import LineImage

_MAX_WIDTH_PIXELS = 1000

_HEAD = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ font: 15px/1.4 system-ui, sans-serif; margin: 2rem; color: #1b1b1b; background: #fff }}
table {{ border-collapse: collapse; width: 100% }}
th, td {{ border-top: 1px solid #d0d0d0; padding: .5rem; text-align: left; vertical-align: top }}
td.text {{ font: 15px/1.5 ui-monospace, monospace; white-space: pre-wrap }}
td.number {{ text-align: right; white-space: nowrap }}
td.name {{ color: #555; font-size: 13px; word-break: break-all; max-width: 14rem }}
img {{ max-width: 520px; max-height: 160px; border: 1px solid #d0d0d0 }}
mark {{ background: #ffd7d7; color: inherit }}
</style>
<h1>{title}</h1>
<p>{summary}</p>
<table>
<tr><th>line<th>image<th>reference<th>hypothesis<th>edits<th>confidence<th>least certain token
"""
_ROW = """<tr><td class="name">{name}<td>{picture}<td class="text">{reference}<td class="text">{hypothesis}\
<td class="number">{edits}<td class="number">{confidence:.3f}<td class="number">{least:.3f}
"""


def worst_page(reader: Reader, summary: str, lines: Sequence[tuple[EvaluatedLine, LineImage | LineError]]) -> str:
    """Return the page; every text from the data set or the model is escaped, every image re-encoded into the page."""
    title = escape(f"Worst lines of {reader.model}")
    rows = (_row(line, picture) for line, picture in lines)
    return _HEAD.format(title=title, summary=escape(summary)) + "".join(rows) + "</table>\n</html>\n"


def _row(line: EvaluatedLine, picture: LineImage | LineError) -> str:
    reference, hypothesis = marked(line.line.reference, line.transcription.text)
    return _ROW.format(
        name=escape(line.line.name),
        picture=escape(picture.code) if isinstance(picture, LineError) else _img(picture),
        reference=reference,
        hypothesis=hypothesis,
        edits=line.counts.character_edits,
        confidence=line.transcription.confidence,
        least=line.transcription.min_token_confidence,
    )


def marked(reference: str, hypothesis: str) -> tuple[str, str]:
    """Return both texts as HTML in which what differs is marked."""
    output = jiwer.process_characters(normalise(reference), normalise(hypothesis))
    true, read = "".join(output.references[0]), "".join(output.hypotheses[0])
    pieces: tuple[list[str], list[str]] = ([], [])
    for chunk in output.alignments[0]:
        ranges = (
            true[chunk.ref_start_idx : chunk.ref_end_idx],
            read[chunk.hyp_start_idx : chunk.hyp_end_idx],
        )
        for side, text in zip(pieces, ranges, strict=True):
            if text:
                side.append(escape(text) if chunk.type == "equal" else f"<mark>{escape(text)}</mark>")
    return "".join(pieces[0]), "".join(pieces[1])


def _img(picture: LineImage) -> str:
    image = Image.fromarray(picture.pixels)
    image.thumbnail((_MAX_WIDTH_PIXELS, _MAX_WIDTH_PIXELS))
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    data = base64.b64encode(file.getvalue()).decode("ascii")
    return f'<img alt="line image" src="data:image/png;base64,{data}">'
