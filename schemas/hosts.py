"""Whom a server on this machine answers: both programs hold every request's Host and Origin against this.

A page in a browser can reach localhost. What it cannot do is name a loopback Host from a foreign name that resolves to
127.0.0.1 (DNS rebinding), or send no Origin with a cross-origin POST (Fetch standard, "Origin header").
"""

import ipaddress
from collections.abc import Iterable
from functools import lru_cache


def allowed_hosts(listen_host: str, more: Iterable[str] = ()) -> frozenset[str]:
    """Names accepted besides loopback: the listen address itself and what `--allow-host` names."""
    return frozenset(name.lower() for name in (listen_host, *more) if name)


@lru_cache(maxsize=256)
def host_is_allowed(host: str | None, allowed: frozenset[str]) -> bool:
    """`host` is the Host header, with or without a port. HTTP/1.1 demands one: none is refused."""
    if not host:
        return False
    name = _without_port(host).lower().rstrip(".")
    return name in allowed or name.endswith(".localhost") or is_loopback(name)


def origin_is_allowed(origin: str | None, allowed: frozenset[str]) -> bool:
    """A program sends no Origin. A browser's is held against the same names; `null` and odd schemes are refused."""
    if origin is None:
        return True
    scheme, separator, rest = origin.partition("://")
    return scheme in ("http", "https") and bool(separator) and host_is_allowed(rest, allowed)


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if host.count(":") == 1 else host


def is_loopback(name: str) -> bool:
    """A listen address that nobody off this machine reaches, or a Host that names one."""
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
