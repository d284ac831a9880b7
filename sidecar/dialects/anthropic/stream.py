"""Streams of the Messages API ↔ canonical events (platform.claude.com, "Streaming Messages"; anthropic SDK,
`raw_*_event`).
"""

from collections import deque
from collections.abc import Callable, Iterable
from typing import TypeVar

import msgspec

from sidecar.canonical.events import (
    AnyEvent,
    Cited,
    Ended,
    Failed,
    Finished,
    PartEnded,
    ReasoningDelta,
    ReasoningRedacted,
    ReasoningSigned,
    RefusalDelta,
    ServerCalled,
    Started,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallStarted,
    UsageReported,
)
from sidecar.canonical.request import ServerCall
from sidecar.dialects.anthropic.blocks import ABSENT, is_given
from sidecar.dialects.anthropic.errors import encode_stream_error
from sidecar.dialects.anthropic.response import (
    UsageOut,
    WireUsage,
    decode_finish,
    encode_finish,
    encode_usage,
)
from sidecar.dialects.anthropic.server_tools import (
    CALLED,
    RESULTS,
    WebCitation,
    decode_citation,
    decode_input,
    decode_result,
    encode_citation,
    encode_server_call,
)
from sidecar.dialects.base import PriceOf
from sidecar.dialects.redact import redact
from sidecar.errors import GatewayError, MalformedAnswer, StreamCut, StreamFailed
from sidecar.sse import EventTooLong, SseDecoder

_T = TypeVar("_T")


class Message(msgspec.Struct, frozen=True, gc=False):
    id: str
    model: str
    usage: WireUsage = WireUsage()


class ContentBlock(msgspec.Struct, frozen=True):
    type: str
    text: str = ""
    thinking: str = ""
    data: str = ""
    id: str = ""
    name: str = ""
    input: msgspec.Raw = msgspec.Raw(b"{}")
    tool_use_id: str = ""
    content: msgspec.Raw = ABSENT


class Delta(msgspec.Struct, frozen=True, gc=False):
    type: str = ""
    text: str = ""
    thinking: str = ""
    signature: str = ""
    partial_json: str = ""
    stop_reason: str | None = None
    stop_sequence: str | None = None
    citation: msgspec.Raw = ABSENT


class StreamError(msgspec.Struct, frozen=True, gc=False):
    type: str = "error"
    message: str = ""


class Chunk(msgspec.Struct, frozen=True):
    """Any event of the stream: one struct for all, so that it is read in one pass."""

    type: str
    index: int = 0
    message: Message | None = None
    content_block: ContentBlock | None = None
    delta: Delta | None = None
    usage: WireUsage | None = None
    error: StreamError | None = None


_CHUNK = msgspec.json.Decoder(Chunk)


def decode_chunk(data: bytes) -> Chunk:
    """Raises MalformedAnswer."""
    try:
        return _CHUNK.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedAnswer(f"the provider's stream holds what is not an Anthropic event: {error}") from error


def stream_failure(chunk: Chunk) -> StreamFailed:
    error = chunk.error or StreamError()
    return StreamFailed(redact(f"the provider broke the stream off: {error.type}: {error.message}"))


def end_failure(anything_seen: bool, bytes_seen: bool) -> StreamCut | MalformedAnswer:
    """Why a stream that has no finish reason is none: what came was no stream at all, or it broke off."""
    if bytes_seen and not anything_seen:
        return MalformedAnswer("the provider's answer is not an event stream")
    return StreamCut("the provider's stream ended before the answer was whole")


_AFTER_START = frozenset(
    {"content_block_start", "content_block_delta", "content_block_stop", "message_delta", "message_stop"}
)


def check_beginning(chunk: Chunk) -> None:
    """For an event that no `message_start` came before.

    Raises:
        MalformedAnswer: it may only stand within a message.
    """
    if chunk.type in _AFTER_START:
        raise MalformedAnswer(f"the provider's stream begins with {chunk.type}")


class _OpenBlock:
    __slots__ = ("call", "fragments", "has_arguments", "id", "input", "is_signed", "kind", "name")

    def __init__(self, block: ContentBlock, call: int) -> None:
        self.kind = block.type
        self.call = call
        self.input = bytes(block.input).decode()
        self.has_arguments = False
        self.is_signed = False
        self.id = block.id
        self.name = block.name
        self.fragments: list[str] = []
        """Of what one of Anthropic's own tools is asked: a caller sees it when it has an answer."""


