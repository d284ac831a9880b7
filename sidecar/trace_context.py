"""W3C trace context: the trace that a call belongs to, and what a provider that continues it is told. Pure.

A call's spans have ids that follow from its own id, so an attempt can name its span before that span exists.
"""

import re
from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import NamedTuple

TRACEPARENT = "traceparent"
BESIDE = ("tracestate", "baggage")
"""What travels with it, unread and unchanged."""
SAMPLED = 1

# Trace Context, "traceparent Header": a later version may add fields behind these, and ff is no version.
_FORM = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
MAX_CHARACTERS = 128
"""Of a traceparent: today's has 55."""

ContextFor = Callable[[str, Mapping[str, str], int], dict[str, str]]
"""From a call's id, its headers and the number of an attempt to the context headers of that attempt."""


class Parent(NamedTuple):
    """The caller's span."""

    trace_id: int
    span_id: int
    flags: int


def traceparent_of(headers: Mapping[str, str]) -> str:
    """The caller's, where it sent a valid one; else empty."""
    text = headers.get(TRACEPARENT)
    return text if text is not None and parse_parent(text) is not None else ""


def parse_parent(traceparent: str) -> Parent | None:
    """None: it is not one, and the call begins a trace of its own."""
    found = _FORM.fullmatch(traceparent) if len(traceparent) <= MAX_CHARACTERS else None
    if found is None or (found[4] and traceparent.startswith("00")):
        return None
    return Parent(int(found[1], 16), int(found[2], 16), int(found[3], 16))


def trace_id_of(call_id: str) -> int:
    """Of a call whose caller sent no trace."""
    return int.from_bytes(blake2b(call_id.encode(), digest_size=16).digest(), "big")


def span_id_of(call_id: str, attempt: int | None = None) -> int:
    """Of the call, or of one of its attempts."""
    name = call_id if attempt is None else f"{call_id}.{attempt}"
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "big")


def as_it_came(_call_id: str, headers: Mapping[str, str], _attempt: int) -> dict[str, str]:
    """No spans are made of this call: the provider continues its caller's."""
    return {TRACEPARENT: text, **beside(headers)} if (text := traceparent_of(headers)) else {}


def beside(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name in BESIDE if (value := headers.get(name)) is not None}


def encode_parent(trace_id: int, span_id: int, flags: int) -> str:
    return f"00-{trace_id:032x}-{span_id:016x}-{flags:02x}"
