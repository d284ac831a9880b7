"""Streamed answers to canonical events (openai SDK, `response_stream_event`). The tap reads by the same structs."""

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
from sidecar.canonical.request import (
    Citation,
    Reasoning,
    RedactedReasoning,
    Refusal,
    ServerCall,
    Text,
    TokenLogprob,
    ToolCall,
)
from sidecar.dialects.beside_text import UrlCitation, WireLogprob, decode_logprobs
from sidecar.dialects.openai_responses.errors import WireError, failure_of
from sidecar.dialects.openai_responses.reasoning import BETWEEN_PARTS
from sidecar.dialects.openai_responses.response import (
    ITEM,
    OutputItem,
    Response,
    call_id,
    created_of,
    decode_finish,
    decode_items,
    decode_parts,
    foreign_item,
)
from sidecar.dialects.openai_responses.server_tools import CALL_TYPES
from sidecar.dialects.openai_responses.usage import decode_usage
from sidecar.errors import MalformedAnswer, StreamCut, UpstreamError
from sidecar.sse import EventTooLong, SseDecoder, SseEvent

DONE = b"[DONE]"
"""Not of this API; servers that also speak chat may send it all the same."""


class Chunk(msgspec.Struct, frozen=True):
    """Any event of the stream: one struct for all, so that it is read in one pass. Events of the provider's own tools
    have fields of the same names with other types, and pass through a tap all the same.
    """

    type: str = ""
    response: Response | None = None
    item: msgspec.Raw = msgspec.Raw()
    output_index: int | None = None
    item_id: str | None = None
    content_index: int = 0
    summary_index: int = 0
    delta: object = None
    logprobs: object = None
    annotation: object = None
    text: object = None
    refusal: object = None
    arguments: object = None
    error: object = None
    code: object = None
    message: object = None

    @property
    def item_kind(self) -> str:
        """Raises MalformedAnswer."""
        try:
            return _KIND.decode(self.item).type if bytes(self.item) else ""
        except _UNREADABLE as error:
            raise MalformedAnswer("the provider's stream holds an item that cannot be read") from error


class _Kind(msgspec.Struct, frozen=True):
    type: str = ""


_CHUNK = msgspec.json.Decoder(Chunk)
_KIND = msgspec.json.Decoder(_Kind)
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def parse_chunk(event: SseEvent) -> Chunk:
    """One event's data.

    Raises:
        MalformedAnswer: not an event of this API.
        UpstreamError: the provider's own error event, or an answer that it gave up.
    """
    try:
        chunk = _CHUNK.decode(event.data)
        if not chunk.type:
            chunk = msgspec.structs.replace(chunk, type=event.event)
        failure = _failure(chunk)
    except _UNREADABLE as error:
        raise MalformedAnswer("the provider's stream holds what is not a Responses event") from error
    if failure is not None:
        raise failure
    return chunk


def _failure(chunk: Chunk) -> UpstreamError | None:
    match chunk.type:
        case "response.failed" | "response.cancelled":
            return failure_of(None if chunk.response is None else chunk.response.error)
        case "error" if chunk.error is None:
            return failure_of(msgspec.convert({"code": chunk.code, "message": chunk.message}, WireError))
        case "error" | "message":  # `message` is an event without a name: servers write the body of a refusal so
            return None if chunk.error is None else failure_of(_read_error(chunk.error))
        case _:
            return None


def _read_error(error: object) -> WireError:
    return WireError(message=error) if isinstance(error, str) else msgspec.convert(error, WireError)


def cut_or_malformed(*, events_seen: bool, bytes_seen: bool) -> UpstreamError:
    """Why a stream that never finished did not: it broke, or it was no event stream from the start."""
    if bytes_seen and not events_seen:
        return MalformedAnswer("the provider's answer is not an event stream")
    return StreamCut("the provider's stream ended before the answer was whole")


FINAL = frozenset({"response.completed", "response.incomplete"})
"""Finish reason, usage and end mark in one."""


class _ItemState:
    """What of an item has been said."""

    __slots__ = ("call", "has_arguments", "is_done", "parts")

    def __init__(self) -> None:
        self.call: int | None = None
        self.has_arguments = False
        self.is_done = False
        self.parts: set[tuple[str, int]] = set()
        """Parts that have text, by kind and index."""