class AnthropicDecoder:
    """Blocks carry indices, and the API sends them one after the other."""

    def __init__(self) -> None:
        self._sse = SseDecoder()
        self._usage = WireUsage()
        self._blocks: dict[int, _OpenBlock] = {}
        self._calls = 0
        self._asked: dict[str, ServerCall] = {}
        """Calls of Anthropic's own tools that have no result yet, by id."""
        self._bytes_seen = False
        self._started = False
        self._finished = False
        self._closed = False
        """Ended or failed: nothing more is said."""

    def feed(self, data: bytes) -> list[AnyEvent]:
        self._bytes_seen = self._bytes_seen or bool(data)
        events: list[AnyEvent] = []
        if not self._closed:
            try:
                for event in self._sse.feed(data):
                    self._read(event.data, events)
            except EventTooLong as error:
                self._fail(MalformedAnswer(str(error)), events)
        return events

    def finish(self) -> list[AnyEvent]:
        events: list[AnyEvent] = []
        if not self._closed:
            for event in self._sse.finish():
                self._read(event.data, events)
        if not self._closed:
            self._closed = True
            # The answer is whole once its finish reason came: a provider that forgets the end mark has said all.
            failure = end_failure(self._started, self._bytes_seen)
            events.append(Ended() if self._finished else Failed(failure))
        return events

    def _read(self, data: bytes, events: list[AnyEvent]) -> None:
        if self._closed:
            return
        try:
            chunk = decode_chunk(data)
            if not self._started:
                check_beginning(chunk)
            self._on(chunk, events)
        except MalformedAnswer as error:
            self._fail(error, events)

    def _fail(self, error: MalformedAnswer | StreamFailed, events: list[AnyEvent]) -> None:
        self._closed = True
        events.append(Failed(error))

    def _on(self, chunk: Chunk, events: list[AnyEvent]) -> None:
        match chunk.type:
            case "content_block_delta":
                self._on_delta(chunk.index, chunk.delta or Delta(), events)
            case "content_block_start":
                self._on_block(chunk.index, chunk.content_block, events)
            case "content_block_stop":
                self._on_block_end(chunk.index, events)
            case "message_start":
                self._on_start(chunk.message, events)
            case "message_delta":
                self._on_message_delta(chunk, events)
            case "message_stop":
                self._closed = True
                missing = StreamCut("the provider's stream ended without a stop reason")
                events.append(Ended() if self._finished else Failed(missing))
            case "error":
                self._fail(stream_failure(chunk), events)
            case _:
                # `ping`, and events that are added later ("Streaming Messages", "Other events").
                pass

    def _on_start(self, message: Message | None, events: list[AnyEvent]) -> None:
        if message is None:
            raise MalformedAnswer("the provider's stream begins without a message")
        if not self._started:
            self._started = True
            events.append(Started(id=message.id, model=message.model))
            self._report(message.usage, events)

    def _report(self, usage: WireUsage, events: list[AnyEvent]) -> None:
        self._usage = self._usage.updated(usage)
        total = self._usage.decoded()
        if total is not None:
            events.append(UsageReported(total))

    def _on_block(self, index: int, block: ContentBlock | None, events: list[AnyEvent]) -> None:
        if block is None:
            raise MalformedAnswer("the provider's stream begins a block without content")
        self._blocks[index] = _OpenBlock(block, self._calls)
        match block.type:
            case "text":
                if block.text:
                    events.append(TextDelta(block.text))
            case "thinking":
                if block.thinking:
                    events.append(ReasoningDelta(block.thinking))
            case "tool_use":
                events.append(ToolCallStarted(index=self._calls, id=block.id, name=block.name))
                self._calls += 1
            case "redacted_thinking":
                events.append(ReasoningRedacted(block.data))
            case "server_tool_use" if block.name in CALLED:
                pass  # it is asked when its block ends
            case kind if kind in RESULTS:
                call = self._asked.pop(block.tool_use_id, None)
                call = call or ServerCall(id=block.tool_use_id, tool=RESULTS[kind], input="")
                events.append(ServerCalled(_read(lambda: decode_result(call, block.content))))
            case kind:
                raise MalformedAnswer(f"the provider's stream holds a content block of type {kind!r}")

    def _on_delta(self, index: int, delta: Delta, events: list[AnyEvent]) -> None:
        if delta.text:
            events.append(TextDelta(delta.text))
        elif delta.partial_json:
            block = self._open(index)
            if block.kind == "server_tool_use":
                block.fragments.append(delta.partial_json)
                return
            block.has_arguments = True
            events.append(ToolArgumentsDelta(index=block.call, fragment=delta.partial_json))
        elif delta.thinking:
            events.append(ReasoningDelta(delta.thinking))
        elif delta.signature:
            self._open(index).is_signed = True
            events.append(ReasoningSigned(delta.signature))
        elif is_given(delta.citation):
            citation = _read(lambda: decode_citation(_CITATION.decode(delta.citation)))
            if citation is not None:
                events.append(Cited(citation))

    def _on_block_end(self, index: int, events: list[AnyEvent]) -> None:
        block = self._blocks.pop(index, None)
        if block is None:
            return
        if block.kind == "tool_use" and not block.has_arguments:
            # A call without arguments may come without a delta; its input stands where the block began.
            events.append(ToolArgumentsDelta(index=block.call, fragment=block.input))
        if block.kind == "server_tool_use":
            given = "".join(block.fragments) or block.input
            self._asked[block.id] = _read(lambda: decode_input(block.id, block.name, given.encode()))
        if block.kind == "text" or (block.kind == "thinking" and not block.is_signed):
            events.append(PartEnded())

    def _open(self, index: int) -> _OpenBlock:
        block = self._blocks.get(index)
        if block is None:
            raise MalformedAnswer(f"the provider's stream goes on with block {index}, which is not open")
        return block

    def _on_message_delta(self, chunk: Chunk, events: list[AnyEvent]) -> None:
        delta = chunk.delta
        if delta is not None and delta.stop_reason is not None and not self._finished:
            self._finished = True
            events += map(ServerCalled, self._asked.values())
            events.append(Finished(decode_finish(delta.stop_reason), delta.stop_sequence))
        if chunk.usage is not None:
            self._report(chunk.usage, events)


