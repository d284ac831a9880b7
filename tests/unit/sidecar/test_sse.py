"""The event stream codec: what a whole event is, wherever the bytes were cut."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar import sse
from sidecar.sse import (
    EventTooLong,
    SseDecoder,
    SseEvent,
    SseSplitter,
    encode_event,
    event_end,
    marked_events,
    parse_events,
    split_events,
)

TRANSCRIPT = (
    b"\xef\xbb\xbfdata: one\n\n"
    b": a comment\n\n"
    b"event: named\r\ndata: two\r\n\r\n"
    b"data:three\rdata: more\r\r"
    b"id: 7\nretry: 10\n\n"
    b"data: four\r\n\n"
    b"data: five\n\r\n"
    b"data\n\n"
    b'data: {"text": "\xc3\xa9"}\n\n'
)
EVENTS = [
    SseEvent("message", b"one"),
    SseEvent("named", b"two"),
    SseEvent("message", b"three\nmore"),
    SseEvent("message", b"four"),
    SseEvent("message", b"five"),
    SseEvent("message", b""),
    SseEvent("message", b'{"text": "\xc3\xa9"}'),
]


def pieces_of(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


def decode_all(pieces: list[bytes]) -> list[SseEvent]:
    decoder = SseDecoder()
    return [event for piece in pieces for event in decoder.feed(piece)] + decoder.finish()


@pytest.mark.parametrize(
    ("data", "events"),
    [
        (b"data: a\n\n", [SseEvent("message", b"a")]),
        (b"data:a\n\n", [SseEvent("message", b"a")]),
        (b"data:  a\n\n", [SseEvent("message", b" a")]),
        (b"data: a\r\n\r\n", [SseEvent("message", b"a")]),
        (b"data: a\r\rdata: b\r\r", [SseEvent("message", b"a"), SseEvent("message", b"b")]),
        (b"data: a\ndata: b\n\n", [SseEvent("message", b"a\nb")]),
        (b"event: x\ndata: a\n\n", [SseEvent("x", b"a")]),
        (b"event:\ndata: a\n\n", [SseEvent("message", b"a")]),
        (b"event: x\n\ndata: a\n\n", [SseEvent("message", b"a")]),
        (b"\n\n\ndata: a\n\n\n\n\ndata: b\n\n", [SseEvent("message", b"a"), SseEvent("message", b"b")]),
        (b": ping\n\n:\n\ndata: a\n\n", [SseEvent("message", b"a")]),
        (b"unknown: x\ndata: a\nid: 1\n\n", [SseEvent("message", b"a")]),
        (b"data: a:b\n\n", [SseEvent("message", b"a:b")]),
        (b"", []),
    ],
)
def test_events_are_read_as_the_standard_says(data: bytes, events: list[SseEvent]) -> None:
    assert decode_all([data]) == events


def test_the_transcript_reads_as_its_events() -> None:
    assert decode_all([TRANSCRIPT]) == EVENTS


@given(st.lists(st.integers(0, len(TRANSCRIPT))))
def test_events_do_not_depend_on_where_the_bytes_were_cut(cuts: list[int]) -> None:
    assert decode_all(pieces_of(TRANSCRIPT, cuts)) == EVENTS


LINE_ENDS = st.sampled_from(["\n", "\r", "\r\n"])


@given(
    st.lists(st.tuples(st.sampled_from(["data: a", "data: b c", ": x", "event: n", "", ""]), LINE_ENDS), max_size=30),
    st.lists(st.integers(0, 400)),
)
def test_any_mixture_of_line_ends_reads_the_same_however_it_is_cut(
    lines: list[tuple[str, str]], cuts: list[int]
) -> None:
    data = "".join(line + end for line, end in lines).encode()
    decoded = decode_all(pieces_of(data, cuts))
    unified = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    assert decoded == decode_all([unified])


@given(st.lists(st.integers(0, len(TRANSCRIPT))))
def test_the_splitter_hands_on_every_byte_in_whole_events(cuts: list[int]) -> None:
    splitter = SseSplitter()
    handed_on = [splitter.feed(piece) for piece in pieces_of(TRANSCRIPT, cuts)]
    assert b"".join(handed_on) + splitter.finish() == TRANSCRIPT
    for whole in filter(None, handed_on):
        assert whole.endswith((b"\n\n", b"\n\r\n", b"\r\r"))


def test_the_splitter_hands_on_whole_events_without_a_copy() -> None:
    data = b"data: a\n\ndata: b\n\n"
    assert SseSplitter().feed(data) is data


def test_the_splitter_keeps_the_unfinished_event() -> None:
    splitter = SseSplitter()
    assert splitter.feed(b"data: a\n\ndata: b") == b"data: a\n\n"
    assert splitter.feed(b"\n") == b""
    assert splitter.feed(b"\ndata: c") == b"data: b\n\n"
    assert splitter.finish() == b"data: c"


def test_a_carriage_return_at_the_edge_waits_for_its_line_feed() -> None:
    splitter = SseSplitter()
    assert splitter.feed(b"data: a\r\n\r") == b""
    assert splitter.feed(b"\ndata: b") == b"data: a\r\n\r\n"


def test_an_event_may_be_as_large_as_the_limit_and_no_larger(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 32)
    decoder = SseDecoder()
    decoder.feed(b"x" * 32)
    with pytest.raises(EventTooLong, match="32 bytes"):
        decoder.feed(b"x")


def test_a_last_event_without_its_blank_line_counts_and_half_a_line_does_not() -> None:
    assert decode_all([b"data: a\n\ndata: [DONE]\n"]) == [SseEvent("message", b"a"), SseEvent("message", b"[DONE]")]
    assert decode_all([b'data: a\n\ndata: {"half']) == [SseEvent("message", b"a")]


@given(st.lists(st.integers(0, 3)))
def test_split_events_keeps_every_byte(picks: list[int]) -> None:
    blocks = [b"data: a\n\n", b"data: b\r\n\r\n", b": c\r\r", b"event: d\r\ndata: d\r\n\n"]
    whole = b"".join(blocks[pick] for pick in picks)
    assert split_events(whole) == [blocks[pick] for pick in picks]
    assert b"".join(split_events(whole + b"rest")) == whole + b"rest"


@pytest.mark.parametrize(
    ("data", "event", "encoded"),
    [
        (b"{}", None, b"data: {}\n\n"),
        (b"{}", "ping", b"event: ping\ndata: {}\n\n"),
        (b"a\nb", None, b"data: a\ndata: b\n\n"),
    ],
)
def test_an_event_is_written_so_that_it_reads_back(data: bytes, event: str | None, encoded: bytes) -> None:
    assert encode_event(data, event) == encoded
    assert decode_all([encoded]) == [SseEvent(event or "message", data)]


MARKS = (re.compile(rb'"usage"'), re.compile(rb"DONE"))
PIECES = st.lists(
    st.sampled_from(
        [
            b"data: a\n\n",
            b"data: b\r\n\r\n",
            b": ping\n\n",
            b"data: DONE\n\n",
            b'data: "usage"\n\n',
            b'data: "usage" DONE\n\n',
        ]
    )
)


@given(PIECES, st.sampled_from([b"", b"data: cut", b'data: "usage"']))
def test_events_that_hold_a_mark_come_alone_and_nothing_is_lost(events: list[bytes], rest: bytes) -> None:
    whole = b"".join(events) + rest
    found = list(marked_events(whole, MARKS))
    assert b"".join(piece for piece, _ in found) == whole
    expected = [piece for piece in (*events, rest) if any(mark.search(piece) for mark in MARKS)]
    assert [piece for piece, is_marked in found if is_marked] == expected


def test_an_event_ends_with_its_blank_line() -> None:
    whole = b"data: a\n\ndata: b\r\n\r\ndata: c"
    assert [event_end(whole, at) for at in (0, 9, 20)] == [9, 20, len(whole)]


@pytest.mark.parametrize(
    ("rest", "event"),
    [
        (b"data: 1\n", b"data: 1\n\n"),
        (b"data: 1\r\n", b"data: 1\r\n\n"),
        (b"data: 1\r", b"data: 1\r\n\n"),
        (b"data: 1", b""),
        (b"", b""),
    ],
)
def test_a_last_event_gets_the_blank_line_that_never_came(rest: bytes, event: bytes) -> None:
    splitter = SseSplitter()
    assert splitter.feed(rest) == b""
    assert splitter.last_event() == event
    assert [found.data for found in parse_events(event + b"data: 2\n\n")] == ([b"1", b"2"] if event else [b"2"])
