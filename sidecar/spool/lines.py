"""One line of a spool segment: a checksum, a kind, a record. Bytes in, records out; no I/O.

A line is `<crc32 as 8 hex> <kind> <json>\\n`. Kind `b` begins a call and holds what is booked if nothing follows; kind
`f` is final and replaces it; kind `s` is what somebody says of a call later. A
torn line fails its checksum and is told apart from a whole one.
"""

from collections.abc import Iterator
from typing import Literal
from zlib import crc32

import msgspec

from schemas.record import CallRecord, Feedback

Kind = Literal[b"b", b"f", b"s"]
BEGUN: Kind = b"b"
FINAL: Kind = b"f"
SAID: Kind = b"s"
SHIPPED = frozenset({FINAL, SAID})

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(CallRecord).decode


class Line(msgspec.Struct, frozen=True, gc=False):
    kind: bytes
    json: bytes
    end: int
    """Offset just behind the line."""

    def record(self) -> CallRecord:
        return _decode(self.json)


def encode_line(kind: Kind, record: CallRecord | Feedback) -> bytes:
    body = kind + b" " + _encode(record)
    return b"%08x %b\n" % (crc32(body), body)


def decode_lines(data: bytes, start: int = 0) -> Iterator[Line | int]:
    """Whole lines from `start`; for a damaged one the offset behind it. An unfinished last line ends the iteration."""
    while (end := data.find(b"\n", start)) >= 0:
        body = data[start + 9 : end]
        whole = data[start : start + 9] == b"%08x " % crc32(body) and body[:2] in (b"b ", b"f ", b"s ")
        yield Line(body[:1], body[2:], end + 1) if whole else end + 1
        start = end + 1
