"""Plain text: a line of text a line, in the order of the job. A line without a text is empty, so numbers match."""

from core.transcripts.texts import encodable, single_line
from core.transcripts.transcript import Transcript


def write_txt(transcript: Transcript) -> bytes:
    """Return the texts as UTF-8; each line ends in LF."""
    return "".join(encodable(single_line(line.text or "")) + "\n" for line in transcript.lines).encode()
