"""Streams of ConverseStream → canonical events: frames, each a small JSON document whose kind its headers name, and no
end mark but the metadata, which comes last (botocore's service model, `ConverseStreamOutput`).
"""

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
    Started,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallStarted,
    UsageReported,
)
from sidecar.dialects.bedrock.errors import stream_exception
from sidecar.dialects.bedrock.eventstream import BadFrame, Frame, FrameDecoder
from sidecar.dialects.bedrock.response import (
    ServiceTier,
    Wire,
    WireCitation,
    WireUsage,
    decode_finish,
    stop_sequence_of,
)
from sidecar.errors import MalformedAnswer, StreamCut, UpstreamError

_T = TypeVar("_T")


class _ToolUseStart(Wire, frozen=True):
    tool_use_id: str
    name: str
    type: str | None = None


class _BlockStart(Wire, frozen=True):
    content_block_index: int
    start: dict[str, msgspec.Raw]
    """A union by name. The service says no start of a text; gateways that speak Converse say an empty one."""


class _ToolUseDelta(Wire, frozen=True):
    input: str = ""


class _ReasoningDelta(Wire, frozen=True):
    text: str | None = None
    redacted_content: str | None = None
    signature: str | None = None


class _Delta(Wire, frozen=True):
    """A union by name: exactly one field stands in it."""

    text: str | None = None
    tool_use: _ToolUseDelta | None = None
    reasoning_content: _ReasoningDelta | None = None
    citation: WireCitation | None = None
    """Stands beside a text that comes as deltas too."""


class _BlockDelta(Wire, frozen=True):
    content_block_index: int
    delta: _Delta


class _BlockStop(Wire, frozen=True):
    content_block_index: int


class _MessageStop(Wire, frozen=True):
    stop_reason: str
    additional_model_response_fields: object = None


class _Metadata(Wire, frozen=True):
    usage: WireUsage | None = None
    service_tier: ServiceTier | None = None


_TOOL_USE_START = msgspec.json.Decoder(_ToolUseStart)
_BLOCK_START = msgspec.json.Decoder(_BlockStart)
_BLOCK_DELTA = msgspec.json.Decoder(_BlockDelta)
_BLOCK_STOP = msgspec.json.Decoder(_BlockStop)
_MESSAGE_STOP = msgspec.json.Decoder(_MessageStop)
_METADATA = msgspec.json.Decoder(_Metadata)


class _OpenBlock:
    __slots__ = ("call", "has_arguments", "has_text", "signature")

    def __init__(self, call: int | None = None) -> None:
        self.call = call
        """Which call of the answer it is; None for text and reasoning."""
        self.has_arguments = False
        self.has_text = False
        self.signature: list[str] = []


