"""What of a text a format can carry."""

import re

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, production 2
_LINE_BREAK = re.compile("\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")  # all that str.splitlines takes for one
_JOINERS = "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def encodable(text: str) -> str:
    """Replace what UTF-8 cannot encode."""
    return _LONE_SURROGATE.sub(_REPLACEMENT, text)


def xml_text(text: str) -> str:
    """Replace what an XML document cannot hold, escaped or not."""
    return _NOT_IN_XML.sub(_REPLACEMENT, text)


def single_line(text: str) -> str:
    """Write a blank for each line break: a field's typed text may have some."""
    return _LINE_BREAK.sub(" ", text)


def printable(text: str) -> str:
    """Write a blank for each kind of space, and leave out what has no shape but for what joins and parts letters."""
    return "".join(
        " " if character.isspace() else character
        for character in encodable(text)
        if character.isspace() or character.isprintable() or character in _JOINERS
    )
