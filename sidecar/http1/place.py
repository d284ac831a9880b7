"""A URL as a connection and a request line need it. Pure."""

from base64 import b64encode
from functools import lru_cache
from typing import NamedTuple

from yarl import URL


class Origin(NamedTuple):
    """What connections are kept for."""

    host: str
    """As it is looked up: ASCII, without brackets."""
    port: int
    is_tls: bool


class Place(NamedTuple):
    url: str
    """As it stands on the wire: what is signed."""
    origin: Origin
    target: str
    """Path and query, in the request line."""
    host: str
    """The Host header: without a port that its scheme implies (RFC 9110, 7.2)."""
    authorization: str | None
    """Where the URL names a user."""


PORTS = {"http": 80, "https": 443}


@lru_cache(maxsize=4096)
def place_of(url: str) -> Place:
    """Raises ValueError: it is no URL of HTTP, or names no host."""
    parsed = URL(url)
    host, port = parsed.raw_host, parsed.port
    if parsed.scheme not in PORTS or not host or port is None:
        raise ValueError("not the URL of a host that is reached over HTTP")
    is_default = port == PORTS[parsed.scheme]
    shown = f"[{host}]" if ":" in host else host.rstrip(".")
    authorization = None
    if parsed.user is not None:
        named = f"{parsed.user}:{parsed.password or ''}"
        authorization = f"Basic {b64encode(named.encode()).decode()}"
    return Place(
        url=str(parsed),
        origin=Origin(host, port, parsed.scheme == "https"),
        target=parsed.raw_path_qs,
        host=shown if is_default else f"{shown}:{port}",
        authorization=authorization,
    )
