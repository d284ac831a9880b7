"""The heads that we write: a line and headers, refused where they could be read as more than one. Pure."""

import re
from collections.abc import Mapping
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus

from sidecar.http1.place import Place

BODILESS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Without a body they need no length (RFC 9110, 8.6)."""

MOST_JOINED_BYTES = 16 << 10
"""A body up to this leaves in one piece with its head; copying a larger one costs more than a second piece."""

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
"""All but the tab (RFC 9110, 5.5)."""


def encode_head(
    method: str, place: Place, defaults: Mapping[str, str], headers: Mapping[str, str], length: int | None
) -> bytes:
    """The bytes before the body.

    Args:
        defaults: lower-case names; what `headers` say goes before them.
        headers: names in any case; of two that differ in nothing else the later one stands.
        length: of the body; None: it is not known, and comes in chunks.

    Raises:
        ValueError: a name or a value that no header can hold. It is not shown.
    """
    lines = {"host": place.host, **defaults}
    if place.authorization is not None:
        lines["authorization"] = place.authorization
    for name, value in headers.items():
        lines[name.lower()] = value
    lines.pop("transfer-encoding", None)
    lines.pop("content-length", None)
    if length is None:
        lines["transfer-encoding"] = "chunked"
    elif length or method not in BODILESS:
        lines["content-length"] = str(length)
    return _written(_line(method, place.target), lines)


def encode_answer_head(
    status: int, headers: Mapping[str, str], length: int | None, now: float, *, is_kept: bool
) -> bytes:
    """The bytes before the body of an answer.

    Args:
        length: of the body; None: it is not known, and comes in chunks.
        now: Unix seconds.
        is_kept: the connection may be used again.

    Raises:
        ValueError: a name or a value that no header can hold. It is not shown.
    """
    framing = {"transfer-encoding": "chunked"} if length is None else {"content-length": str(length)}
    lines = {**headers, **framing, "date": _date(int(now))}
    if not is_kept:
        lines["connection"] = "close"
    return _written(_status_line(status), lines)


def _written(first: str, lines: Mapping[str, str]) -> bytes:
    values = "".join(lines.values())
    if not (values.isprintable() and values.isascii()) and _CONTROLS.search(values):
        raise ValueError("a control character in a header")
    parts = [first]
    for name, value in lines.items():
        parts.append(_name(name))
        parts.append(value)
    parts.append("\r\n\r\n")
    return "".join(parts).encode()


@lru_cache(maxsize=64)
def _status_line(status: int) -> str:
    phrase = HTTPStatus(status).phrase if status in HTTPStatus.__members__.values() else ""
    return f"HTTP/1.1 {status} {phrase}"


@lru_cache(maxsize=1)
def _date(now: int) -> str:
    return formatdate(now, usegmt=True)


@lru_cache(maxsize=1024)
def _line(method: str, target: str) -> str:
    """Raises ValueError: it would not be one line of three words."""
    if not _TOKEN.fullmatch(method) or not target.isascii() or not target.isprintable() or " " in target:
        raise ValueError("not a method and a path")
    return f"{method} {target} HTTP/1.1"


@lru_cache(maxsize=1024)
def _name(name: str) -> str:
    """Raises ValueError: no token (RFC 9110, 5.1)."""
    if not _TOKEN.fullmatch(name):
        raise ValueError("not the name of a header")
    return f"\r\n{name}: "
