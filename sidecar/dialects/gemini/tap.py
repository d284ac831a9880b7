"""Stands in a stream that passes through: hands on whole events as they came, and reads what the books need.

Every chunk names the running usage and a piece of the answer that is many tokens long, so every one is read.
"""

import msgspec

from schemas.record import Usage
from sidecar.dialects.base import PriceOf
from sidecar.dialects.gemini.errors import encode_stream_error
from sidecar.dialects.gemini.response import Chunk, WireCandidate, finish_word, parse_chunk, refusal_of
from sidecar.dialects.gemini.stream import cut_or_malformed
from sidecar.dialects.gemini.usage import decode_usage, encode_cost
from sidecar.errors import GatewayError, MalformedAnswer, UpstreamError
from sidecar.sse import BOM, EventTooLong, SseSplitter, encode_event, parse_events, split_events

_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])


class GeminiTap:
    """Usage from the finish reason on gets its `cost_usd`: what comes before is a running total."""

    def __init__(self, wants_usage: bool, price_of: PriceOf) -> None:
        """Usage is always sent here, so `wants_usage` says nothing."""
        self.content_seen = False
        self.finished = False
        self.ended = False
        self.usage: Usage | None = None
        self.state_id = ""
        self.failed: UpstreamError | None = None
        self._price_of = price_of
        self._splitter = SseSplitter()
        self._candidates: dict[int, bool] = {}
        """Each that was seen, and whether it is finished."""
        self._bytes_seen = False
        self._events_seen = False

    def feed(self, data: bytes) -> bytes:
        if self.failed is not None:
            return b""
        self._bytes_seen = self._bytes_seen or bool(data)
        try:
            whole = self._splitter.feed(data)
        except EventTooLong as error:
            self.failed = MalformedAnswer(str(error))
            return b""
        return self._read(whole)

    def finish(self) -> bytes:
        out = self._read(self._splitter.last_event()) if self.failed is None else b""
        if self.failed is None and not self.finished:
            self.failed = cut_or_malformed(events_seen=self._events_seen, bytes_seen=self._bytes_seen)
        return out

    def encode_failure(self, error: GatewayError, request_id: str) -> bytes:
        return encode_stream_error(error, request_id)

    def _read(self, whole: bytes) -> bytes:
        out: list[bytes] = []
        try:
            for piece in (whole,) if _is_one_event(whole) else split_events(whole):
                out.append(self._event(piece))
        except UpstreamError as error:
            self.failed = error
        return b"".join(out)

    def _event(self, piece: bytes) -> bytes:
        for event in parse_events(piece if self._events_seen else piece.removeprefix(BOM)):
            self._events_seen = True
            if event.data:
                return self._chunk(parse_chunk(event.data), event.data, piece)
        return piece

    def _chunk(self, chunk: Chunk, data: bytes, piece: bytes) -> bytes:
        usage = decode_usage(chunk.usage_metadata)
        self.usage = usage or self.usage
        if (refusal := refusal_of(chunk)) is not None:
            raise refusal
        for place, candidate in enumerate(chunk.candidates or ()):
            self._candidate(candidate, place if candidate.index is None else candidate.index)
        self.finished = bool(self._candidates) and all(self._candidates.values())
        return piece if usage is None or not self.finished else self._priced(usage, data, piece)

    def _candidate(self, candidate: WireCandidate, index: int) -> None:
        ends = finish_word(candidate) is not None
        self._candidates[index] = ends or self._candidates.get(index, False)
        parts = None if candidate.content is None else candidate.content.parts
        self.content_seen = (
            self.content_seen
            or ends
            or any(part.text or part.function_call is not None or part.own_kind is not None for part in parts or ())
        )

    def _priced(self, usage: Usage, data: bytes, piece: bytes) -> bytes:
        """Written anew around the usage object: every field keeps its bytes and its place."""
        cost_usd = self._price_of(usage)
        if cost_usd is None:
            return piece
        fields = _FIELDS.decode(data)
        priced = _FIELDS.decode(fields["usageMetadata"]) | {"cost_usd": msgspec.Raw(encode_cost(cost_usd))}
        return encode_event(msgspec.json.encode(fields | {"usageMetadata": msgspec.Raw(msgspec.json.encode(priced))}))


def _is_one_event(whole: bytes) -> bool:
    """Events mostly arrive one at a time, and a look for line ends is many times faster than a search by pattern."""
    if b"\r" not in whole:
        return whole.find(b"\n\n") == len(whole) - 2
    return whole.find(b"\n\r\n") == len(whole) - 3 and b"\n\n" not in whole and b"\r\r" not in whole
