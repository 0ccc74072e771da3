import re

import pikepdf
from hypothesis import given, settings
from hypothesis import strategies as st

from core.documents.writing import WrittenLine
from core.transcripts.texts import printable
from worker.sandbox.pdf_text_layer import add_text_layer
from worker.sandbox.text_direction import visual_order

sides = st.floats(-1e6, 1e6, allow_nan=False)
lines = st.builds(WrittenLine, page=st.just(1), box=st.tuples(sides, sides, sides, sides), text=st.text())


def characters_of(font: pikepdf.Object) -> dict[str, str]:
    mappings = re.findall(
        r"<(\w{4})> <(\w+)>\n", font.ToUnicode.read_bytes().decode().partition("endcodespacerange")[2]
    )
    return {code: bytes.fromhex(character).decode("utf-16-be") for code, character in mappings}


@settings(deadline=None)
@given(st.lists(lines, max_size=5))
def test_whatever_the_texts_and_boxes_are_a_reader_gets_the_characters(written):
    with pikepdf.new() as pdf:
        page = pdf.add_blank_page()
        steps = len(list(add_text_layer(pdf, written)))

        texts = [text for line in written if (text := printable(line.text).strip())]
        assert steps == (1 if texts else 0)
        if texts:
            characters = characters_of(page.obj.Resources.Font.Inkpost)
            content = b"".join(part.read_bytes() for part in page.obj.Contents).decode()
            shown = re.findall(r"<(\w*)> Tj", content)
            assert [
                "".join(characters[codes[start : start + 4]] for start in range(0, len(codes), 4)) for codes in shown
            ] == list(map(visual_order, texts))
            assert "e" not in content.replace("ET", "").replace("Inkpost", "")  # no exponents: PDF has none
