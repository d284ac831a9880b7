"""Stands in a stream that passes through: hands on the same bytes in whole events, and reads what the books need."""

import re

import msgspec

from schemas.record import Usage
from sidecar.dialects.base import PriceOf
from sidecar.dialects.cost import encode_cost
from sidecar.dialects.openai_chat.errors import encode_stream_error
from sidecar.dialects.openai_chat.response import decode_finish
from sidecar.dialects.openai_chat.stream import (
    DONE,
    Chunk,
    ChunkChoice,
    broken_off,
    cut_or_malformed,
    parse_chunk,
)
from sidecar.dialects.openai_chat.usage import decode_usage
from sidecar.errors import GatewayError, MalformedAnswer, UpstreamError
from sidecar.sse import BOM, EventTooLong, SseSplitter, event_end, marked_events, parse_events

# Inside a JSON string a quote is escaped, so an answer's text never holds one of the three with its quotes.
_USAGE = re.compile(rb'"usage"\s*:\s*\{')
_MARKS = (_USAGE, re.compile(rb'"finish_reason"\s*:\s*"'), re.compile(rb'"error"'), re.compile(re.escape(DONE)))

_NO_USAGE = b',"usage":null'
"""OpenAI writes it on every chunk once usage was asked for."""


class ChatTap:
    """A caller that did not ask for usage does not see that we did: the usage chunk and `"usage":null` are taken out.

    A server that reports usage on a chunk with choices does so unasked; that chunk stays as it came. A caller that
    asked gets `cost_usd` inside each usage object, and not a byte else differs.
    """

    def __init__(self, wants_usage: bool, price_of: PriceOf) -> None:
        self.content_seen = False
        self.finished = False
        self.ended = False
        self.usage: Usage | None = None
        self.state_id = ""
        self.failed: UpstreamError | None = None
        self._wants_usage = wants_usage
        self._price_of = price_of
        self._splitter = SseSplitter()
        self._bytes_seen = False
        self._events_seen = False
        self._service_tier: object = None

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
        at = 0
        try:
            while not self.content_seen and at < len(whole):
                end = event_end(whole, at)
                out.append(self._event(whole[at:end]))
                at = end
            for piece, is_marked in marked_events(whole[at:], _MARKS):
                out.append(self._event(piece) if is_marked else self._unmarked(piece))
        except UpstreamError as error:
            self.failed = error
        return b"".join(out)

    def _unmarked(self, piece: bytes) -> bytes:
        return piece if self._wants_usage else piece.replace(_NO_USAGE, b"")

    def _event(self, piece: bytes) -> bytes:
        """What to hand on of one event."""
        for event in parse_events(piece if self._events_seen else piece.removeprefix(BOM)):
            self._events_seen = True
            if event.data == DONE:
                if not self.finished:  # never a false end mark
                    raise cut_or_malformed(events_seen=True, bytes_seen=True)
                self.ended = True
            elif event.data:
                return self._chunk(parse_chunk(event.data), piece)
        return piece

    def _chunk(self, chunk: Chunk, piece: bytes) -> bytes:
        self._service_tier = chunk.service_tier or self._service_tier
        for choice in chunk.choices or ():
            self._choice(choice)
        usage = decode_usage(chunk.usage, self._service_tier)
        if usage is not None:
            self.usage = usage
            if self._wants_usage:
                return self._priced(usage, piece)
            return piece if chunk.choices else b""
        return piece if self._wants_usage else piece.replace(_NO_USAGE, b"")

    def _choice(self, choice: ChunkChoice) -> None:
        if choice.finish_reason:
            if decode_finish(choice.finish_reason) is None:
                raise broken_off(choice.finish_reason)
            self.finished = self.content_seen = True
        if not self.content_seen and choice.delta is not None:
            delta = choice.delta
            self.content_seen = bool(
                delta.content
                or delta.reasoning_content
                or delta.reasoning
                or delta.refusal
                or delta.tool_calls
                or delta.function_call is not None
                or delta.audio is not None
            )

    def _priced(self, usage: Usage, piece: bytes) -> bytes:
        cost_usd = self._price_of(usage)
        if cost_usd is None:
            return piece
        cost = encode_cost(cost_usd)
        # Another usage object may stand deeper inside (Groq's `x_groq`): take the place that prices the outer one.
        for found in _USAGE.finditer(piece):
            at = found.end()
            comma = b"" if piece[at:].lstrip().startswith(b"}") else b","
            priced = piece[:at] + b'"cost_usd":' + cost + comma + piece[at:]
            if _is_priced(priced):
                return priced
        return piece


class _PricedUsage(msgspec.Struct):
    cost_usd: object = None


class _PricedChunk(msgspec.Struct):
    usage: _PricedUsage | None = None


def _is_priced(piece: bytes) -> bool:
    return any(
        (usage := msgspec.json.decode(event.data, type=_PricedChunk).usage) is not None and usage.cost_usd is not None
        for event in parse_events(piece)
    )
