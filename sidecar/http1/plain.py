"""Which requests are plain: those that can be read in one way only, and ask nothing of HTTP but to be answered. Pure.

A plain request is a POST over HTTP/1.1 in printable ASCII, no header twice, with a body whose length is said and that
comes as it is. Everything else (chunks, compression, expectations, upgrades, folded lines, oddities of any kind) is for
a server that knows all of HTTP.
"""

import re
from functools import lru_cache

import msgspec

MAX_HEAD_BYTES = 16 << 10

END = b"\r\n\r\n"

_FIRST = re.compile(r"POST (/[!\"$-~]*) HTTP/1\.1")
"""All but a fragment, which no request has."""

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

_LENGTH = re.compile(r"[0-9]{1,15}")

_NOT_PLAIN = frozenset({"transfer-encoding", "content-encoding", "expect", "upgrade"})

_KEPT = {"": True, "keep-alive": True, "close": False}
"""Values of `connection`, lower-case."""


class PlainHead(msgspec.Struct, frozen=True, gc=False):
    path: str
    """Percent-encoded, as it came."""
    query: str
    headers: dict[str, str]
    """Lower-case names."""
    length: int
    """Of the body, in bytes."""
    is_kept: bool
    """The connection may be used again."""


def read_plain(head: bytes) -> PlainHead | None:
    """None: it is not plain.

    Args:
        head: up to the empty line, and without it.
    """
    if not head.isascii():
        return None
    first, *lines = head.decode("ascii").split("\r\n")
    found = _FIRST.fullmatch(first)
    if found is None:
        return None
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        lower = _lower(name)
        if not lower or not colon or lower in headers or not line.isprintable():
            return None
        headers[lower] = value.strip(" ")
    length = _LENGTH.fullmatch(headers.get("content-length", ""))
    is_kept = _KEPT.get(headers.get("connection", "").lower())
    if length is None or is_kept is None or not _NOT_PLAIN.isdisjoint(headers):
        return None
    path, _, query = found[1].partition("?")
    return PlainHead(path, query, headers, int(length[0]), is_kept)


@lru_cache(maxsize=1024)
def _lower(name: str) -> str:
    """Empty: no token (RFC 9110, 5.1), as where a line is folded."""
    return name.lower() if _TOKEN.fullmatch(name) else ""
