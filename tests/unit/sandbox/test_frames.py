"""The parent's side of the protocol, fed with what an honest and a hostile child may send."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.sandbox.protocol import HEADER, FrameReader, Kind, ProtocolViolation


def frame(sequence: int, payload: bytes, kind: int = Kind.ANSWER) -> bytes:
    return HEADER.pack(kind, sequence, len(payload)) + payload


@given(st.lists(st.binary(max_size=50), max_size=8), st.lists(st.integers(1, 40), min_size=1, max_size=20))
def test_frames_come_out_whole_however_the_stream_is_cut(payloads: list[bytes], cuts: list[int]) -> None:
    # given
    stream = b"".join(frame(number, payload) for number, payload in enumerate(payloads))
    reader = FrameReader(max_payload_bytes=50)

    # when
    seen = []
    position = 0
    while position < len(stream):
        step = cuts[position % len(cuts)]
        seen += reader.feed(stream[position : position + step])
        position += step

    # then
    assert [(answer.sequence, bytes(answer.payload)) for answer in seen] == list(enumerate(payloads))


@pytest.mark.parametrize("kind", [0, Kind.REQUEST, 77, 255])
def test_a_frame_that_no_child_may_send_is_refused(kind: int) -> None:
    with pytest.raises(ProtocolViolation):
        FrameReader(100).feed(frame(1, b"", kind))


def test_a_length_beyond_the_limit_is_refused_before_a_byte_of_it_is_kept() -> None:
    with pytest.raises(ProtocolViolation):
        FrameReader(100).feed(HEADER.pack(Kind.ANSWER, 1, 101))


def test_a_good_frame_before_a_bad_one_still_counts() -> None:
    reader = FrameReader(100)

    good = reader.feed(frame(1, b"good") + frame(2, b"", 255))

    assert [bytes(answer.payload) for answer in good] == [b"good"]
    with pytest.raises(ProtocolViolation):
        reader.feed(b"")
