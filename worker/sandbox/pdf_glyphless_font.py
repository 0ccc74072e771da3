"""A font of invisible glyphs, for text that is to be found, selected and copied but not seen. Child side only.

Every character gets the same glyph, half an em wide and one em high, so the text layer's geometry is plain arithmetic.
The glyph's outline is a line without an area: it has the box that viewers ask for, and paints nothing even where the
text's render mode is ignored. Readers learn the characters from the ToUnicode map alone. The font is embedded, since
PDF/A and some readers take no other.
"""

import struct
from collections.abc import Mapping

import pikepdf
from pikepdf import Array, Dictionary, Name

UNITS_PER_EM = 1000
ASCENT, DESCENT, WIDTH = 800, -200, 500
MAX_CHARACTERS = 0xFFFF

_FONT_NAME = Name("/InkpostGlyphless")
_MAGIC, _GLYPH_COUNT = 0x5F0F3CF5, 2
_MAPPINGS_PER_BLOCK = 100  # the most that a CMap may have in one block
_CMAP_HEAD = b"""/CIDInit /ProcSet findresource begin
12 dict begin
begincmap
/CIDSystemInfo << /Registry (Adobe) /Ordering (UCS) /Supplement 0 >> def
/CMapName /Adobe-Identity-UCS def
/CMapType 2 def
1 begincodespacerange
<0000> <FFFF>
endcodespacerange
"""
_CMAP_TAIL = b"""endcmap
CMapName currentdict /CMap defineresource pop
end
end
"""


def glyphless_font(pdf: pikepdf.Pdf, codes: Mapping[str, int]) -> pikepdf.Object:
    """Return a font in which each of these characters has its code, from 1 to MAX_CHARACTERS, two bytes long."""
    program = _font_program()
    descriptor = Dictionary(
        Type=Name.FontDescriptor,
        FontName=_FONT_NAME,
        Flags=5,  # of fixed pitch, with characters outside of the Latin set
        FontBBox=Array([0, DESCENT, WIDTH, ASCENT]),
        ItalicAngle=0,
        Ascent=ASCENT,
        Descent=DESCENT,
        CapHeight=ASCENT,
        StemV=80,
        FontFile2=pdf.make_stream(program, Length1=len(program)),
    )
    descendant = Dictionary(
        Type=Name.Font,
        Subtype=Name.CIDFontType2,
        BaseFont=_FONT_NAME,
        CIDSystemInfo=Dictionary(Registry=b"Adobe", Ordering=b"Identity", Supplement=0),
        FontDescriptor=pdf.make_indirect(descriptor),
        DW=WIDTH,
        CIDToGIDMap=pdf.make_stream(b"\0\0" + b"\0\1" * len(codes)),
    )
    font = Dictionary(
        Type=Name.Font,
        Subtype=Name.Type0,
        BaseFont=_FONT_NAME,
        Encoding=Name("/Identity-H"),
        DescendantFonts=Array([pdf.make_indirect(descendant)]),
        ToUnicode=pdf.make_stream(_to_unicode(codes)),
    )
    return pdf.make_indirect(font)


def _to_unicode(codes: Mapping[str, int]) -> bytes:
    mappings = [
        f"<{code:04X}> <{character.encode('utf-16-be').hex().upper()}>\n".encode() for character, code in codes.items()
    ]
    body = b""
    for start in range(0, len(mappings), _MAPPINGS_PER_BLOCK):
        block = mappings[start : start + _MAPPINGS_PER_BLOCK]
        body += b"%d beginbfchar\n%sendbfchar\n" % (len(block), b"".join(block))
    return _CMAP_HEAD + body + _CMAP_TAIL


def _font_program() -> bytes:
    """Return a TrueType font with the tables that ISO 32000 asks of an embedded one: an empty glyph and ours."""
    outline = struct.pack(
        ">hhhhh HH BB hh hh", 1, 0, DESCENT, WIDTH, ASCENT, 1, 0, 1, 1, 0, WIDTH, DESCENT, ASCENT - DESCENT
    )
    outline += b"\0" * (-len(outline) % 4)
    box = (0, DESCENT, WIDTH, ASCENT)
    tables = {
        b"glyf": outline,
        b"head": struct.pack(
            ">IIIIHHqqhhhhHHhhh", 0x10000, 0x10000, 0, _MAGIC, 0, UNITS_PER_EM, 0, 0, *box, 0, 8, 2, 0, 0
        ),
        b"hhea": struct.pack(
            ">IhhhHhhhhhhhhhhhH",
            0x10000, ASCENT, DESCENT, 0, WIDTH, 0, 0, WIDTH, 1, 0, 0, 0, 0, 0, 0, 0, _GLYPH_COUNT,
        ),
        b"hmtx": struct.pack(">HhHh", WIDTH, 0, WIDTH, 0),
        b"loca": struct.pack(">HHH", 0, 0, len(outline) // 2),
        b"maxp": struct.pack(">IHHHHHHHHHHHHHH", 0x10000, _GLYPH_COUNT, 2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0),
    }  # fmt: skip
    return _assembled(tables)


def _assembled(tables: Mapping[bytes, bytes]) -> bytes:
    """Return the tables behind their directory, with their checksums and that of the whole."""
    power = len(tables).bit_length() - 1
    directory = struct.pack(">IHHHH", 0x10000, len(tables), 16 << power, power, 16 * (len(tables) - (1 << power)))
    position = len(directory) + 16 * len(tables)
    body = b""
    head_at = 0
    for name, table in sorted(tables.items()):
        if name == b"head":
            head_at = position + len(body)
        directory += struct.pack(">4sIII", name, _checksum(table), position + len(body), len(table))
        body += table + b"\0" * (-len(table) % 4)
    program = bytearray(directory + body)
    struct.pack_into(">I", program, head_at + 8, (0xB1B0AFBA - _checksum(program)) & 0xFFFFFFFF)
    return bytes(program)


def _checksum(data: bytes | bytearray) -> int:
    padded = bytes(data) + b"\0" * (-len(data) % 4)
    words: tuple[int, ...] = struct.unpack(f">{len(padded) // 4}I", padded)
    return sum(words) & 0xFFFFFFFF
