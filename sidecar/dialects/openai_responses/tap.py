"""Stands in a stream that passes through: reads usage, adds its cost, changes no other byte."""

import re
from collections.abc import Iterator

import msgspec

from schemas.record import Usage
from sidecar.dialects.base import PriceOf
from sidecar.dialects.cost import encode_cost
from sidecar.dialects.openai_responses.encoder import encode_failure
from sidecar.dialects.openai_responses.response import Head, created_of
from sidecar.dialects.openai_responses.stream import DONE, FINAL, Chunk, cut_or_malformed, is_content, parse_chunk
from sidecar.dialects.openai_responses.usage import decode_usage
from sidecar.errors import GatewayError, MalformedAnswer, UpstreamError
from sidecar.sse import BOM, EventTooLong, SseSplitter, encode_event, event_end, marked_events, parse_events

_MARKS = tuple(re.compile(re.escape(mark)) for mark in (b'"response"', b'"error"', DONE))
"""One stands in every event that holds usage, a finish reason, an error or the end mark. In a JSON string a quote is
escaped, so no text holds one of the first two. The whole answer stands in the last event, and is parsed once.
"""


class _UsageBytes(msgspec.Struct, frozen=True):
    usage: msgspec.Raw


class _ResponseBytes(msgspec.Struct, frozen=True):
    response: _UsageBytes


class _Cost(msgspec.Struct, frozen=True):
    cost_usd: object = None


class _Priced(msgspec.Struct, frozen=True):
    usage: _Cost | None = None


class _PricedResponse(msgspec.Struct, frozen=True):
    response: _Priced | None = None


_USAGE_BYTES = msgspec.json.Decoder(_ResponseBytes)
_PRICED = msgspec.json.Decoder(_PricedResponse)
_NUMBER = re.compile(rb'"sequence_number"\s*:\s*(\d{1,15})')


class ResponsesTap:
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
        self._head: Head | None = None
        self._last = b""
        """What was handed on last: it holds the number that a failure goes on from."""
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
        return self._hand_on(whole)

    def finish(self) -> bytes:
        out = b""
        if self.failed is None:
            rest = self._splitter.last_event()
            out = self._hand_on(rest) if rest else b""
        if self.failed is None and not self.finished:
            self.failed = cut_or_malformed(events_seen=self._events_seen, bytes_seen=self._bytes_seen)
        return out

    def encode_failure(self, error: GatewayError, request_id: str) -> bytes:
        return encode_failure(self._head, self._next_number(), error, request_id)

    def _next_number(self) -> int:
        return max((int(number) for number in _NUMBER.findall(self._last)), default=-1) + 1

    def _hand_on(self, whole: bytes) -> bytes:
        out = b"".join(self._read(whole))
        self._last = out or self._last
        return out

    def _read(self, whole: bytes) -> Iterator[bytes]:
        at = 0
        try:
            while not self.content_seen and at < len(whole):
                end = event_end(whole, at)
                yield self._event(whole[at:end])
                at = end
            for piece, is_marked in marked_events(whole[at:], _MARKS):
                yield self._event(piece) if is_marked else piece
        except UpstreamError as error:
            self.failed = error

    def _event(self, piece: bytes) -> bytes:
        """What to hand on of one event."""
        for event in parse_events(piece if self._events_seen else piece.removeprefix(BOM)):
            self._events_seen = True
            if event.data == DONE:
                if not self.finished:  # never a false end mark
                    raise cut_or_malformed(events_seen=True, bytes_seen=True)
            elif event.data and not self.ended:
                piece = self._look_at(parse_chunk(event), event.data, piece)
        return piece

    def _look_at(self, chunk: Chunk, data: bytes, piece: bytes) -> bytes:
        response = chunk.response
        if response is not None:
            self._head = Head(response.id, response.model, created_of(response))
            self.state_id = response.state_id
        if chunk.type not in FINAL:
            self.content_seen = self.content_seen or is_content(chunk)
            return piece
        self.content_seen = self.finished = self.ended = True
        self.usage = None if response is None else decode_usage(response.usage, response.service_tier)
        return piece if self.usage is None else self._priced(self.usage, data, piece)

    def _priced(self, usage: Usage, data: bytes, piece: bytes) -> bytes:
        cost_usd = self._price_of(usage)
        if cost_usd is None:
            return piece
        found = bytes(_USAGE_BYTES.decode(data).response.usage)
        comma = b"," if found[1:-1].strip() else b""
        priced = found[:-1] + comma + b'"cost_usd":' + encode_cost(cost_usd) + b"}"
        # The same bytes may stand elsewhere in the answer: take the place that prices its usage.
        at = piece.rfind(found)
        while at >= 0:
            whole = piece[:at] + priced + piece[at + len(found) :]
            if _is_priced(whole):
                return whole
            at = piece.rfind(found, 0, at + len(found) - 1)
        # Its JSON goes over several data lines: written anew, on one.
        line = msgspec.json.format(data, indent=-1)
        return self._priced(usage, line, encode_event(line)) if line != data else piece


def _is_priced(piece: bytes) -> bool:
    for event in parse_events(piece):
        response = _PRICED.decode(event.data).response
        if response is not None and response.usage is not None and response.usage.cost_usd is not None:
            return True
    return False
