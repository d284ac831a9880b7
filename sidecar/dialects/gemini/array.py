"""A stream as one JSON array, element by element: what streamGenerateContent answers without `alt=sse`
(ai.google.dev/api, "Streaming"; google-genai, `errors.APIError`: a refusal is an array of one).
"""

from sidecar.sse import BOM, parse_events

CONTENT_TYPE = "application/json; charset=UTF-8"


class JsonArray:
    """Whole events in, elements out. An error is an element like any other, and the last one."""

    def __init__(self) -> None:
        self._begun = False

    def feed(self, events: bytes) -> bytes:
        out = b""
        for event in parse_events(events if self._begun else events.removeprefix(BOM)):
            out += (b",\r\n" if self._begun else b"[") + event.data
            self._begun = True
        return out

    def finish(self) -> bytes:
        return b"]" if self._begun else b"[]"
