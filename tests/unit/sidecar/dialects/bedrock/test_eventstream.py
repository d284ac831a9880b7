"""Our decoder of `application/vnd.amazon.eventstream` reads what AWS' own does, and refuses what that refuses."""

import struct
from collections.abc import Iterable
from itertools import pairwise

import pytest
from botocore.eventstream import ChecksumMismatch, EventStreamBuffer, ParserError
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.dialects.bedrock.eventstream import MAX_FRAME_BYTES, BadFrame, Frame, FrameDecoder
from tests.fakes.eventstream import encode_frame, encode_prelude, encode_raw, header_name, text_header

QUICK = settings(max_examples=60, deadline=None)

VALUES = st.one_of(
    st.sampled_from([b"\x00", b"\x01"]),
    st.integers(-128, 127).map(lambda n: b"\x02" + struct.pack("!b", n)),
    st.integers(-(2**15), 2**15 - 1).map(lambda n: b"\x03" + struct.pack("!h", n)),
    st.integers(-(2**31), 2**31 - 1).map(lambda n: b"\x04" + struct.pack("!i", n)),
    st.integers(-(2**63), 2**63 - 1).map(lambda n: b"\x05" + struct.pack("!q", n)),
    st.binary(max_size=20).map(lambda data: b"\x06" + struct.pack("!H", len(data)) + data),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20).map(text_header),
    st.integers(0, 2**63 - 1).map(lambda n: b"\x08" + struct.pack("!q", n)),
    st.binary(min_size=16, max_size=16).map(lambda data: b"\x09" + data),
)
HEADERS = st.dictionaries(st.from_regex(r":?[a-z-]{1,12}", fullmatch=True), VALUES, max_size=5)
FRAMES = st.builds(encode_frame, HEADERS, st.binary(max_size=60))
GOOD = encode_frame({":event-type": text_header("metadata"), ":message-type": text_header("event")}, b'{"usage":{}}')


def ours(pieces: Iterable[bytes]) -> list[Frame]:
    decoder = FrameDecoder()
    return [frame for piece in pieces for frame in decoder.feed(piece)]


def until_bad(sent: bytes) -> list[Frame]:
    """The frames before the bad one, which there must be."""
    seen: list[Frame] = []
    try:
        for frame in FrameDecoder().feed(sent):
            seen.append(frame)
    except BadFrame:
        return seen
    raise AssertionError("every frame was good")


def theirs(sent: bytes) -> list[Frame]:
    buffer = EventStreamBuffer()
    buffer.add_data(sent)
    return [Frame(event.headers, event.payload) for event in buffer]


@QUICK
@given(st.lists(FRAMES, max_size=4), st.lists(st.integers(0, 500), max_size=6))
def test_frames_are_what_botocore_reads_wherever_the_bytes_are_cut(frames: list[bytes], cuts: list[int]) -> None:
    sent = b"".join(frames)
    edges = [0, *sorted(min(cut, len(sent)) for cut in cuts), len(sent)]
    assert ours(sent[start:stop] for start, stop in pairwise(edges)) == theirs(sent)
    assert ours(bytes([byte]) for byte in sent) == theirs(sent)


@QUICK
@given(FRAMES, st.integers(0, 10_000), st.integers(1, 255))
def test_a_frame_with_one_wrong_byte_is_refused_and_the_one_before_it_is_not(frame: bytes, at: int, flip: int) -> None:
    at %= len(frame)
    broken = frame[:at] + bytes([frame[at] ^ flip]) + frame[at + 1 :]
    with pytest.raises(ParserError):
        theirs(broken)
    assert until_bad(GOOD + broken) == theirs(GOOD)


@QUICK
@given(st.binary(max_size=200))
def test_any_bytes_are_frames_or_refused(sent: bytes) -> None:
    try:
        assert ours([sent]) == theirs(sent)
    except BadFrame:
        with pytest.raises((ParserError, struct.error, KeyError, UnicodeDecodeError)):
            theirs(sent)


@QUICK
@given(st.binary(max_size=60))
def test_any_headers_in_a_sound_frame_are_read_or_refused(headers: bytes) -> None:
    frame = encode_raw(headers, b"{}")
    decoder = FrameDecoder()
    try:
        frames = list(decoder.feed(frame))
    except BadFrame:
        return
    assert frames == theirs(frame)


@pytest.mark.parametrize(
    ("headers", "says"),
    [
        (header_name("a") + text_header("1") + header_name("a") + text_header("2"), "twice"),
        (header_name("a") + b"\x0a", "unknown type 10"),
        (header_name("a") + b"\x07\x00\x09abc", "amid a value"),
        (header_name("a") + b"\x07\x00\x01\xff", "cannot be read"),
        (header_name("a"), "cannot be read"),
        (header_name("a") + b"\x04\x00", "cannot be read"),
    ],
)
def test_broken_headers_are_refused_though_their_checksum_is_right(headers: bytes, says: str) -> None:
    with pytest.raises(BadFrame, match=says):
        list(FrameDecoder().feed(encode_raw(headers, b"{}")))


@pytest.mark.parametrize(("total", "headers"), [(MAX_FRAME_BYTES + 1, 0), (15, 0), (100, 90), (1 << 20, 1 << 18)])
def test_a_length_that_cannot_be_is_refused_before_its_bytes_are_waited_for(total: int, headers: int) -> None:
    with pytest.raises(BadFrame):
        list(FrameDecoder().feed(encode_prelude(total, headers)))


def test_botocore_refuses_the_same_wrong_checksum() -> None:
    with pytest.raises(ChecksumMismatch):
        theirs(GOOD[:-1] + bytes([GOOD[-1] ^ 1]))
    with pytest.raises(BadFrame, match="checksum of a frame does"):
        ours([GOOD[:-1] + bytes([GOOD[-1] ^ 1])])