class BedrockDecoder:
    """Frames to events. Holds one unfinished frame, and of each open block only what its end needs."""

    def __init__(self) -> None:
        self._frames = FrameDecoder()
        self._blocks: dict[int, _OpenBlock] = {}
        self._calls = 0
        self._bytes_seen = False
        self._frames_seen = False
        self._started = False
        self._finished = False
        self._closed = False
        """Ended or failed: nothing more is said."""
        self._read: dict[str, Callable[[bytes, list[AnyEvent]], None]] = {
            "contentBlockStart": self._on_block_start,
            "contentBlockDelta": self._on_block_delta,
            "contentBlockStop": self._on_block_stop,
            "messageStop": self._on_message_stop,
            "metadata": self._on_metadata,
        }

    def feed(self, data: bytes) -> list[AnyEvent]:
        events: list[AnyEvent] = []
        self._bytes_seen = self._bytes_seen or bool(data)
        if not self._closed:
            try:
                self._on_frames(self._frames.feed(data), events)
            except BadFrame as error:
                self._fail(MalformedAnswer(f"the provider's answer is not an event stream: {error}"), events)
            except UpstreamError as error:
                self._fail(error, events)
        return events

    def finish(self) -> list[AnyEvent]:
        if self._closed:
            return []
        self._closed = True
        if self._finished:
            return [Ended()]  # the answer is whole, though nobody counted it
        if self._bytes_seen and not self._frames_seen:
            return [Failed(MalformedAnswer("the provider's answer is not an event stream"))]
        return [Failed(StreamCut("the provider's stream ended without a stop reason"))]

    def _on_frames(self, frames: Iterable[Frame], events: list[AnyEvent]) -> None:
        for frame in frames:
            self._frames_seen = True
            self._on_frame(frame, events)
            if self._closed:
                return

    def _on_frame(self, frame: Frame, events: list[AnyEvent]) -> None:
        message_type = frame.text(":message-type")
        if message_type == "exception":
            raise stream_exception(frame.text(":exception-type"), frame.payload)
        if message_type == "error":
            # An error that the service has no shape for; its text is in a header, and speaks of the service.
            raise stream_exception(frame.text(":error-code"), b"")
        kind = frame.text(":event-type")
        if kind == "messageStart":
            self._start(events)
        elif (read := self._read.get(kind)) is not None:  # a kind that was added later says nothing to us
            if not self._started:
                raise MalformedAnswer(f"the provider's stream begins with {kind}")
            read(frame.payload, events)

    def _start(self, events: list[AnyEvent]) -> None:
        if not self._started:
            self._started = True
            events.append(Started(id="", model=""))

    def _on_block_start(self, payload: bytes, events: list[AnyEvent]) -> None:
        block = _parse(_BLOCK_START, payload)
        if not block.start:
            return
        call = _parse(_TOOL_USE_START, bytes(block.start["toolUse"])) if "toolUse" in block.start else None
        if call is None or call.type is not None:
            raise MalformedAnswer("the provider's stream has a content block that cannot be carried")
        self._blocks[block.content_block_index] = _OpenBlock(self._calls)
        events.append(ToolCallStarted(self._calls, call.tool_use_id, call.name))
        self._calls += 1

    def _on_block_delta(self, payload: bytes, events: list[AnyEvent]) -> None:
        parsed = _parse(_BLOCK_DELTA, payload)
        delta, block = parsed.delta, self._blocks.setdefault(parsed.content_block_index, _OpenBlock())
        if delta.text is not None:
            if delta.text:
                block.has_text = True
                events.append(TextDelta(delta.text))
        elif delta.tool_use is not None:
            if block.call is None:
                raise MalformedAnswer("the provider's stream goes on with a tool call that never began")
            if delta.tool_use.input:
                block.has_arguments = True
                events.append(ToolArgumentsDelta(block.call, delta.tool_use.input))
        elif delta.reasoning_content is not None:
            _reason(delta.reasoning_content, block, events)
        elif delta.citation is None:
            raise MalformedAnswer("the provider's stream has a delta that cannot be carried")
        elif (citation := delta.citation.decoded()) is not None:
            events.append(Cited(citation))

    def _on_block_stop(self, payload: bytes, events: list[AnyEvent]) -> None:
        self._end(self._blocks.pop(_parse(_BLOCK_STOP, payload).content_block_index, None), events)

    def _end(self, block: _OpenBlock | None, events: list[AnyEvent]) -> None:
        if block is None:
            return
        if block.call is not None:
            if not block.has_arguments:
                events.append(ToolArgumentsDelta(block.call, "{}"))
        elif block.signature:
            events.append(ReasoningSigned("".join(block.signature)))
        elif block.has_text:
            events.append(PartEnded())

    def _on_message_stop(self, payload: bytes, events: list[AnyEvent]) -> None:
        stop = _parse(_MESSAGE_STOP, payload)
        finish = decode_finish(stop.stop_reason)
        for block in self._blocks.values():
            self._end(block, events)
        self._blocks.clear()
        if not self._finished:
            self._finished = True
            events.append(Finished(finish, stop_sequence_of(stop.additional_model_response_fields)))

    def _on_metadata(self, payload: bytes, events: list[AnyEvent]) -> None:
        metadata = _parse(_METADATA, payload)
        if metadata.usage is not None:
            events.append(UsageReported(metadata.usage.decoded(metadata.service_tier)))
        if self._finished:
            self._closed = True
            events.append(Ended())

    def _fail(self, error: UpstreamError, events: list[AnyEvent]) -> None:
        self._closed = True
        events.append(Failed(error))


def _reason(delta: _ReasoningDelta, block: _OpenBlock, events: list[AnyEvent]) -> None:
    if delta.text:
        block.has_text = True
        events.append(ReasoningDelta(delta.text))
    if delta.signature:
        block.signature.append(delta.signature)
    if delta.redacted_content:
        events.append(ReasoningRedacted(delta.redacted_content))


def _parse(decoder: msgspec.json.Decoder[_T], payload: bytes) -> _T:
    try:
        return decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedAnswer(f"an event of the provider's stream cannot be read: {error}") from error
