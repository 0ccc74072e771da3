"""ALTO 4.4: all pages in one file, in pixels of sheets.py.

A line is a TextBlock with one TextLine with one String, not a String a word: see the package's own words on that. WC is
the line's confidence; CC would be that of each character, with 0 for sure, and nobody knows it. Other readings are
ALTERNATIVE with the purpose `recognition`, the best first: ALTO has no place for a reading of several characters that
would fit better, nor for its confidence. A line without a text is a block without one. What ALTO has no word for (the
line's custom_id, its error and the like) are tags.
"""

from core.representation import timestamp
from core.transcripts import xml_files
from core.transcripts.sheets import PlacedLine, Sheet, sheets_of
from core.transcripts.transcript import Transcript
from core.transcripts.xml_files import Element, add, share

NAMESPACE = "http://www.loc.gov/standards/alto/ns-v4#"

_STEP = "recognition"


def write_alto(transcript: Transcript) -> bytes:
    """Return the file."""
    document = xml_files.root("alto", NAMESPACE, "http://www.loc.gov/standards/alto/v4/alto-4-4.xsd")
    document.set("SCHEMAVERSION", "4.4")
    _add_description(document, transcript)
    tags = _Tags(transcript)
    tags.add_to(document)
    layout = add(document, "Layout")
    for sheet in sheets_of(transcript):
        _add_page(layout, sheet, tags)
    return xml_files.file_of(document)


class _Tags:
    """The facts that lines refer to: one tag for each, however many lines have it."""

    def __init__(self, transcript: Transcript) -> None:
        self._ids: dict[tuple[str, str], str] = {}
        for line in transcript.lines:
            for fact in xml_files.facts_of(line).items():
                self._ids.setdefault(fact, f"tag-{len(self._ids)}")

    def add_to(self, document: Element) -> None:
        if self._ids:
            tags = add(document, "Tags")
            for (kind, value), tag_id in self._ids.items():
                add(tags, "OtherTag", {"ID": tag_id, "TYPE": kind, "LABEL": value})

    def references(self, placed: PlacedLine) -> str | None:
        return " ".join(self._ids[fact] for fact in xml_files.facts_of(placed.line).items()) or None


def _add_description(document: Element, transcript: Transcript) -> None:
    description = add(document, "Description")
    add(description, "MeasurementUnit", text="pixel")
    add(add(description, "sourceImageInformation"), "documentIdentifier", text=transcript.job_id)
    step = add(description, "Processing", {"ID": _STEP})
    add(step, "processingCategory", text="contentGeneration")
    add(step, "processingDateTime", text=timestamp(transcript.finished_at))
    add(step, "processingStepDescription", text="handwriting recognition")
    add(step, "processingStepSettings", text=f"model {xml_files.model_of(transcript)}")
    name, version = xml_files.software()
    programme = add(step, "processingSoftware")
    add(programme, "softwareName", text=name)
    add(programme, "softwareVersion", text=version)


def _add_page(layout: Element, sheet: Sheet, tags: _Tags) -> None:
    size = {"HEIGHT": sheet.height, "WIDTH": sheet.width}
    page = add(
        layout,
        "Page",
        {
            "ID": sheet.name,
            "PHYSICAL_IMG_NR": sheet.number,
            "PRINTED_IMG_NR": sheet.label,
            "PROCESSINGREFS": _STEP,
            **size,
        },
    )
    space = add(page, "PrintSpace", {"HPOS": 0, "VPOS": 0, **size})
    for placed in sheet.lines:
        _add_block(space, placed, tags)


def _add_block(space: Element, placed: PlacedLine, tags: _Tags) -> None:
    line, (left, top, right, bottom) = placed.line, placed.place
    place = {"HPOS": left, "VPOS": top, "WIDTH": right - left, "HEIGHT": bottom - top}
    block = add(space, "TextBlock", {"ID": f"block-{line.index}", "TAGREFS": tags.references(placed), **place})
    text = xml_files.text_of(line)
    if text is None:
        return
    text_line = add(block, "TextLine", {"ID": f"line-{line.index}", **place})
    string = add(text_line, "String", {"CONTENT": text, "WC": share(line.confidence), **place})
    for reading, _ in xml_files.other_readings(line):
        add(string, "ALTERNATIVE", {"PURPOSE": "recognition"}, reading)
