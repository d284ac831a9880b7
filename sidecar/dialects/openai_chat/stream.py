"""Streamed answers: chunks to canonical events and back. The tap reads chunks by the same structs."""

from collections.abc import Iterable

import msgspec

from schemas.record import Usage
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
from sidecar.canonical.request import Citation
from sidecar.dialects.base import PriceOf
from sidecar.dialects.beside_text import decode_logprobs
from sidecar.dialects.openai_chat.errors import encode_stream_error
from sidecar.dialects.openai_chat.response import (
    Annotation,
    Logprobs,
    call_id,
    decode_annotations,
    decode_finish,
    encode_annotations,
    encode_finish,
    encode_logprobs,
    message_of,
)
from sidecar.dialects.openai_chat.usage import WireUsage, decode_usage, encode_usage
from sidecar.errors import GatewayError, MalformedAnswer, StreamCut, StreamFailed, UpstreamError
from sidecar.sse import EventTooLong, SseDecoder, SseEvent, encode_event

DONE = b"[DONE]"


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: str | None = None


class _CallDelta(msgspec.Struct):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class Delta(msgspec.Struct):
    content: str | None = None
    reasoning_content: str | None = None
    """DeepSeek, vLLM, llama.cpp."""
    reasoning: str | None = None
    """The same by OpenRouter's and vLLM's newer name."""
    refusal: str | None = None
    tool_calls: list[_CallDelta] | None = None
    function_call: object = None
    audio: object = None
    annotations: list[Annotation] | None = None


class ChunkChoice(msgspec.Struct):
    index: int = 0
    logprobs: Logprobs | None = None
    delta: Delta | None = None
    finish_reason: str | None = None


class Chunk(msgspec.Struct):
    choices: list[ChunkChoice] | None = None
    id: str | None = None
    model: str | None = None
    created: int | None = None
    usage: WireUsage | None = None
    service_tier: object = None
    error: object = None


_CHUNK = msgspec.json.Decoder(Chunk)


def parse_chunk(data: bytes) -> Chunk:
    """One event's data.

    Raises:
        StreamFailed: the provider's own error event.
        MalformedAnswer: not a chunk.
    """
    try:
        chunk = _CHUNK.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedAnswer("the provider's stream holds an event that is not a chat completion chunk") from error
    if chunk.error is not None:
        raise StreamFailed(f"the provider broke the stream off: {message_of(chunk.error)}")
    return chunk


def broken_off(finish_reason: str) -> StreamFailed:
    return StreamFailed(f"the provider broke the stream off: finish reason {finish_reason}")


def cut_or_malformed(*, events_seen: bool, bytes_seen: bool) -> UpstreamError:
    """Why a stream that never finished did not: it broke, or it was no event stream from the start."""
    if bytes_seen and not events_seen:
        return MalformedAnswer("the provider's answer is not an event stream")
    return StreamCut("the provider's stream ended without a finish reason")


# --- chat to canonical ----------------------------------------------------------------------------------------------


class ChatStreamDecoder:
    """Chunks to events. Holds one unfinished event, and per choice which calls have begun."""

    def __init__(self) -> None:
        self._sse = SseDecoder()
        self._choices: dict[int, _ChoiceState] = {}
        self._service_tier: object = None
        self._started = False
        self._bytes_seen = False
        self._events_seen = False
        self._ended = False
        self._failed = False

    def feed(self, data: bytes) -> list[AnyEvent]:
        if self._failed or self._ended:
            return []
        self._bytes_seen = self._bytes_seen or bool(data)
        out: list[AnyEvent] = []
        try:
            self._read(self._sse.feed(data), out)
        except EventTooLong as error:
            self._fail(MalformedAnswer(str(error)), out)
        return out

    def finish(self) -> list[AnyEvent]:
        """Also says Ended where a finish reason came and the end mark did not: the answer is whole."""
        out: list[AnyEvent] = []
        if self._failed or self._ended:
            return out
        self._read(self._sse.finish(), out)
        if not (out and isinstance(out[-1], Ended | Failed)):
            self._end(out)
        return out

    def _read(self, events: list[SseEvent], out: list[AnyEvent]) -> None:
        try:
            for event in events:
                self._events_seen = True
                if event.data == DONE:
                    self._end(out)
                    return
                if event.data:
                    self._chunk(parse_chunk(event.data), out)
        except UpstreamError as error:
            self._fail(error, out)

    def _end(self, out: list[AnyEvent]) -> None:
        if self._choices and all(choice.finished for choice in self._choices.values()):
            self._ended = True
            out.append(Ended())
        else:
            self._fail(cut_or_malformed(events_seen=self._events_seen, bytes_seen=self._bytes_seen), out)

    def _fail(self, error: UpstreamError, out: list[AnyEvent]) -> None:
        self._failed = True
        out.append(Failed(error))

    def _chunk(self, chunk: Chunk, out: list[AnyEvent]) -> None:
        self._service_tier = chunk.service_tier or self._service_tier
        if not self._started and chunk.choices:  # Azure's first chunk holds filter results alone, and no id
            self._started = True
            out.append(Started(id=chunk.id or "", model=chunk.model or "", created=chunk.created))
        for choice in chunk.choices or ():
            state = self._choices.get(choice.index)
            if state is None:
                state = self._choices[choice.index] = _ChoiceState(choice.index)
            state.read(choice, out)
        if chunk.usage is not None and (usage := decode_usage(chunk.usage, self._service_tier)) is not None:
            out.append(UsageReported(usage))


