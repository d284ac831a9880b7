"""AWS event streams as people read them: a frame a line, `messageStart {"role":"assistant"}`, to the bytes on the wire.

A line may begin with `exception` (`exception throttlingException {…}`) or `error` (`error InternalFailure text`).
"""

import struct
from collections.abc import Mapping
from pathlib import Path
from zlib import crc32


def wire_of(path: Path) -> bytes:
    """A transcript's bytes: of `.frames` written out, of any other as they are."""
    sent = path.read_bytes()
    return pack(sent.decode()) if path.suffix == ".frames" else sent


def pack(text: str) -> bytes:
    """Only a whole line is a frame; what is after the last line feed is sent as it is, as a piece of one."""
    *lines, rest = text.split("\n")
    return b"".join(_frame_of(line) for line in lines if line) + (_frame_of(rest)[:-7] if rest else b"")


def _frame_of(line: str) -> bytes:
    kind, _, said = line.partition(" ")
    if kind == "exception":
        name, _, payload = said.partition(" ")
        headers = {":exception-type": name, ":content-type": "application/json", ":message-type": "exception"}
    elif kind == "error":
        code, _, message = said.partition(" ")
        payload = ""
        headers = {":error-code": code, ":error-message": message, ":message-type": "error"}
    else:
        payload = said
        headers = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    return encode_frame({name: text_header(value) for name, value in headers.items()}, payload.encode())


def text_header(value: str) -> bytes:
    return b"\x07" + struct.pack("!H", len(value.encode())) + value.encode()


def encode_frame(headers: Mapping[str, bytes], payload: bytes) -> bytes:
    """Header values are given with their type and length already before them."""
    return encode_raw(b"".join(header_name(name) + value for name, value in headers.items()), payload)


def header_name(name: str) -> bytes:
    return bytes([len(name.encode())]) + name.encode()


def encode_raw(headers: bytes, payload: bytes) -> bytes:
    """A frame whose lengths and checksums are right, whatever its headers are."""
    frame = encode_prelude(len(headers) + len(payload) + 16, len(headers)) + headers + payload
    return frame + struct.pack("!I", crc32(frame))


def encode_prelude(total: int, headers: int) -> bytes:
    prelude = struct.pack("!II", total, headers)
    return prelude + struct.pack("!I", crc32(prelude))
