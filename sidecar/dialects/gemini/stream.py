"""Streams of streamGenerateContent ↔ canonical events: server-sent events, each a document as the plain answer is, and
no end mark: a stream is whole when a finish reason was seen (ai.google.dev/api/generate-content,
`models.streamGenerateContent`).
"""

from collections import deque
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
from sidecar.canonical.request import Citation, ServerCall, ToolCall
from sidecar.dialects.base import PriceOf
from sidecar.dialects.beside_text import placed
from sidecar.dialects.gemini.errors import encode_stream_error
from sidecar.dialects.gemini.grounding import encode_grounding, encode_logprobs
from sidecar.dialects.gemini.response import (
    ChunkReader,
    call_part,
    candidate,
    encode_finish,
    encode_server_call,
    is_object,
    parse_chunk,
    redacted_part,
    thought_part,
)
from sidecar.dialects.gemini.usage import encode_usage
from sidecar.errors import GatewayError, MalformedAnswer, StreamCut, UpstreamError
from sidecar.sse import EventTooLong, SseDecoder, SseEvent, encode_event


def cut_or_malformed(*, events_seen: bool, bytes_seen: bool) -> UpstreamError:
    """Why a stream that never finished did not: it broke, or it was no event stream from the start."""
    if bytes_seen and not events_seen:
        return MalformedAnswer("the provider's answer is not an event stream")
    return StreamCut("the provider's stream ended without a finish reason")


class GeminiDecoder:
    """Documents to events. Holds one unfinished event, and per candidate whether it is finished."""

    def __init__(self) -> None:
        self._sse = SseDecoder()
        self._reader = ChunkReader()
        self._bytes_seen = False
        self._events_seen = False
        self._closed = False
        """Ended or failed: nothing more is said."""

    def feed(self, data: bytes) -> list[AnyEvent]:
        out: list[AnyEvent] = []
        self._bytes_seen = self._bytes_seen or bool(data)
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
            self._closed = True
            missing = cut_or_malformed(events_seen=self._events_seen, bytes_seen=self._bytes_seen)
            out.append(Ended() if self._reader.is_whole else Failed(missing))
        return out

    def _read(self, events: list[SseEvent], out: list[AnyEvent]) -> None:
        try:
            for event in events:
                self._events_seen = True
                if event.data:
                    self._reader.read(parse_chunk(event.data), out)
        except UpstreamError as error:
            self._fail(error, out)

    def _fail(self, error: UpstreamError, out: list[AnyEvent]) -> None:
        self._closed = True
        out.append(Failed(error))


# Events to bytes


class _Call:
    """A call on its way. `args` are sent whole, so fragments wait until they add up to an object."""

    __slots__ = ("fragments", "start")

    def __init__(self, start: ToolCallStarted) -> None:
        self.start = start
        self.fragments: list[str] = []

    @property
    def is_whole(self) -> bool:
        # Nothing that begins an object and does not end it is an object, so one that is will not grow.
        last = self.fragments[-1] if self.fragments else ""
        return last.rstrip().endswith("}") and is_object("".join(self.fragments))

    def done(self) -> ToolCall:
        return ToolCall(id=self.start.id, name=self.start.name, arguments="".join(self.fragments))


class _Choice:
    __slots__ = (
        "_begin",
        "_cited",
        "_pieces",
        "_waiting",
        "calls",
        "calls_sent",
        "finished",
        "is_refusal",
        "searches",
        "waiting",
    )

    def __init__(self) -> None:
        self.calls: dict[int, _Call] = {}
        self.waiting: deque[_Call] = deque()
        """Calls in the order in which they began; the first of them is sent first."""
        self.calls_sent = 0
        self.is_refusal = False
        self.finished: Finished | None = None
        self.searches: list[ServerCall] = []
        self._pieces: list[str] = []
        self._begin = 0
        """The piece where the text that grows begins."""
        self._waiting: list[Citation] = []
        self._cited: list[Citation] = []

    def say(self, text: str) -> None:
        self._pieces.append(text)

    def cite(self, citation: Citation) -> None:
        self._waiting.append(citation)

    def end_text(self) -> None:
        """What the text rests on counts from the beginning of the answer, as a stream has no parts."""
        if self._waiting:
            begin, end = (sum(map(len, self._pieces[:at])) for at in (self._begin, None))
            self._cited += (placed(citation, begin, end) for citation in self._waiting)
            self._waiting.clear()
        self._begin = len(self._pieces)

    def grounding(self) -> dict[str, object]:
        text = "".join(self._pieces) if self._cited else ""
        return encode_grounding(((0, text, citation) for citation in self._cited), self.searches)