class _ChoiceState:
    """Which calls of a choice have begun, by the provider's index."""

    __slots__ = ("_calls", "_count", "_index", "_last", "finished")

    def __init__(self, index: int) -> None:
        self._index = index
        self._calls: dict[int, tuple[int, str | None]] = {}
        self._count = 0
        self._last = 0
        self.finished = False

    def read(self, choice: ChunkChoice, out: list[AnyEvent]) -> None:
        delta = choice.delta
        if delta is not None:
            if delta.content:
                logprobs = () if choice.logprobs is None else decode_logprobs(choice.logprobs.content)
                out.append(TextDelta(delta.content, self._index, logprobs))
            if delta.annotations:
                out += (Cited(citation, self._index) for citation in decode_annotations(delta.annotations))
            if thought := delta.reasoning_content or delta.reasoning:
                out.append(ReasoningDelta(thought, self._index))
            if delta.refusal:
                out.append(RefusalDelta(delta.refusal, self._index))
            for call in delta.tool_calls or ():
                self._call(call, out)
        # Some servers repeat the finish reason on the chunk that carries usage.
        if choice.finish_reason and not self.finished:
            finish = decode_finish(choice.finish_reason)
            if finish is None:
                raise broken_off(choice.finish_reason)
            self.finished = True
            out.append(Finished(finish, choice=self._index))

    def _call(self, call: _CallDelta, out: list[AnyEvent]) -> None:
        function = call.function or _Function()
        wire_index = self._wire_index(call, function)
        known = self._calls.get(wire_index)
        # Some servers give every parallel call the index 0: a name with another id begins a new one.
        if known is None or (function.name and call.id and call.id != known[1]):
            if not function.name:
                raise MalformedAnswer("the provider's stream has a tool call without a name")
            known = self._calls[wire_index] = (self._count, call.id)
            self._count += 1
            out.append(ToolCallStarted(known[0], call.id or call_id(known[0]), function.name, self._index))
        if function.arguments:
            out.append(ToolArgumentsDelta(known[0], function.arguments, self._index))
        self._last = wire_index

    def _wire_index(self, call: _CallDelta, function: _Function) -> int:
        if call.index is not None:
            return call.index
        return max(self._calls, default=-1) + 1 if function.name else self._last


# --- canonical to chat ----------------------------------------------------------------------------------------------


class _Said:
    """What a choice has said so far: annotations count from its beginning, over all texts that chat joins."""

    __slots__ = ("begin", "citations", "length")

    def __init__(self) -> None:
        self.length = 0
        self.begin = 0
        """Where the text that grows begins."""
        self.citations: list[Citation] = []

    def annotations(self) -> list[dict[str, object]]:
        """Of the text that ends here."""
        begin, self.begin = self.begin, self.length
        citations, self.citations = self.citations, []
        return encode_annotations(citations, begin, self.length)