_CITATION = msgspec.json.Decoder(WebCitation)


def _read(reader: Callable[[], _T]) -> _T:
    try:
        return reader()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedAnswer(f"the provider's stream holds what cannot be read: {error}") from error


# Events to bytes


class _MessageOut(msgspec.Struct, frozen=True, tag_field="type", tag="message"):
    id: str
    role: str
    model: str
    content: tuple[()]
    stop_reason: None
    stop_sequence: None
    usage: UsageOut


class _MessageStart(msgspec.Struct, frozen=True, tag_field="type", tag="message_start"):
    message: _MessageOut


class _Stop(msgspec.Struct, frozen=True):
    stop_reason: str
    stop_sequence: str | None


class _MessageDelta(msgspec.Struct, frozen=True, tag_field="type", tag="message_delta"):
    delta: _Stop
    usage: UsageOut


class _Block:
    """A content block on its way. Only the first of the queue is on the wire; what comes for a later one waits."""

    __slots__ = ("call", "fragments", "head", "is_whole", "kind", "waiting")

    def __init__(self, kind: type[AnyEvent], head: bytes, call: int | None = None) -> None:
        self.kind = kind
        self.head = head
        self.call = call
        self.fragments: list[str] = []
        self.waiting: list[bytes] = []
        self.is_whole = False


