"""PAGE XML 2019-07-15: a file describes exactly one page, so several pages are a ZIP of page-0001.xml and so on.

A line is a text region of its own, for the fields of a form are no paragraph. Readings are TextEquiv with rising
index, the best first; a line without a text keeps its place and has none. What PAGE has no word for (the line's
custom_id, its error and the like) stands in UserAttribute. The image named is the page as sheets.py draws it.
"""

import io
import zipfile

from core.representation import timestamp
from core.transcripts import xml_files
from core.transcripts.sheets import PlacedLine, Sheet, sheets_of
from core.transcripts.transcript import Transcript
from core.transcripts.xml_files import Element, add, share

NAMESPACE = "http://schema.primaresearch.org/PAGE/gts/pagecontent/2019-07-15"


def write_pages(transcript: Transcript) -> bytes:
    """Return the one page's file, or a ZIP of all pages' files if `is_archive`."""
    sheets = sheets_of(transcript)
    if len(sheets) == 1:
        return write_page(transcript, sheets[0])
    archive = io.BytesIO()
    written_at = transcript.finished_at.timetuple()[:6]
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as files:
        for sheet in sheets:
            entry = zipfile.ZipInfo(f"{sheet.name}.xml", written_at)
            files.writestr(entry, write_page(transcript, sheet), zipfile.ZIP_DEFLATED)
    return archive.getvalue()


def is_archive(transcript: Transcript) -> bool:
    """Say whether the job has more than one page."""
    return len(sheets_of(transcript)) > 1


def write_page(transcript: Transcript, sheet: Sheet) -> bytes:
    """Return the file of one page."""
    document = xml_files.root("PcGts", NAMESPACE, f"{NAMESPACE}/pagecontent.xsd")
    _add_metadata(document, transcript)
    page = add(
        document,
        "Page",
        {
            "imageFilename": f"{sheet.name}.png",
            "imageWidth": sheet.width,
            "imageHeight": sheet.height,
            "imageXResolution": sheet.dots_per_inch,
            "imageYResolution": sheet.dots_per_inch,
            "imageResolutionUnit": "PPI" if sheet.dots_per_inch else None,
        },
    )
    if sheet.lines:
        order = add(add(page, "ReadingOrder"), "OrderedGroup", {"id": "order"})
        for position, placed in enumerate(sheet.lines):
            region = f"region-{placed.line.index}"
            add(order, "RegionRefIndexed", {"index": position, "regionRef": region})
    for placed in sheet.lines:
        _add_region(page, placed)
    return xml_files.file_of(document)


def _add_metadata(document: Element, transcript: Transcript) -> None:
    metadata = add(document, "Metadata", {"externalRef": transcript.job_id})
    add(metadata, "Creator", text=" ".join(xml_files.software()))
    add(metadata, "Created", text=timestamp(transcript.finished_at))
    add(metadata, "LastChange", text=timestamp(transcript.finished_at))
    model = {"type": "processingStep", "name": "model", "value": xml_files.model_of(transcript)}
    add(metadata, "MetadataItem", model)


def _add_region(page: Element, placed: PlacedLine) -> None:
    line, (left, top, right, bottom) = placed.line, placed.place
    corners = {"points": f"{left},{top} {right},{top} {right},{bottom} {left},{bottom}"}
    region = add(page, "TextRegion", {"id": f"region-{line.index}"})
    add(region, "Coords", corners)
    text_line = add(region, "TextLine", {"id": f"line-{line.index}"})
    add(text_line, "Coords", corners)
    text = xml_files.text_of(line)
    if text is not None:
        others = xml_files.other_readings(line)
        for index, (reading, confidence) in enumerate([(text, line.confidence), *others]):
            equivalent = add(text_line, "TextEquiv", {"index": index, "conf": share(confidence)})
            add(equivalent, "Unicode", text=reading)
    facts = xml_files.facts_of(line)
    if facts:
        defined = add(text_line, "UserDefined")
        for name, value in facts.items():
            add(defined, "UserAttribute", {"name": name, "type": "xsd:string", "value": value})
