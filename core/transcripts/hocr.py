"""hOCR 1.2: all pages in one file that is XHTML and HTML alike, in pixels of sheets.py.

A line is an ocr_par with one ocr_line with one ocrx_word, not a word each: see the package's own words on that. There
is a word at all because the programs that read hOCR look for texts and `x_wconf`, 0 to 100, in words. A line without a
text has none. Other readings are left out: whoever takes the text of a page's elements would get all of them. What hOCR
has no word for (the line's custom_id, its error and the like) stands in data- attributes.
"""

from core.transcripts import xml_files
from core.transcripts.sheets import PlacedLine, Sheet, sheets_of
from core.transcripts.transcript import Transcript
from core.transcripts.xml_files import Element, add

_CAPABILITIES = "ocr_page ocr_par ocr_line ocrx_word ocrp_wconf"


def write_hocr(transcript: Transcript) -> bytes:
    """Return the file."""
    sheets = sheets_of(transcript)
    document = Element("html", {"xmlns": "http://www.w3.org/1999/xhtml"})
    head = add(document, "head")
    add(head, "title", text=transcript.job_id)
    system = f"{' '.join(xml_files.software())}, model {xml_files.model_of(transcript)}"
    add(head, "meta", {"charset": "utf-8"})
    add(head, "meta", {"name": "ocr-system", "content": system})
    add(head, "meta", {"name": "ocr-capabilities", "content": _CAPABILITIES})
    add(head, "meta", {"name": "ocr-langs", "content": "unknown"})
    add(head, "meta", {"name": "ocr-number-of-pages", "content": len(sheets)})
    body = add(document, "body")
    for sheet in sheets:
        _add_page(body, sheet)
    return xml_files.file_of(document, "<!DOCTYPE html>\n")


def _add_page(body: Element, sheet: Sheet) -> None:
    properties = [
        f'image "{sheet.name}.png"',
        f"bbox 0 0 {sheet.width} {sheet.height}",
        f"ppageno {sheet.number - 1}",
    ]
    if sheet.dots_per_inch:
        properties.append(f"scan_res {sheet.dots_per_inch} {sheet.dots_per_inch}")
    page = add(body, "div", {"class": "ocr_page", "id": sheet.name, "title": "; ".join(properties)})
    page.text = "\n"  # an element without content would be written <div />, which HTML takes for a start tag
    for placed in sheet.lines:
        _add_paragraph(page, placed)


def _add_paragraph(page: Element, placed: PlacedLine) -> None:
    line, place = placed.line, f"bbox {' '.join(map(str, placed.place))}"
    facts = {f"data-{name.replace('_', '-')}": value for name, value in xml_files.facts_of(line).items()}
    paragraph = add(page, "p", {"class": "ocr_par", "id": f"par-{line.index}", "title": place})
    text_line = add(paragraph, "span", {"class": "ocr_line", "id": f"line-{line.index}", "title": place, **facts})
    text = xml_files.text_of(line)
    if text:
        sure = "" if line.confidence is None else f"; x_wconf {round(min(max(line.confidence, 0.0), 1.0) * 100)}"
        word = {"class": "ocrx_word", "id": f"word-{line.index}", "title": place + sure}
        add(text_line, "span", word, text)
    else:
        text_line.text = " "
