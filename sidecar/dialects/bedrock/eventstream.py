"""The framing of `application/vnd.amazon.eventstream`: bytes in, frames out. No I/O, and no word of what frames mean.

A frame is its prelude (length of the whole, length of the headers, CRC of both), headers, payload, and a CRC of all
that came before; every number is big-endian (docs.aws.amazon.com/lexv2/latest/dg/event-stream-encoding).
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from zlib import crc32

HeaderValue = bool | int | bytes | str

MAX_FRAME_BYTES = 16 << 20
"""A frame of an answer holds a few words; as much as an event of any other stream may have, and no more."""

MAX_HEADERS_BYTES = 128 << 10
"""The format's own limit, as AWS' SDKs hold it."""

_PRELUDE = struct.Struct("!III")
_CRC = struct.Struct("!I")
_LENGTH = struct.Struct("!H")
_OVERHEAD = _PRELUDE.size + _CRC.size

_TRUE, _FALSE, _BYTES, _STRING, _UUID = 0, 1, 6, 7, 9
_NUMBERS: Mapping[int, struct.Struct] = {
    2: struct.Struct("!b"),
    3: struct.Struct("!h"),
    4: struct.Struct("!i"),
    5: struct.Struct("!q"),
    8: struct.Struct("!q"),  # a time, in milliseconds since 1970
}
_UUID_BYTES = 16


class BadFrame(ValueError):
    """The bytes are not a frame; the text says why."""


@dataclass(frozen=True, slots=True)
class Frame:
    headers: Mapping[str, HeaderValue]
    payload: bytes

    def text(self, name: str) -> str:
        """A header that is text; empty where there is none."""
        value = self.headers.get(name)
        return value if isinstance(value, str) else ""


class FrameDecoder:
    """Holds at most one unfinished frame, up to `MAX_FRAME_BYTES`."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Whole frames so far, one by one: those before a bad one come before it is raised. To be read to its end.

        Raises:
            BadFrame: a checksum does not match, a length cannot be, or a header cannot be read.
        """
        self._buffer += data
        while (end := self._end()) is not None:
            frame = bytes(self._buffer[:end])
            del self._buffer[:end]
            yield _decode_frame(frame)

    def _end(self) -> int | None:
        """Where the first frame ends; None until it is whole."""
        if len(self._buffer) < _PRELUDE.size:
            return None
        total, headers, checksum = _PRELUDE.unpack_from(self._buffer)
        # The prelude has a checksum of its own so that a broken length is never waited for.
        if crc32(self._buffer[: _PRELUDE.size - _CRC.size]) != checksum:
            raise BadFrame("the checksum of a frame's prelude does not match")
        if headers > MAX_HEADERS_BYTES or total < _OVERHEAD + headers:
            raise BadFrame("a frame's lengths do not fit together")
        if total > MAX_FRAME_BYTES:
            raise BadFrame(f"a frame of {total} bytes is longer than {MAX_FRAME_BYTES}")
        return total if len(self._buffer) >= total else None


def _decode_frame(frame: bytes) -> Frame:
    (checksum,) = _CRC.unpack_from(frame, len(frame) - _CRC.size)
    if crc32(memoryview(frame)[: -_CRC.size]) != checksum:
        raise BadFrame("the checksum of a frame does not match")
    headers_end = _PRELUDE.size + _CRC.unpack_from(frame, 4)[0]
    return Frame(_decode_headers(frame[_PRELUDE.size : headers_end]), frame[headers_end : -_CRC.size])


def _decode_headers(data: bytes) -> dict[str, HeaderValue]:
    headers: dict[str, HeaderValue] = {}
    at = 0
    try:
        while at < len(data):
            name, at = _sized(data, at + 1, data[at])
            value, at = _decode_value(data, at + 1, data[at])
            if name.decode() in headers:
                raise BadFrame("a frame names a header twice")
            headers[name.decode()] = value
    except (IndexError, struct.error, UnicodeDecodeError) as error:
        raise BadFrame("a frame's headers cannot be read") from error
    return headers


def _decode_value(data: bytes, at: int, kind: int) -> tuple[HeaderValue, int]:
    if kind in (_TRUE, _FALSE):
        return kind == _TRUE, at
    if kind in _NUMBERS:
        number: int = _NUMBERS[kind].unpack_from(data, at)[0]
        return number, at + _NUMBERS[kind].size
    if kind in (_BYTES, _STRING):
        (length,) = _LENGTH.unpack_from(data, at)
        value, at = _sized(data, at + _LENGTH.size, length)
        return (value.decode() if kind == _STRING else value), at
    if kind == _UUID:
        return _sized(data, at, _UUID_BYTES)
    raise BadFrame(f"a frame has a header of the unknown type {kind}")


def _sized(data: bytes, at: int, length: int) -> tuple[bytes, int]:
    if at + length > len(data):
        raise BadFrame("a frame's headers end amid a value")
    return data[at : at + length], at + length
