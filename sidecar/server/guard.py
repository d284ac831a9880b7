"""What every request passes first: is its Host ours, is its Origin allowed, whose key does it carry."""

import hashlib
from collections.abc import Mapping

from schemas.bundle import Caller
from schemas.hosts import host_is_allowed, origin_is_allowed
from sidecar.errors import ForeignHost, MalformedRequest, Unauthenticated
from sidecar.routing.snapshot import Snapshot


def refuse_foreigners(headers: Mapping[str, str], allowed: frozenset[str]) -> None:
    """Raises ForeignHost: a web page that reaches localhost is not an agent."""
    if not host_is_allowed(headers.get("host"), allowed):
        raise ForeignHost("this Host is not served here; --allow-host names more")
    if not origin_is_allowed(headers.get("origin"), allowed):
        raise ForeignHost("requests from this Origin are not served here; --allow-host names more")


def refuse_unreadable(headers: Mapping[str, str]) -> None:
    """Raises MalformedRequest: a header that is not UTF-8 could be neither recorded nor handed on."""
    for name, value in headers.items():
        if not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError as error:
                raise MalformedRequest(f"the header {name} is not UTF-8") from error


KEY_HEADERS = ("x-api-key", "x-goog-api-key")
"""Anthropic's and Google's own; a bearer token comes after them."""


def caller_of(headers: Mapping[str, str], snapshot: Snapshot, key_in_query: str = "") -> Caller | None:
    """Whose key this is. None where the rules name no callers.

    The key's hash is looked up, so neither the time it takes nor the table tells anything about the keys.

    Args:
        key_in_query: Google's API takes `?key=` too; what a header says goes before it.

    Raises:
        Unauthenticated: the rules name callers and this key is none of theirs.
    """
    if not snapshot.needs_key:
        return None
    key = next((key for name in KEY_HEADERS if (key := headers.get(name))), "")
    if not key:
        scheme, _, rest = headers.get("authorization", "").partition(" ")
        key = (rest.strip() if scheme.lower() == "bearer" else "") or key_in_query
    caller = snapshot.callers.get(hashlib.sha256(key.encode()).hexdigest()) if key else None
    if caller is None:
        raise Unauthenticated(
            "send a key that pointsman.yaml lists under callers, as x-api-key, x-goog-api-key or Authorization: Bearer"
            if not key
            else "this key is not listed under callers in pointsman.yaml"
        )
    return caller