class ResponsesStreamDecoder:
    """Items carry an index, and may grow side by side. What a server did not stream, it says when the item is done."""

    def __init__(self) -> None:
        self._sse = SseDecoder()
        self._items: dict[int | str, _ItemState] = {}
        self._calls = 0
        self._started = False
        self._bytes_seen = False
        self._events_seen = False
        self._closed = False
        """Ended or failed: nothing more is said."""

    def feed(self, data: bytes) -> list[AnyEvent]:
        self._bytes_seen = self._bytes_seen or bool(data)
        out: list[AnyEvent] = []
        if not self._closed:
            try:
                self._read(self._sse.feed(data), out)
            except EventTooLong as error:
                self._fail(MalformedAnswer(str(error)), out)
        return out

    def finish(self) -> list[AnyEvent]:
        out: list[AnyEvent] = []
        if not self._closed:
            self._read(self._sse.finish(), out)
        if not self._closed:
            self._fail(cut_or_malformed(events_seen=self._events_seen, bytes_seen=self._bytes_seen), out)
        return out

    def _read(self, events: list[SseEvent], out: list[AnyEvent]) -> None:
        try:
            for event in events:
                if self._closed:
                    return
                self._events_seen = True
                if event.data == DONE:
                    raise cut_or_malformed(events_seen=True, bytes_seen=True)
                if event.data:
                    self._on(parse_chunk(event), out)
        except UpstreamError as error:
            self._fail(error, out)
        except _UNREADABLE:
            self._fail(MalformedAnswer("the provider's stream holds an item that cannot be read"), out)

    def _fail(self, error: UpstreamError, out: list[AnyEvent]) -> None:
        self._closed = True
        out.append(Failed(error))

    def _on(self, chunk: Chunk, out: list[AnyEvent]) -> None:
        kind = chunk.type
        if not kind.startswith("response."):
            return  # pings, and what servers add of their own
        if not self._started:
            self._start(chunk.response or Response(), out)
        if kind in _TEXT_DELTAS:
            self._on_text(chunk, out)
        elif kind == "response.function_call_arguments.delta":
            self._on_arguments(self._item(chunk), chunk.delta, out)
        elif kind == "response.output_item.added":
            self._on_item(chunk, chunk.item_kind, out)
        elif kind in _TEXT_DONES:
            self._on_text_done(chunk, out)
        elif kind == "response.function_call_arguments.done":
            state = self._item(chunk)
            if not state.has_arguments:
                self._on_arguments(state, chunk.arguments, out)
        elif kind == "response.output_item.done":
            item = ITEM.decode(chunk.item)
            self._on_item_done(self._item(chunk, item), item, out)
        elif kind == "response.output_text.annotation.added":
            if (citation := _citation(chunk)) is not None:
                out.append(Cited(citation))
        elif kind in FINAL:
            self._end(chunk.response or Response(), out)

    def _start(self, response: Response, out: list[AnyEvent]) -> None:
        self._started = True
        out.append(Started(id=response.id, model=response.model, created=created_of(response)))

    def _item(self, chunk: Chunk, item: OutputItem | None = None) -> _ItemState:
        """By its index, which holds where a gateway gives every event another id. llama.cpp names no index, and an item
        by its own id or by that of its call.
        """
        key: int | str | None = chunk.output_index
        if key is None:
            key = chunk.item_id or ("" if item is None else item.id or item.call_id or "")
        state = self._items.get(key)
        if state is None:
            state = self._items[key] = _ItemState()
        return state

    def _on_item(self, chunk: Chunk, kind: str, out: list[AnyEvent]) -> None:
        if kind not in ("message", "reasoning", "function_call", *CALL_TYPES):
            raise foreign_item(kind)
        item = ITEM.decode(chunk.item)
        state = self._item(chunk, item)
        if kind == "function_call":
            self._begin_call(state, item, out)

    def _begin_call(self, state: _ItemState, item: OutputItem, out: list[AnyEvent]) -> None:
        if not item.name:
            raise MalformedAnswer("the provider's stream has a tool call without a name")
        state.call = self._calls
        out.append(ToolCallStarted(self._calls, call_id(item), item.name))
        self._calls += 1

    def _on_arguments(self, state: _ItemState, fragment: object, out: list[AnyEvent]) -> None:
        if state.call is None:
            raise MalformedAnswer("the provider's stream goes on with a tool call that never began")
        if isinstance(fragment, str) and fragment:
            state.has_arguments = True
            out.append(ToolArgumentsDelta(state.call, fragment))

    def _on_text(self, chunk: Chunk, out: list[AnyEvent]) -> None:
        if isinstance(chunk.delta, str) and chunk.delta:
            self._say(chunk, _TEXT_DELTAS[chunk.type], chunk.delta, out)

    def _say(self, chunk: Chunk, kind: str, text: str, out: list[AnyEvent]) -> None:
        state = self._item(chunk)
        part = (kind, chunk.summary_index if kind == "summary" else chunk.content_index)
        is_first = part not in state.parts
        match kind:
            case "text":
                out.append(TextDelta(text, logprobs=_logprobs(chunk)))
            case "refusal":
                out.append(RefusalDelta(text))
            case _:
                # A thought is one text, whatever parts it comes in.
                out.append(ReasoningDelta(BETWEEN_PARTS + text if is_first and state.parts else text))
        if is_first:
            state.parts.add(part)

    def _on_text_done(self, chunk: Chunk, out: list[AnyEvent]) -> None:
        kind = _TEXT_DONES[chunk.type]
        part = (kind, chunk.summary_index if kind == "summary" else chunk.content_index)
        text = chunk.refusal if kind == "refusal" else chunk.text
        if part not in self._item(chunk).parts and isinstance(text, str) and text:
            self._say(chunk, kind, text, out)
        if kind in ("text", "refusal") and part in self._item(chunk).parts:
            out.append(PartEnded())

    def _on_item_done(self, state: _ItemState, item: OutputItem, out: list[AnyEvent]) -> None:
        if state.is_done:
            return
        state.is_done = True
        if item.type == "function_call" and state.call is None:
            self._begin_call(state, item, out)
        for part in decode_parts(item):
            match part:
                case ToolCall(arguments=arguments) if not state.has_arguments:
                    self._on_arguments(state, arguments, out)
                case Text(text=text, citations=citations, logprobs=logprobs) if not state.parts:
                    out += (TextDelta(text, logprobs=logprobs), *map(Cited, citations), PartEnded())
                case ServerCall():
                    out.append(ServerCalled(part))
                case Refusal(text=text) if not state.parts:
                    out += (RefusalDelta(text), PartEnded())
                case RedactedReasoning(data=data):
                    out.append(ReasoningRedacted(data))
                case Reasoning(text=text, signature=signature):
                    if text and not state.parts:
                        out.append(ReasoningDelta(text))
                    out.append(PartEnded() if signature is None else ReasoningSigned(signature))
                case _:
                    pass  # it was streamed

    def _end(self, response: Response, out: list[AnyEvent]) -> None:
        if not self._items:  # a server that streams nothing but the whole
            for item in decode_items(response):
                self._on_item_done(_ItemState(), item, out)
        out.append(Finished(decode_finish(response, has_calls=self._calls > 0)))
        usage = decode_usage(response.usage, response.service_tier)
        if usage is not None:
            out.append(UsageReported(usage))
        out.append(Ended())
        self._closed = True


