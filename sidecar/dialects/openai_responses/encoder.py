"""Canonical events to the stream of the Responses API: items, their parts, and at the end the whole answer."""

from collections.abc import Iterable, Sequence

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
from sidecar.canonical.request import Citation, ServerCall, TokenLogprob
from sidecar.dialects.base import PriceOf
from sidecar.dialects.beside_text import openai_logprobs, placed
from sidecar.dialects.openai_responses.errors import error_object
from sidecar.dialects.openai_responses.items import (
    Item,
    ItemKind,
    ItemStatus,
    annotation,
    call_item,
    item_id,
    message_item,
    reasoning_item,
    refusal_part,
    text_part,
)
from sidecar.dialects.openai_responses.reasoning import SEALED, encode_signature
from sidecar.dialects.openai_responses.response import Head, encode_begun, encode_ended, encode_failed, status_of
from sidecar.dialects.openai_responses.server_tools import encode_call
from sidecar.errors import GatewayError

_json = msgspec.json.encode


def encode_failure(head: Head | None, number: int, error: GatewayError, request_id: str) -> bytes:
    """`response.failed` once a response exists, else `error`. Nothing follows either.

    Args:
        head: of the response that fails; None where none has begun.
        number: the next in the stream's sequence.
    """
    shown = error_object(error, request_id)
    if head is None:
        return _event(b"error", _json({"type": "error", "sequence_number": number, "param": None, **shown}))
    return _event(b"response.failed", _lifecycle(b"response.failed", number, encode_failed(head, shown)))


def _lifecycle(kind: bytes, number: int, response: bytes) -> bytes:
    return b'{"type":"%b","sequence_number":%d,"response":%b}' % (kind, number, response)


def _event(kind: bytes, data: bytes) -> bytes:
    # JSON has no line feed outside its strings as it is written here, and an escape within them.
    return b"event: %b\ndata: %b\n\n" % (kind, data)


class _Message:
    """An open message: its whole parts, and the one that grows."""

    __slots__ = ("citations", "content", "id", "index", "kind", "logprobs", "pieces")

    def __init__(self, index: int, id_: str) -> None:
        self.index = index
        self.id = id_
        self.content: list[Item] = []
        self.kind: type[TextDelta] | type[RefusalDelta] | None = None
        self.pieces: list[str] = []
        self.citations: list[Citation] = []
        self.logprobs: list[TokenLogprob] = []


class _Thought:
    __slots__ = ("id", "index", "pieces")

    def __init__(self, index: int, id_: str) -> None:
        self.index = index
        self.id = id_
        self.pieces: list[str] = []


class _Call:
    __slots__ = ("fragments", "id", "index", "start")

    def __init__(self, index: int, id_: str, start: ToolCallStarted) -> None:
        self.index = index
        self.id = id_
        self.start = start
        self.fragments: list[str] = []


