"""Server-sent events: bytes in, events out (WHATWG HTML, "Parsing an event stream"). No I/O."""

import re
from collections.abc import Iterator, Sequence

import msgspec

MAX_EVENT_BYTES = 16 << 20
"""An event that carries an inline image fits; anything larger means a peer gone wrong."""

_SEAM_BYTES = 3
"""A blank line that was cut in two has at most this much of it in the bytes before: CR LF CR."""

_EVENT = re.compile(rb".+?(?>\r\n|\n|\r){2,}", re.DOTALL)
"""Atomic, as CR LF is one line end and must never be taken for two."""

BOM = b"\xef\xbb\xbf"
"""May stand before the first event, and means nothing."""


class SseEvent(msgspec.Struct, frozen=True, gc=False):
    event: str
    """`message` where the stream names none."""
    data: bytes


class EventTooLong(ValueError):
    """An event grew past `MAX_EVENT_BYTES` without ending."""


class SseSplitter:
    """Cuts a stream after its last whole event, and leaves every byte as it came.

    Keeps the one unfinished event. A stream that arrives event by event is handed on without a copy.
    """

    __slots__ = ("_tail",)

    def __init__(self) -> None:
        self._tail = bytearray()

    def feed(self, data: bytes) -> bytes:
        """All whole events so far; empty while the first is unfinished.

        Raises:
            EventTooLong: the unfinished event is larger than `MAX_EVENT_BYTES`.
        """
        tail = self._tail
        if not tail and data.endswith((b"\n\n", b"\r\n\r\n")):
            return data
        seam = bytes(tail[-_SEAM_BYTES:])
        # A boundary that ends in the seam can only be one that waited for its LF: the cut is never below zero.
        cut = _last_boundary(seam + data) - len(seam)
        if cut < 0:
            tail += data
            whole = b""
        else:
            whole = bytes(tail) + data[:cut]
            self._tail = tail = bytearray(data[cut:])
        if len(tail) > MAX_EVENT_BYTES:
            raise EventTooLong(f"an event is larger than {MAX_EVENT_BYTES} bytes")
        return whole

    def finish(self) -> bytes:
        """The unfinished rest. An event counts only if its blank line came, but a tap hands on what it was given."""
        rest = bytes(self._tail)
        self._tail = bytearray()
        return rest

    def last_event(self) -> bytes:
        """The unfinished rest, where its lines are whole and only the blank line after them never came; else nothing.

        Half a line is nothing that an SDK could read, and an error event may have to follow.
        """
        rest = self.finish()
        if rest.endswith(b"\r"):
            return rest + b"\n\n"  # one LF would only make a CRLF of it
        return rest + b"\n" if rest.endswith(b"\n") else b""


def _last_boundary(data: bytes) -> int:
    """Where the last event ends, its blank line included; 0 where none does."""
    if b"\r" not in data:
        return data.rfind(b"\n\n") + 2 if b"\n\n" in data else 0
    # A lone CR may be half of a CRLF: wait for one more byte.
    stop = len(data) - 1 if data.endswith(b"\r") else len(data)
    start = max(data.rfind(pair, 0, stop) for pair in (b"\n\n", b"\n\r", b"\r\r"))
    if start < 0:
        return 0
    end = start + 2
    return end + 1 if data[end - 1 : end + 1] == b"\r\n" else end


class SseDecoder:
    """Bytes to events, wherever the bytes were cut."""

    __slots__ = ("_begun", "_splitter")

    def __init__(self) -> None:
        self._splitter = SseSplitter()
        self._begun = False

    def feed(self, data: bytes) -> list[SseEvent]:
        """The events that are whole by now.

        Raises:
            EventTooLong: the unfinished event is larger than `MAX_EVENT_BYTES`.
        """
        whole = self._splitter.feed(data)
        return self._parse(whole) if whole else []

    def finish(self) -> list[SseEvent]:
        """The last event, where its lines are whole and only the blank line after them never came.

        The standard would discard it; a server that closes right after its last line has said all the same.
        """
        rest = self._splitter.finish()
        return self._parse(rest) if rest.endswith((b"\n", b"\r")) else []

    def _parse(self, whole: bytes) -> list[SseEvent]:
        if not self._begun:
            self._begun = True
            whole = whole.removeprefix(BOM)
        return parse_events(whole)


def parse_events(whole: bytes) -> list[SseEvent]:
    """The events of bytes that end where an event ends. Comments and events without data are left out."""
    if b"\r" in whole:
        whole = whole.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    events = []
    for block in whole.split(b"\n\n"):
        # By far the most common event: one line of data, and no name.
        if block.startswith(b"data: ") and b"\n" not in block:
            events.append(SseEvent("message", block[6:]))
        elif block and (event := _parse_block(block)) is not None:
            events.append(event)
    return events


def _parse_block(block: bytes) -> SseEvent | None:
    name = b""
    data: list[bytes] = []
    for line in block.split(b"\n"):
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value
    if not data:
        return None
    return SseEvent(name.decode("utf-8", "replace") or "message", b"\n".join(data))


def split_events(whole: bytes) -> list[bytes]:
    """The same bytes, event by event, each with its blank line: for who must take one event out and touch no other."""
    pieces = _EVENT.findall(whole)
    taken = sum(map(len, pieces))
    return pieces if taken == len(whole) else [*pieces, whole[taken:]]


def event_end(whole: bytes, at: int) -> int:
    """The offset behind the event that begins at `at`, its blank line included; the end where none ends it."""
    found = _EVENT.match(whole, at)
    return len(whole) if found is None else found.end()


def marked_events(whole: bytes, marks: Sequence[re.Pattern[bytes]]) -> Iterator[tuple[bytes, bool]]:
    """The same bytes in order: each event that holds a mark on its own, and what lies between in one piece.

    Each mark starts with literal bytes: a search for those is many times faster than for alternatives in one pattern.
    """
    spans = sorted(found.span() for mark in marks for found in mark.finditer(whole))
    if spans and b"\r" in whole:
        yield from ((piece, any(mark.search(piece) for mark in marks)) for piece in split_events(whole))
        return
    at = 0
    for start, end in spans:
        if start < at:
            continue  # another mark of the event that was just given
        before, after = whole.rfind(b"\n\n", at, start), whole.find(b"\n\n", end)
        begin = at if before < 0 else before + 2
        stop = len(whole) if after < 0 else after + 2
        if begin > at:
            yield whole[at:begin], False
        yield whole[begin:stop], True
        at = stop
    if at < len(whole):
        yield whole[at:], False


def encode_event(data: bytes, event: str | None = None) -> bytes:
    """One event. A line feed in `data` becomes a further data line, as the standard has it."""
    if b"\n" in data or b"\r" in data:
        data = b"\ndata: ".join(data.splitlines())
    if event is None:
        return b"data: " + data + b"\n\n"
    return b"event: " + event.encode() + b"\ndata: " + data + b"\n\n"