def _logprobs(chunk: Chunk) -> tuple[TokenLogprob, ...]:
    if not chunk.logprobs:
        return ()
    try:
        return decode_logprobs(msgspec.convert(chunk.logprobs, list[WireLogprob]))
    except msgspec.ValidationError as error:
        raise MalformedAnswer(f"the provider's stream holds log probabilities that cannot be read: {error}") from error


def _citation(chunk: Chunk) -> Citation | None:
    try:
        return msgspec.convert(chunk.annotation, UrlCitation).decoded()
    except msgspec.ValidationError as error:
        raise MalformedAnswer(f"the provider's stream holds an annotation that cannot be read: {error}") from error


_TEXT_DELTAS = {
    "response.output_text.delta": "text",
    "response.refusal.delta": "refusal",
    "response.reasoning_summary_text.delta": "summary",
    "response.reasoning_text.delta": "thought",
}
_TEXT_DONES = {kind.replace(".delta", ".done"): part for kind, part in _TEXT_DELTAS.items()}
_SAID_BY_ITEM = frozenset({"message", "reasoning"})
"""Items that say nothing until their text comes. Any other is an act: a call, or one of the provider's own tools."""


def is_content(chunk: Chunk) -> bool:
    """Something of the answer that the caller can see."""
    if chunk.type in _TEXT_DELTAS or chunk.type == "response.function_call_arguments.delta":
        return bool(chunk.delta)
    if chunk.type in _TEXT_DONES:
        return bool(chunk.text or chunk.refusal)
    return chunk.type == "response.output_item.added" and chunk.item_kind not in _SAID_BY_ITEM