class ChatStreamEncoder:
    """Events to chunks. Id, model and time are those of Started, on every chunk."""

    def __init__(self, wants_usage: bool, price_of: PriceOf) -> None:
        self._wants_usage = wants_usage
        self._price_of = price_of
        self._usage: Usage | None = None
        self._roles_sent: set[int] = set()
        self._texts: dict[int, _Said] = {}
        self._finished = False
        self._closed = False
        self._tail = b',"usage":null}' if wants_usage else b"}"  # OpenAI: null on every chunk but the last, if asked
        self._head = _head(Started(id="", model=""))

    def encode(self, events: Iterable[AnyEvent]) -> bytes:
        return b"".join(self._encode(event) for event in events if not self._closed)

    def encode_failure(self, error: GatewayError, request_id: str) -> bytes:
        self._closed = True
        return encode_stream_error(error, request_id)

    def _encode(self, event: AnyEvent) -> bytes:
        match event:
            case TextDelta():
                return self._say(event)
            case Cited():
                self._said(event.choice).citations.append(event.citation)
                return b""
            case ToolArgumentsDelta():
                return self._delta(event.choice, _call_delta(event.index, {"arguments": event.fragment}))
            case ReasoningDelta():
                return self._delta(event.choice, b'{"reasoning_content":' + _json(event.text) + b"}")
            case ToolCallStarted():
                function = {"name": event.name, "arguments": ""}
                begun = self._delta(event.choice, _call_delta(event.index, function, event.id))
                return self._end_text(event.choice) + begun
            case RefusalDelta():
                return self._delta(event.choice, b'{"refusal":' + _json(event.text) + b"}")
            case Started():
                self._head = _head(event)
                return self._role(0)
            case Finished():
                self._finished = True
                return self._end_text(event.choice) + self._delta(event.choice, b"{}", encode_finish(event.finish))
            case UsageReported():
                self._usage = event.usage
                return b""
            case Ended():
                return self._end()
            case Failed():
                return self.encode_failure(event.error, "")
            case PartEnded():
                return self._end_text(event.choice)
            case ServerCalled():
                return self._end_text(event.choice)  # chat tells what came of it, in the text and its annotations
            case ReasoningSigned() | ReasoningRedacted():
                return b""  # chat has no thinking that only its vendor can read

    def _say(self, event: TextDelta) -> bytes:
        self._said(event.choice).length += len(event.text)
        logprobs = b"null" if not event.logprobs else _json(encode_logprobs(event.logprobs))
        return self._delta(event.choice, b'{"content":' + _json(event.text) + b"}", logprobs=logprobs)

    def _said(self, choice: int) -> "_Said":
        return self._texts.setdefault(choice, _Said())

    def _end_text(self, choice: int) -> bytes:
        """What the text rests on, once it is whole."""
        said = self._said(choice)
        annotations = said.annotations()
        return self._delta(choice, _json({"annotations": annotations})) if annotations else b""

    def _delta(self, choice: int, delta: bytes, finish: str | None = None, logprobs: bytes = b"null") -> bytes:
        role = b"" if choice in self._roles_sent else self._role(choice)
        return role + self._chunk(choice, delta, finish, logprobs)

    def _role(self, choice: int) -> bytes:
        if choice in self._roles_sent:
            return b""
        self._roles_sent.add(choice)
        return self._chunk(choice, b'{"role":"assistant","content":"","refusal":null}', None)

    def _chunk(self, choice: int, delta: bytes, finish: str | None, logprobs: bytes = b"null") -> bytes:
        return b'%b"choices":[{"index":%d,"delta":%b,"logprobs":%b,"finish_reason":%b}]%b\n\n' % (
            self._head,
            choice,
            delta,
            logprobs,
            b"null" if finish is None else _json(finish),
            self._tail,
        )

    def _end(self) -> bytes:
        self._closed = True
        if not self._finished:
            return b""  # without a finish reason the answer is not whole, whatever the provider says
        usage = b""
        if self._wants_usage and self._usage is not None:
            usage = b'%b"choices":[],"usage":%b}\n\n' % (
                self._head,
                encode_usage(self._usage, self._price_of(self._usage)),
            )
        return usage + encode_event(DONE)


_json = msgspec.json.encode


def _head(started: Started) -> bytes:
    """What every chunk begins with, up to its choices. 0 where the provider's dialect says no time."""
    fields = {
        "id": started.id,
        "object": "chat.completion.chunk",
        "created": started.created or 0,
        "model": started.model,
    }
    return b"data: " + _json(fields)[:-1] + b","


def _call_delta(index: int, function: dict[str, str], call: str | None = None) -> bytes:
    head: dict[str, object] = {"index": index}
    if call is not None:
        head |= {"id": call, "type": "function"}
    return _json({"tool_calls": [{**head, "function": function}]})
