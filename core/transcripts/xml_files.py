"""What the XML formats have in common: how a file is built and what it says of the job and of each line."""

from collections.abc import Mapping
from importlib.metadata import version
from xml.etree import ElementTree

from core.transcripts.texts import single_line, xml_text
from core.transcripts.transcript import Transcript, TranscriptLine
from core.words import LineSource, LineStatus

Element = ElementTree.Element

_SCHEMA_INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"


def root(name: str, namespace: str, schema: str) -> Element:
    """Return the root element of a file that follows the schema at this address."""
    return Element(
        name,
        {
            "xmlns": namespace,
            "xmlns:xsi": _SCHEMA_INSTANCE,
            "xsi:schemaLocation": f"{namespace} {schema}",
        },
    )


def add(parent: Element, name: str, attributes: Mapping[str, object] | None = None, text: str | None = None) -> Element:
    """Append an element; None among the attributes leaves one out. Texts become what XML can hold."""
    given = {key: xml_text(str(value)) for key, value in (attributes or {}).items() if value is not None}
    element = ElementTree.SubElement(parent, name, given)
    element.text = None if text is None else xml_text(text)
    return element


def file_of(element: Element, doctype: str = "") -> bytes:
    """Write the file, indented by one blank a level, as UTF-8."""
    ElementTree.indent(element, " ")
    head = f'<?xml version="1.0" encoding="UTF-8"?>\n{doctype}'
    return (head + ElementTree.tostring(element, encoding="unicode") + "\n").encode()


def text_of(line: TranscriptLine) -> str | None:
    """Return the text as one line, which is what the element that holds it stands for."""
    return None if line.text is None else single_line(line.text)


def other_readings(line: TranscriptLine) -> list[tuple[str, float]]:
    """Return the alternatives but the first, which is the text itself, with their confidences."""
    return [(single_line(one.text), one.confidence) for one in line.alternatives[1:]]


def share(confidence: float | None) -> str | None:
    """Write a confidence, 0 to 1."""
    return None if confidence is None else f"{min(max(confidence, 0.0), 1.0):.4f}"


def facts_of(line: TranscriptLine) -> dict[str, str]:
    """Return what a line's place and text do not tell, by the names of the job's own JSON."""
    facts: dict[str, str] = {}
    if line.custom_id is not None:
        facts["custom_id"] = line.custom_id
    if line.source is LineSource.TYPED:
        facts["source"] = line.source
    if line.status is not LineStatus.SUCCEEDED:
        facts["status"] = line.status
    if line.needs_review:
        facts["needs_review"] = "true"
    if line.error_code is not None:
        facts["error"] = line.error_code
    return facts


def software() -> tuple[str, str]:
    """Return the name and version of what wrote the file."""
    return "Inkpost", version("inkpost")


def model_of(transcript: Transcript) -> str:
    """Return the model with its revision, if that is known."""
    return transcript.model + (f"@{transcript.model_revision}" if transcript.model_revision else "")