class ResponsesStreamEncoder:
    """Texts and thoughts come one after the other. A call may grow until the answer is finished, side by side with
    others: its item is done then.
    """

    def __init__(self, wants_usage: bool, price_of: PriceOf, input_tokens: int) -> None:
        """Usage is always sent here, and only at the end: `wants_usage` and the estimate of the input say nothing."""
        self._price_of = price_of
        self._head: Head | None = None
        self._number = 0
        self._items: list[Item | None] = []
        """By output index; None while one grows."""
        self._open: _Message | _Thought | None = None
        self._calls: dict[int, _Call] = {}
        self._usage: Usage | None = None
        self._finished: Finished | None = None
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
        return encode_failure(self._head, self._number, error, request_id)

    def _on(self, event: AnyEvent) -> None:
        match event:
            case TextDelta() | RefusalDelta():
                self._say(event)
            case ToolArgumentsDelta():
                call = self._calls[event.index]
                call.fragments.append(event.fragment)
                self._delta(b"response.function_call_arguments.delta", call, b"", event.fragment)
            case ReasoningDelta():
                self._think(event.text)
            case ToolCallStarted():
                self._close()
                index, id_ = self._next("fc")
                self._calls[event.index] = _Call(index, id_, event)
                self._send_item(
                    b"response.output_item.added", index, call_item(id_, event.id, event.name, "", "in_progress")
                )
            case Cited(citation=citation):
                if isinstance(self._open, _Message) and self._open.kind is TextDelta:
                    self._open.citations.append(citation)
            case ServerCalled(call=call):
                self._call_server(call)
            case PartEnded():
                if isinstance(self._open, _Message):
                    self._close_part(self._open)
                else:
                    self._close()
            case ReasoningSigned(signature=signature):
                self._end_thought(self._thought(), encode_signature(signature))
            case ReasoningRedacted(data=data):
                self._close()
                self._end_thought(self._thought(), SEALED + data)
            case Finished():
                self._finished = event
                self._close_all(status_of(event.finish))
            case UsageReported():
                self._usage = event.usage
            case Started():
                self._head = Head(event.id, event.model, event.created)
                for kind in (b"response.created", b"response.in_progress"):
                    self._send_lifecycle(kind, encode_begun(self._head))
            case Ended():
                self._end()
            case Failed(error=error):
                self._out.append(self.encode_failure(error, ""))

    # Items

    def _next(self, kind: ItemKind) -> tuple[int, str]:
        self._items.append(None)
        index = len(self._items) - 1
        return index, item_id(kind, index, "" if self._head is None else self._head.id)

    def _done(self, index: int, item: Item) -> None:
        self._items[index] = item
        self._send_item(b"response.output_item.done", index, item)

    def _close(self, status: ItemStatus = "completed") -> None:
        """The text or thought that grows is whole."""
        match self._open:
            case _Message() as message:
                self._close_part(message)
                self._open = None
                self._done(message.index, message_item(message.id, message.content, status))
            case _Thought() as thought:
                self._end_thought(thought, encode_signature(None), status)
            case None:
                pass

    def _close_all(self, status: ItemStatus) -> None:
        """The last item has the status of the whole answer."""
        last = len(self._items) - 1
        held = self._open
        self._close(status if held is not None and held.index == last else "completed")
        for call in self._calls.values():
            arguments = "".join(call.fragments)
            start = call.start
            self._send_text(b"response.function_call_arguments.done", call, b"", b"arguments", arguments)
            of_it = status if call.index == last else "completed"
            self._done(call.index, call_item(call.id, start.id, start.name, arguments, of_it))

    # Texts

    def _say(self, event: TextDelta | RefusalDelta) -> None:
        message = self._open
        if not isinstance(message, _Message):
            self._close()
            message = self._open = _Message(*self._next("msg"))
            self._send_item(b"response.output_item.added", message.index, message_item(message.id, [], "in_progress"))
        if message.kind is not type(event):
            self._close_part(message)
            message.kind = type(event)
            empty = text_part("") if message.kind is TextDelta else refusal_part("")
            self._send_part(b"response.content_part.added", message, empty)
        message.pieces.append(event.text)
        logprobs = event.logprobs if isinstance(event, TextDelta) else ()
        message.logprobs += logprobs
        self._send_text(_DELTA[message.kind], message, _place(message), b"delta", event.text, logprobs)

    def _close_part(self, message: _Message) -> None:
        if message.kind is None:
            return
        text = "".join(message.pieces)
        if message.kind is TextDelta:
            part = text_part(text, message.citations, message.logprobs)
            for at, citation in enumerate(message.citations):
                where = b'"item_id":%b,"output_index":%d,%b' % (_json(message.id), message.index, _place(message))
                noted = _json(annotation(placed(citation, 0, len(text))))
                self._send(_ANNOTATION, b'%b"annotation_index":%d,"annotation":%b' % (where, at, noted))
            self._send_text(
                b"response.output_text.done", message, _place(message), b"text", text, tuple(message.logprobs)
            )
        else:
            part = refusal_part(text)
            self._send_text(b"response.refusal.done", message, _place(message), b"refusal", text)
        self._send_part(b"response.content_part.done", message, part)
        message.content.append(part)
        message.kind, message.pieces, message.citations, message.logprobs = None, [], [], []

    # Calls of a provider's own tools

    def _call_server(self, call: ServerCall) -> None:
        self._close()
        index = len(self._items)
        self._items.append(None)
        item = encode_call(call)
        unsaid = {"action": {"type": "search"}} if call.tool == "web_search" else {"code": "", "outputs": None}
        began = item | {"status": "in_progress"} | unsaid
        self._send_item(b"response.output_item.added", index, began)
        where = b'"output_index":%d,"item_id":%b' % (index, _json(item["id"]))
        steps = _SEARCH_STEPS if call.tool == "web_search" else _CODE_STEPS
        for step, field in steps:
            code = b"" if field is None else b',"%b":%b' % (field, _json(call.input))
            self._send(step, where + code)
        self._done(index, item)

    # Thoughts

    def _thought(self) -> _Thought:
        if isinstance(self._open, _Thought):
            return self._open
        self._close()
        thought = self._open = _Thought(*self._next("rs"))
        item = reasoning_item(thought.id, "", "", "in_progress")
        self._send_item(b"response.output_item.added", thought.index, item)
        return thought

    def _think(self, text: str) -> None:
        thought = self._thought()
        if not thought.pieces:
            self._send_summary(b"response.reasoning_summary_part.added", thought, "")
        thought.pieces.append(text)
        self._delta(b"response.reasoning_summary_text.delta", thought, b'"summary_index":0,', text)

    def _end_thought(self, thought: _Thought, encrypted: str, status: ItemStatus = "completed") -> None:
        self._open = None
        text = "".join(thought.pieces)
        if thought.pieces:
            self._send_text(b"response.reasoning_summary_text.done", thought, b'"summary_index":0,', b"text", text)
            self._send_summary(b"response.reasoning_summary_part.done", thought, text)
        self._done(thought.index, reasoning_item(thought.id, text, encrypted, status))

    # The end

    def _end(self) -> None:
        self._closed = True
        if self._finished is None or self._head is None:
            return  # without a finish reason the answer is not whole, whatever the provider says
        cost = None if self._usage is None else self._price_of(self._usage)
        finish = self._finished.finish
        kind = b"response.incomplete" if status_of(finish) == "incomplete" else b"response.completed"
        output = [item for item in self._items if item is not None]
        self._send_lifecycle(kind, encode_ended(self._head, finish, output, self._usage, cost))

    # Events

    def _send(self, kind: bytes, fields: bytes) -> None:
        self._out.append(_event(kind, b'{"type":"%b","sequence_number":%d,%b}' % (kind, self._number, fields)))
        self._number += 1

    def _send_lifecycle(self, kind: bytes, response: bytes) -> None:
        self._send(kind, b'"response":' + response)

    def _send_item(self, kind: bytes, index: int, item: Item) -> None:
        self._send(kind, b'"output_index":%d,"item":%b' % (index, _json(item)))

    def _delta(self, kind: bytes, item: _Message | _Thought | _Call, place: bytes, text: str) -> None:
        self._send_text(kind, item, place, b"delta", text)

    def _send_text(
        self,
        kind: bytes,
        item: _Message | _Thought | _Call,
        place: bytes,
        field: bytes,
        text: str,
        logprobs_of: tuple[TokenLogprob, ...] = (),
    ) -> None:
        logprobs = b""
        if kind.startswith(b"response.output_text"):
            logprobs = b',"logprobs":%b' % _json(openai_logprobs(logprobs_of))
        where = b'"item_id":%b,"output_index":%d,%b' % (_json(item.id), item.index, place)
        self._send(kind, b'%b"%b":%b%b' % (where, field, _json(text), logprobs))

    def _send_part(self, kind: bytes, message: _Message, part: Item) -> None:
        where = b'"item_id":%b,"output_index":%d,%b' % (_json(message.id), message.index, _place(message))
        self._send(kind, b'%b"part":%b' % (where, _json(part)))

    def _send_summary(self, kind: bytes, thought: _Thought, text: str) -> None:
        where = b'"item_id":%b,"output_index":%d,"summary_index":0' % (_json(thought.id), thought.index)
        self._send(kind, b'%b,"part":%b' % (where, _json({"type": "summary_text", "text": text})))


_ANNOTATION = b"response.output_text.annotation.added"
_SEARCH_STEPS: Sequence[tuple[bytes, bytes | None]] = (
    (b"response.web_search_call.in_progress", None),
    (b"response.web_search_call.searching", None),
    (b"response.web_search_call.completed", None),
)
_CODE_STEPS: Sequence[tuple[bytes, bytes | None]] = (
    (b"response.code_interpreter_call.in_progress", None),
    (b"response.code_interpreter_call_code.delta", b"delta"),
    (b"response.code_interpreter_call_code.done", b"code"),
    (b"response.code_interpreter_call.interpreting", None),
    (b"response.code_interpreter_call.completed", None),
)
"""Each with the name of the field that holds the code."""

_DELTA = {TextDelta: b"response.output_text.delta", RefusalDelta: b"response.refusal.delta"}


def _place(message: _Message) -> bytes:
    return b'"content_index":%d,' % len(message.content)
