"""Stands in a stream of the Messages API that passes through: reads usage, adds its cost, changes no other byte."""

import re
from decimal import Decimal

import msgspec

from schemas.record import Usage
from sidecar.dialects.anthropic.errors import encode_stream_error
from sidecar.dialects.anthropic.response import WireUsage
from sidecar.dialects.anthropic.stream import Chunk, check_beginning, decode_chunk, end_failure, stream_failure
from sidecar.dialects.base import PriceOf
from sidecar.dialects.cost import encode_cost
from sidecar.errors import GatewayError, MalformedAnswer, StreamCut, UpstreamError
from sidecar.sse import EventTooLong, SseSplitter, encode_event, event_end, marked_events, parse_events

_NOTABLE = (re.compile(rb"message_"), re.compile(rb"error"))
"""One stands in every event that holds usage, a finish reason, an error or the end mark."""


class _UsageBytes(msgspec.Struct, frozen=True):
    usage: msgspec.Raw


_USAGE_BYTES = msgspec.json.Decoder(_UsageBytes)


class AnthropicTap:
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
        self._running = WireUsage()
        self._started = False
        self._bytes_seen = False

    def feed(self, data: bytes) -> bytes:
        self._bytes_seen = self._bytes_seen or bool(data)
        if self.failed is not None:
            return b""
        try:
            whole = self._splitter.feed(data)
        except EventTooLong as error:
            self.failed = MalformedAnswer(str(error))
            return b""
        return self._look(whole)

    def finish(self) -> bytes:
        rest = self._splitter.last_event()
        if self.failed is not None:
            return b""
        out = self._look(rest) if rest else b""
        return out if self.finished else self._cut()

    def encode_failure(self, error: GatewayError, request_id: str) -> bytes:
        return encode_stream_error(error, request_id)

    def _cut(self) -> bytes:
        if self.failed is None:
            self.failed = end_failure(self._started, self._bytes_seen)
        return b""

    def _look(self, whole: bytes) -> bytes:
        pieces: list[bytes] = []
        at = 0
        try:
            while not self.content_seen and at < len(whole) and self.failed is None:
                end = event_end(whole, at)
                pieces.append(self._look_at(whole[at:end]))
                at = end
            for piece, is_notable in marked_events(whole[at:], _NOTABLE) if self.failed is None else ():
                pieces.append(self._look_at(piece) if is_notable else piece)
                if self.failed is not None:
                    break
        except MalformedAnswer as error:
            self.failed = error
        return b"".join(pieces)

    def _look_at(self, piece: bytes) -> bytes:
        if self.ended:
            return piece
        for event in parse_events(piece):
            chunk = decode_chunk(event.data)
            if not self._started:
                check_beginning(chunk)
            match chunk.type:
                case "message_start" if chunk.message is not None:
                    self._started = True
                    self._count(chunk.message.usage)
                case "content_block_start" | "content_block_delta":
                    self.content_seen = self.content_seen or _is_content(chunk)
                case "message_delta":
                    piece = self._message_delta(chunk, event.data, piece)
                case "message_stop":
                    self.ended = True
                    if not self.finished:
                        self.failed = StreamCut("the provider's stream ended without a stop reason")
                        return b""
                case "error":
                    self.failed = stream_failure(chunk)
                    return b""
                case _:
                    pass
        return piece

    def _message_delta(self, chunk: Chunk, data: bytes, piece: bytes) -> bytes:
        if chunk.delta is not None and chunk.delta.stop_reason is not None:
            self.finished = self.content_seen = True
        if chunk.usage is None:
            return piece
        self._count(chunk.usage)
        cost = None if self.usage is None else self._price_of(self.usage)
        if cost is None:
            return piece
        usage, priced = _priced(data, cost)
        place = piece.find(usage, piece.find(b'"usage"'))
        if place >= 0:
            return piece[:place] + priced + piece[place + len(usage) :]
        # Its JSON goes over several data lines: written anew, on one.
        data = msgspec.json.format(data, indent=-1)
        usage, priced = _priced(data, cost)
        return encode_event(data.replace(usage, priced), "message_delta")

    def _count(self, usage: WireUsage) -> None:
        self._running = self._running.updated(usage)
        self.usage = self._running.decoded()


def _priced(data: bytes, cost: Decimal) -> tuple[bytes, bytes]:
    """The bytes of the event's usage object, as they are and with the cost in them."""
    usage = bytes(_USAGE_BYTES.decode(data).usage)
    comma = b"," if usage[1:-1].strip() else b""
    return usage, usage[:-1] + comma + b'"cost_usd":' + encode_cost(cost) + b"}"


def _is_content(chunk: Chunk) -> bool:
    """The same events of a stream that a decoder makes `CONTENT_EVENTS` of."""
    block, delta = chunk.content_block, chunk.delta
    if block is not None:
        return block.type not in ("text", "thinking") or bool(block.text or block.thinking)
    return delta is not None and bool(delta.text or delta.thinking or delta.partial_json)
