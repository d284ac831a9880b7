"""The head of a request: its line and its headers, refused where they could be read as more than one. Pure."""

import re
from collections.abc import Mapping
from functools import lru_cache

from sidecar.http1.place import Place

BODILESS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Without a body they need no length (RFC 9110, 8.6)."""

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
    parts = [_line(method, place.target)]
    for name, value in lines.items():
        if not (value.isprintable() and value.isascii()) and _CONTROLS.search(value):
            raise ValueError("a control character in a header")
        parts.append(_name(name))
        parts.append(value)
    parts.append("\r\n\r\n")
    return "".join(parts).encode()


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
