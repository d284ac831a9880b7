"""A streamed answer, event by event; `collect` adds a stream up to the whole answer.

A stream reads: Started, then per choice deltas in order, then Finished; UsageReported any number of times (each a new
running total, the last one counts); Ended when the dialect's own end mark was seen. Failed may come anywhere, and last.
"""

from collections.abc import Iterable

import msgspec

from schemas.record import Usage
from sidecar.canonical.request import (
    AnyPart,
    Citation,
    Reasoning,
    RedactedReasoning,
    Refusal,
    ServerCall,
    Text,
    TokenLogprob,
    ToolCall,
)
from sidecar.canonical.response import ChatResponse, Choice, FinishReason
from sidecar.errors import UpstreamError


class Event(msgspec.Struct, frozen=True, gc=False):
    pass


class Started(Event, frozen=True):
    id: str
    model: str
    created: int | None = None


class TextDelta(Event, frozen=True):
    text: str
    choice: int = 0
    logprobs: tuple[TokenLogprob, ...] = ()


class Cited(Event, frozen=True):
    """Belongs to the text that grows, or to the last one."""

    citation: Citation
    choice: int = 0


class ReasoningDelta(Event, frozen=True):
    text: str
    choice: int = 0


class ReasoningSigned(Event, frozen=True):
    """Ends a reasoning part."""

    signature: str
    choice: int = 0


class ReasoningRedacted(Event, frozen=True):
    """A whole part of its own."""

    data: str
    choice: int = 0


class RefusalDelta(Event, frozen=True):
    text: str
    choice: int = 0


class ToolCallStarted(Event, frozen=True):
    index: int
    """Which call of this choice, from 0, in order of appearance."""
    id: str
    name: str
    choice: int = 0


class ToolArgumentsDelta(Event, frozen=True):
    index: int
    fragment: str
    """A piece of JSON text; pieces add up to the arguments."""
    choice: int = 0


class ServerCalled(Event, frozen=True):
    """A whole part of its own."""

    call: ServerCall
    choice: int = 0


class PartEnded(Event, frozen=True):
    """The current part is whole: a delta of the same kind that follows opens a new one."""

    choice: int = 0


class Finished(Event, frozen=True):
    finish: FinishReason
    stop_sequence: str | None = None
    choice: int = 0


class UsageReported(Event, frozen=True):
    usage: Usage


class Ended(Event, frozen=True):
    pass


class Failed(Event, frozen=True):
    error: UpstreamError


AnyEvent = (
    Started
    | TextDelta
    | Cited
    | ReasoningDelta
    | ReasoningSigned
    | ReasoningRedacted
    | RefusalDelta
    | ToolCallStarted
    | ToolArgumentsDelta
    | ServerCalled
    | PartEnded
    | Finished
    | UsageReported
    | Ended
    | Failed
)

CONTENT_EVENTS = (
    TextDelta,
    ReasoningDelta,
    ReasoningRedacted,
    RefusalDelta,
    ToolCallStarted,
    ToolArgumentsDelta,
    ServerCalled,
    Finished,
)
"""The first of these commits a call to its target: until then another target may answer instead."""


def collect(events: Iterable[AnyEvent]) -> ChatResponse:
    """The whole answer that a stream adds up to.

    Raises:
        UpstreamError: the one that a Failed event carries.
        ValueError: the stream has no Started event, or a choice never finished.
    """
    started: Started | None = None
    usage: Usage | None = None
    choices: dict[int, _Growing] = {}
    for event in events:
        match event:
            case Started():
                started = event
            case UsageReported():
                usage = event.usage
            case Failed():
                raise event.error
            case Ended():
                pass
            case _:
                choices.setdefault(event.choice, _Growing()).add(event)
    if started is None:
        raise ValueError("the stream never started")
    return ChatResponse(
        id=started.id,
        model=started.model,
        created=started.created,
        choices=tuple(choices[index].done() for index in sorted(choices)),
        usage=usage,
    )


class _Growing:
    """One choice on its way: text pieces are joined once, at the part's end."""

    def __init__(self) -> None:
        self._parts: list[AnyPart | None] = []
        self._open: type[TextDelta] | type[ReasoningDelta] | type[RefusalDelta] | None = None
        self._pieces: list[str] = []
        self._citations: list[Citation] = []
        self._logprobs: list[TokenLogprob] = []
        self._calls: dict[int, tuple[int, ToolCallStarted, list[str]]] = {}
        self._finish: Finished | None = None

    def add(self, event: AnyEvent) -> None:
        match event:
            case TextDelta() | ReasoningDelta() | RefusalDelta():
                if self._open is not type(event):
                    self._close()
                    self._open = type(event)
                self._pieces.append(event.text)
                if isinstance(event, TextDelta):
                    self._logprobs += event.logprobs
            case Cited():
                self._cite(event.citation)
            case ReasoningSigned():
                if self._open is not ReasoningDelta:
                    self._close()  # thinking that the provider leaves out has a signature and no text
                self._close(signature=event.signature)
            case ReasoningRedacted():
                self._close()
                self._parts.append(RedactedReasoning(data=event.data))
            case ToolCallStarted():
                self._close()
                self._calls[event.index] = (len(self._parts), event, [])
                self._parts.append(None)
            case ToolArgumentsDelta():
                self._calls[event.index][2].append(event.fragment)
            case ServerCalled():
                self._close()
                self._parts.append(event.call)
            case PartEnded():
                self._close()
            case Finished():
                self._finish = event
            case _:
                raise ValueError(f"{type(event).__name__} belongs to no choice")

    def _cite(self, citation: Citation) -> None:
        if self._open is TextDelta:
            self._citations.append(citation)
            return
        for place in range(len(self._parts) - 1, -1, -1):
            part = self._parts[place]
            if isinstance(part, Text):
                self._parts[place] = msgspec.structs.replace(part, citations=(*part.citations, citation))
                return

    def _close(self, signature: str | None = None) -> None:
        text = "".join(self._pieces)
        if self._open is TextDelta:
            self._parts.append(Text(text=text, citations=tuple(self._citations), logprobs=tuple(self._logprobs)))
        elif self._open is RefusalDelta:
            self._parts.append(Refusal(text=text))
        elif self._open is ReasoningDelta or signature is not None:
            self._parts.append(Reasoning(text=text, signature=signature))
        self._open, self._pieces, self._citations, self._logprobs = None, [], [], []

    def done(self) -> Choice:
        self._close()
        if self._finish is None:
            raise ValueError("a choice never finished")
        for place, start, fragments in self._calls.values():
            self._parts[place] = ToolCall(id=start.id, name=start.name, arguments="".join(fragments))
        return Choice(
            parts=tuple(part for part in self._parts if part is not None),
            finish=self._finish.finish,
            stop_sequence=self._finish.stop_sequence,
        )
