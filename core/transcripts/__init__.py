"""The texts of a finished job in the formats that form and archive systems read.

    transcript.py     the values that everything here is written from
    formats.py        which formats there are, under which names, and which one a caller wants
    texts.py          what of a text a format can carry
    sheets.py         pages and lines in pixels, for the formats that place text on a picture
    xml_files.py      what these formats have in common
    txt.py, csv_table.py, jsonl.py, page_xml.py, alto.py, hocr.py    a format each

A line that failed or was canceled keeps its place in every format, without a text; only a region on a page that the
document does not have is left out of PAGE, ALTO and hOCR, which have no place for it. Lines of the formats with places
are not split into words: a model reads a line as a whole, so words would get places and confidences that nobody
measured, and the other readings of a line (`alternatives`) are of all of it.
"""
