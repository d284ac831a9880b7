"""Server-sent events: bytes in, events out (WHATWG HTML, "Parsing an event stream"). No I/O."""

import msgspec

MAX_EVENT_BYTES = 16 << 20
"""An event that carries an inline image fits; anything larger means a peer gone wrong."""


class SseEvent(msgspec.Struct, frozen=True, gc=False):
    event: str
    """`message` where the stream names none."""
    data: bytes


class EventTooLong(ValueError):
    """An event grew past `MAX_EVENT_BYTES` without ending."""