class GeminiEncoder:
    """The finish reason and the usage with its cost come in one last document, once the stream has ended."""

    def __init__(self, wants_usage: bool, price_of: PriceOf, input_tokens: int) -> None:
        """Usage is always sent here, so `wants_usage` says nothing; it is named at the end alone."""
        self._price_of = price_of
        self._choices: dict[int, _Choice] = {}
        self._usage: Usage | None = None
        self._closed = False
        self._tail = _tail(Started(id="", model=""))

    def encode(self, events: Iterable[AnyEvent]) -> bytes:
        return b"".join(self._encode(event) for event in events if not self._closed)

    def encode_failure(self, error: GatewayError, request_id: str) -> bytes:
        self._closed = True
        return encode_stream_error(error, request_id)

    def _encode(self, event: AnyEvent) -> bytes:
        match event:
            case TextDelta(text=text) | RefusalDelta(text=text):
                choice = self._choice(event.choice)
                choice.say(text)
                if isinstance(event, RefusalDelta):
                    choice.is_refusal = True
                elif event.logprobs:
                    likely = encode_logprobs(event.logprobs)
                    return self._document({"candidates": [candidate(event.choice, [{"text": text}], logprobs=likely)]})
                return self._parts(event.choice, {"text": text})
            case Cited(citation=citation):
                self._choice(event.choice).cite(citation)
                return b""
            case ServerCalled():
                choice = self._choice(event.choice)
                choice.end_text()
                choice.searches.append(event.call)
                parts = encode_server_call(event.call)
                return self._parts(event.choice, *parts) if parts else b""
            case ReasoningDelta(text=text):
                return self._parts(event.choice, thought_part(text, None))
            case ReasoningSigned(signature=signature):
                return self._parts(event.choice, thought_part("", signature))
            case ReasoningRedacted(data=data):
                return self._parts(event.choice, redacted_part(data))
            case ToolCallStarted():
                choice = self._choice(event.choice)
                choice.end_text()
                choice.calls[event.index] = call = _Call(event)
                choice.waiting.append(call)
                return b""
            case ToolArgumentsDelta():
                choice = self._choice(event.choice)
                choice.calls[event.index].fragments.append(event.fragment)
                return self._calls(event.choice, choice, all_of_them=False)
            case Finished():
                choice = self._choice(event.choice)
                choice.end_text()
                choice.finished = event
                return self._calls(event.choice, choice, all_of_them=True)
            case UsageReported(usage=usage):
                self._usage = usage
                return b""
            case Started():
                self._tail = _tail(event)
                return b""
            case Ended():
                return self._end()
            case Failed(error=error):
                return self.encode_failure(error, "")
            case PartEnded():
                self._choice(event.choice).end_text()
                return b""  # Gemini has no marks between parts

    def _choice(self, index: int) -> _Choice:
        return self._choices.setdefault(index, _Choice())

    def _calls(self, index: int, choice: _Choice, *, all_of_them: bool) -> bytes:
        parts = []
        while choice.waiting and (all_of_them or choice.waiting[0].is_whole):
            parts.append(call_part(choice.waiting.popleft().done(), is_first=choice.calls_sent == 0))
            choice.calls_sent += 1
        return self._parts(index, *parts) if parts else b""

    def _parts(self, index: int, *parts: dict[str, object]) -> bytes:
        self._choice(index)
        return self._document({"candidates": [candidate(index, parts)]})

    def _document(self, document: dict[str, object]) -> bytes:
        return encode_event(msgspec.json.encode(document)[:-1] + self._tail)

    def _end(self) -> bytes:
        self._closed = True
        finished = [(index, choice) for index, choice in sorted(self._choices.items()) if choice.finished is not None]
        if not finished:
            return b""  # without a finish reason the answer is not whole, whatever the provider says
        last: dict[str, object] = {
            "candidates": [
                candidate(
                    index,
                    [{"text": ""}],
                    encode_finish(choice.finished.finish, choice.is_refusal),
                    grounding=choice.grounding(),
                )
                for index, choice in finished
                if choice.finished is not None
            ]
        }
        if self._usage is not None:
            last["usageMetadata"] = encode_usage(self._usage, self._price_of(self._usage))
        return self._document(last)


def _tail(started: Started) -> bytes:
    """What every document ends with, after its candidates."""
    named = {"modelVersion": started.model, "responseId": started.id}
    return b"," + msgspec.json.encode(named)[1:]
