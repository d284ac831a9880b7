"""A tap for a stream whose two ends speak different dialects: decode, look, encode."""

from schemas.record import Usage
from sidecar.canonical.events import CONTENT_EVENTS, AnyEvent, Ended, Failed, Finished, Started, UsageReported
from sidecar.dialects.base import StreamDecoder, StreamEncoder
from sidecar.errors import GatewayError, UpstreamError


class Translator:
    """Stands where a `Tap` stands. A failure is reported, not encoded: the pipeline decides what the caller sees."""

    def __init__(self, decoder: StreamDecoder, encoder: StreamEncoder, unsaid: Started) -> None:
        """Id, model and time of `unsaid` stand where the provider's dialect says none and the caller's must."""
        self._decoder = decoder
        self._encoder = encoder
        self._unsaid = unsaid
        self.content_seen = False
        self.finished = False
        self.ended = False
        self.usage: Usage | None = None
        self.state_id = ""
        self.failed: UpstreamError | None = None

    def feed(self, data: bytes) -> bytes:
        return self._pass_on(self._decoder.feed(data))

    def finish(self) -> bytes:
        events = self._decoder.finish()
        if self.finished and not self.ended and not any(isinstance(event, Ended | Failed) for event in events):
            events.append(Ended())  # a finish reason is success, even where the end mark never came
        return self._pass_on(events)

    def encode_failure(self, error: GatewayError, request_id: str) -> bytes:
        return self._encoder.encode_failure(error, request_id)

    def _pass_on(self, events: list[AnyEvent]) -> bytes:
        for place, event in enumerate(events):
            if isinstance(event, CONTENT_EVENTS):
                self.content_seen = True
            if isinstance(event, UsageReported):
                self.usage = event.usage
            elif isinstance(event, Started):
                events[place] = self._completed(event)
            elif isinstance(event, Finished):
                self.finished = True
            elif isinstance(event, Ended):
                self.ended = True
            elif isinstance(event, Failed):
                self.failed = event.error
                return self._encoder.encode(events[:place])
        return self._encoder.encode(events)

    def _completed(self, started: Started) -> Started:
        unsaid = self._unsaid
        created = unsaid.created if started.created is None else started.created
        return Started(started.id or unsaid.id, started.model or unsaid.model, created)