class AnthropicEncoder:
    """The API sends one block after the other. Calls may grow side by side in other dialects: then the later one waits
    until the earlier is whole, which at the latest the finish reason says.
    """

    def __init__(self, wants_usage: bool, price_of: PriceOf, input_tokens: int) -> None:
        """Usage is always sent here, so `wants_usage` says nothing."""
        self._price_of = price_of
        self._input_tokens = input_tokens
        self._queue: deque[_Block] = deque()
        self._calls: dict[int, _Block] = {}
        self._index = 0
        self._usage: UsageReported | None = None
        self._finished: Finished | None = None
        self._refused = False
        self._closed = False
        self._out: list[bytes] = []

    def encode(self, events: Iterable[AnyEvent]) -> bytes:
        for event in events:
            # A request of this dialect asks for one choice, so the first is the only one.
            if not self._closed and getattr(event, "choice", 0) == 0:
                self._on(event)
        out = b"".join(self._out)
        self._out.clear()
        return out

    def encode_failure(self, error: GatewayError, request_id: str) -> bytes:
        self._closed = True
        return encode_stream_error(error, request_id)

    def _on(self, event: AnyEvent) -> None:
        match event:
            case TextDelta(text=text) | RefusalDelta(text=text):
                self._refused = self._refused or isinstance(event, RefusalDelta)
                self._write(self._block(type(event), _TEXT_HEAD), b"text_delta", b"text", text)
            case ReasoningDelta(text=text):
                self._write(self._block(ReasoningDelta, _THINKING_HEAD), b"thinking_delta", b"thinking", text)
            case ToolArgumentsDelta(fragment=fragment):
                self._write(self._calls[event.index], b"input_json_delta", b"partial_json", fragment)
            case ToolCallStarted():
                head = b'{"type":"tool_use","id":%b,"name":%b,"input":{}}' % (_json(event.id), _json(event.name))
                self._calls[event.index] = block = _Block(ToolCallStarted, head, event.index)
                self._begin(block)
            case ReasoningSigned(signature=signature):
                block = self._block(ReasoningDelta, _THINKING_HEAD)
                self._write(block, b"signature_delta", b"signature", signature)
                self._end(block)
            case ReasoningRedacted(data=data):
                block = _Block(ReasoningRedacted, b'{"type":"redacted_thinking","data":%b}' % _json(data))
                self._begin(block)
                self._end(block)
            case Cited(citation=citation):
                delta = b'{"type":"citations_delta","citation":%b}' % _json(encode_citation(citation))
                self._send_or_hold(self._block(TextDelta, _TEXT_HEAD), delta)
            case ServerCalled(call=call):
                self._call(call)
            case PartEnded():
                if self._queue and self._queue[-1].call is None:
                    self._end(self._queue[-1])
            case Finished():
                self._finished = event
                self._end_all()
            case UsageReported():
                self._usage = event
            case Started():
                self._start(event)
            case Ended():
                self._stop()
            case Failed(error=error):
                self._out.append(self.encode_failure(error, ""))

    def _start(self, event: Started) -> None:
        # The API names its input before the answer begins. Other dialects count at the end, so this is an estimate,
        # which the last usage object corrects.
        usage = UsageOut(self._input_tokens, None, None, 0)
        message = _MessageOut(event.id, "assistant", event.model, (), None, None, usage)
        self._send(b"message_start", msgspec.json.encode(_MessageStart(message)))

    def _stop(self) -> None:
        self._closed = True
        if self._finished is None:
            return
        usage = None if self._usage is None else self._usage.usage
        cost = None if usage is None else self._price_of(usage)
        stop = _Stop(encode_finish(self._finished.finish, self._refused), self._finished.stop_sequence)
        delta = _MessageDelta(stop, encode_usage(usage, cost))
        self._send(b"message_delta", msgspec.json.encode(delta))
        self._send(b"message_stop", b'{"type":"message_stop"}')

    def _call(self, call: ServerCall) -> None:
        """Two blocks: what was asked comes as a delta, as a caller's own call does, and the result whole."""
        use, result = encode_server_call(call)
        head = b'{"type":"server_tool_use","id":%b,"name":%b,"input":{}}' % (_json(use.id), _json(use.name))
        asked = _Block(ServerCalled, head)
        self._begin(asked)
        self._write(asked, b"input_json_delta", b"partial_json", _json(use.input).decode())
        self._end(asked)
        given = _Block(ServerCalled, _json(result))
        self._begin(given)
        self._end(given)

    def _block(self, kind: type[AnyEvent], head: bytes) -> _Block:
        """The block of this kind that is growing, or a new one."""
        last = self._queue[-1] if self._queue else None
        if last is not None and last.kind is kind and not last.is_whole:
            return last
        block = _Block(kind, head)
        self._begin(block)
        return block

    def _begin(self, block: _Block) -> None:
        """A call may still grow when the next block begins; any other block is whole by then."""
        if self._queue and self._queue[-1].call is None:
            self._queue[-1].is_whole = True
        self._queue.append(block)
        if len(self._queue) == 1:
            self._open_first()
        else:
            self._advance()

    def _end(self, block: _Block) -> None:
        block.is_whole = True
        self._advance()

    def _end_all(self) -> None:
        for block in self._queue:
            block.is_whole = True
        self._advance()

    def _advance(self) -> None:
        while self._queue and self._queue[0].is_whole:
            self._queue.popleft()
            self._send(b"content_block_stop", b'{"type":"content_block_stop","index":%d}' % self._index)
            self._index += 1
            if self._queue:
                self._open_first()

    def _open_first(self) -> None:
        block = self._queue[0]
        start = b'{"type":"content_block_start","index":%d,"content_block":%b}'
        self._send(b"content_block_start", start % (self._index, block.head))
        for delta in block.waiting:
            self._send_delta(delta)
        block.waiting.clear()

    def _write(self, block: _Block, kind: bytes, field: bytes, text: str) -> None:
        self._send_or_hold(block, b'{"type":"%b","%b":%b}' % (kind, field, _json(text)))

    def _send_or_hold(self, block: _Block, delta: bytes) -> None:
        if block is self._queue[0]:
            self._send_delta(delta)
        else:
            block.waiting.append(delta)

    def _send_delta(self, delta: bytes) -> None:
        data = b'{"type":"content_block_delta","index":%d,"delta":%b}' % (self._index, delta)
        self._send(b"content_block_delta", data)

    def _send(self, event: bytes, data: bytes) -> None:
        # JSON has no line feed outside its strings as it is written here, and an escape within them.
        self._out.append(b"event: %b\ndata: %b\n\n" % (event, data))


_TEXT_HEAD = b'{"type":"text","text":""}'
_THINKING_HEAD = b'{"type":"thinking","thinking":"","signature":""}'
_json = msgspec.json.encode
