"""Frames between a parent and its sandbox child: a fixed header, then exactly as many bytes as it announces.

The parent numbers its requests; the child serves them in order and repeats the number in each answer. A request has
one or more answers: how many is a matter between an entry module and the one who calls it. Nothing here trusts the
other side: whoever reads gives the largest payload it is ready to hold, and a frame beyond it ends the conversation.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum

HEADER = struct.Struct("<BII")  # kind, sequence, length of the payload in bytes
MAX_PAYLOAD_BYTES = 2**32 - 1

OUT_OF_MEMORY_EXIT = 77  # the child's exit status when a request does not fit into its memory


class Kind(IntEnum):
    """What a frame is."""

    READY = 1  # child -> parent, once: confined and able to work; the payload is JSON
    UNABLE = 2  # child -> parent, instead of READY: cannot work here; the payload is a sentence
    REQUEST = 3  # parent -> child: untrusted bytes
    ANSWER = 4  # child -> parent: what came of a request


_FROM_CHILD = frozenset({Kind.READY, Kind.UNABLE, Kind.ANSWER})


class ProtocolViolation(Exception):
    """The other side sent what the protocol does not allow; it must be taken for hostile."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame. The payload is writable, so that numpy can use it without another copy."""

    kind: Kind
    sequence: int
    payload: bytearray


class FrameReader:
    """Cut a byte stream into frames, never holding more than one frame beyond what was fed.

    `max_payload_bytes` bounds what a lying header can make us hold: the check comes before any payload is kept.
    """

    def __init__(self, max_payload_bytes: int) -> None:
        self._max_payload_bytes = max_payload_bytes
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """Take what was read and return every frame that it completes.

        Raises ProtocolViolation on anything else, though only once the frames before it have been returned: they
        answer other requests, and those must not pay for it. Feeding no data asks whether there is a violation.
        """
        self._buffer += data
        frames: list[Frame] = []
        start, end = 0, len(self._buffer)
        while end - start >= HEADER.size:
            kind, sequence, length = HEADER.unpack_from(self._buffer, start)
            if kind not in _FROM_CHILD or length > self._max_payload_bytes:
                if frames:
                    break
                raise ProtocolViolation("a frame of unknown kind or of impossible length")
            body = start + HEADER.size
            if end - body < length:
                break
            start = body + length
            frames.append(Frame(Kind(kind), sequence, self._buffer[body:start]))
        del self._buffer[:start]
        return frames
