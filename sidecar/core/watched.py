"""A stream whose whole answer is looked at when it ends, for a quality bar. It is too late for another model then: what
the checks say is recorded, and counts for the rolling bar.
"""

from schemas.record import Usage
from sidecar.canonical.events import AnyEvent, collect
from sidecar.canonical.response import ChatResponse
from sidecar.dialects.base import StreamDecoder, Tap
from sidecar.errors import GatewayError, UpstreamError

MAX_BYTES = 4 << 20
"""Of a stream; a longer one is passed on and not looked at."""


class Watched:
    """A `Tap` that passes on what another does, and decodes the provider's bytes beside it."""

    def __init__(self, tap: Tap, decoder: StreamDecoder) -> None:
        self._tap = tap
        self._decoder = decoder
        self._events: list[AnyEvent] = []
        self._bytes = 0

    @property
    def content_seen(self) -> bool:
        return self._tap.content_seen

    @property
    def finished(self) -> bool:
        return self._tap.finished

    @property
    def ended(self) -> bool:
        return self._tap.ended

    @property
    def usage(self) -> Usage | None:
        return self._tap.usage

    @property
    def state_id(self) -> str:
        return self._tap.state_id

    @property
    def failed(self) -> UpstreamError | None:
        return self._tap.failed

    def feed(self, data: bytes) -> bytes:
        self._bytes += len(data)
        if self._bytes > MAX_BYTES:
            self._events.clear()
        else:
            self._events += self._decoder.feed(data)
        return self._tap.feed(data)

    def finish(self) -> bytes:
        if self._bytes <= MAX_BYTES:
            self._events += self._decoder.finish()
        return self._tap.finish()

    def encode_failure(self, error: GatewayError, request_id: str) -> bytes:
        return self._tap.encode_failure(error, request_id)

    def answer(self) -> ChatResponse | None:
        """What the stream adds up to; None where it is not whole, or too long to have been kept."""
        try:
            return collect(self._events)
        except (UpstreamError, ValueError, LookupError):
            return None
