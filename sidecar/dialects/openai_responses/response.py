"""Plain answers: responses to canonical and back. What streams share with them stands here too."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import TypeVar

import msgspec

from schemas.record import Usage
from sidecar.canonical.request import AnyPart, Reasoning, Refusal, Text, ToolCall
from sidecar.canonical.response import ChatResponse, Choice, FinishReason
from sidecar.dialects.base import PlainAnswer
from sidecar.dialects.beside_text import UrlCitation, WireLogprob, decode_citations, decode_logprobs
from sidecar.dialects.openai_responses.errors import WireError, failure_of
from sidecar.dialects.openai_responses.items import ItemStatus, encode_items
from sidecar.dialects.openai_responses.reasoning import ReasoningPart, decode_reasoning
from sidecar.dialects.openai_responses.server_tools import CALL_TYPES, CallItem, decode_call
from sidecar.dialects.openai_responses.usage import UsageOut, WireUsage, decode_usage, encode_usage
from sidecar.errors import MalformedAnswer

T = TypeVar("T")

# --- the wire -------------------------------------------------------------------------------------------------------


class ContentPart(msgspec.Struct, frozen=True):
    type: str = ""
    text: str = ""
    refusal: str = ""
    annotations: list[UrlCitation] | None = None
    logprobs: list[WireLogprob] | None = None


class OutputItem(CallItem, frozen=True):
    """An item of the answer, of any kind."""

    content: list[ContentPart] | None = None
    summary: list[ReasoningPart] | None = None
    encrypted_content: str | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None


class _IncompleteDetails(msgspec.Struct, frozen=True):
    reason: str | None = None


class Response(msgspec.Struct, frozen=True):
    """The answer, and what an event of the stream says about it. Output stays raw: the books need none of it."""

    id: str = ""
    model: str = ""
    created_at: float | None = None
    status: str | None = None
    error: WireError | None = None
    incomplete_details: _IncompleteDetails | None = None
    output: list[msgspec.Raw] | None = None
    usage: WireUsage | None = None
    service_tier: object = None
    store: bool | None = None

    @property
    def state_id(self) -> str:
        """The provider keeps its answers unless it was told not to."""
        return "" if self.store is False else self.id


_RESPONSE = msgspec.json.Decoder(Response)
ITEM = msgspec.json.Decoder(OutputItem)

UNFINISHED = frozenset({"queued", "in_progress"})
"""Of an answer in the background, which its caller fetches later."""

_REASONS: dict[str, FinishReason] = {"max_output_tokens": "length", "content_filter": "content_filter"}
"""Why an answer is incomplete. Any other reason has cut it short as well."""

# --- to canonical ---------------------------------------------------------------------------------------------------


def read_answer(body: bytes) -> PlainAnswer:
    answer = _parse(body)
    return PlainAnswer(
        model=answer.model, usage=decode_usage(answer.usage, answer.service_tier), state_id=answer.state_id
    )


def decode_response(body: bytes) -> ChatResponse:
    answer = _parse(body)
    if answer.status in UNFINISHED:
        raise MalformedAnswer(f"the provider's answer is not finished: its status is {answer.status}")
    parts = tuple(part for item in decode_items(answer) for part in decode_parts(item))
    has_calls = any(isinstance(part, ToolCall) for part in parts)
    return ChatResponse(
        id=answer.id,
        model=answer.model,
        created=created_of(answer),
        choices=(Choice(parts=parts, finish=decode_finish(answer, has_calls=has_calls)),),
        usage=decode_usage(answer.usage, answer.service_tier),
    )


def _parse(body: bytes) -> Response:
    start = body.lstrip()[:1]
    if not start:
        raise MalformedAnswer("the provider answered with an empty body")
    if start == b"<":
        raise MalformedAnswer("the provider answered with an HTML page, not a response")
    try:
        answer = _RESPONSE.decode(body)
    except msgspec.ValidationError as error:
        raise MalformedAnswer(f"the provider's answer is not a response: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedAnswer("the provider's answer is not valid JSON") from error
    if answer.error is not None or answer.status in ("failed", "cancelled"):
        raise failure_of(answer.error)
    if answer.output is None:
        raise MalformedAnswer("the provider's answer has no output")
    return answer


def created_of(answer: Response) -> int | None:
    return None if answer.created_at is None else int(answer.created_at)


def decode_items(answer: Response) -> Iterator[OutputItem]:
    for raw in answer.output or ():
        try:
            yield ITEM.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise MalformedAnswer(f"the provider's answer holds an item that cannot be read: {error}") from error


def decode_parts(item: OutputItem) -> Iterator[AnyPart]:
    """Raises MalformedAnswer: an item of a tool that no request of ours asks for."""
    match item.type:
        case "message":
            said = (_decode_said(part) for part in item.content or ())
            yield from (part for part in said if part.text)
        case "function_call":
            yield ToolCall(id=call_id(item), name=item.name or "", arguments=item.arguments or "")
        case "reasoning":
            content = [ReasoningPart(part.text) for part in item.content or ()]
            thought = decode_reasoning(item.id or "", item.summary or (), content, item.encrypted_content)
            if thought != Reasoning(text=""):  # an item that tells nothing, and need not come back
                yield thought
        case kind if kind in CALL_TYPES:
            yield decode_call(item)
        case kind:
            raise foreign_item(kind)


def _decode_said(part: ContentPart) -> Text | Refusal:
    match part.type:
        case "output_text":
            return Text(
                text=part.text,
                citations=decode_citations(part.annotations),
                logprobs=decode_logprobs(part.logprobs),
            )
        case "refusal":
            return Refusal(text=part.refusal)
        case _:
            raise MalformedAnswer(f"the provider's answer holds a part of type {part.type!r}")


def foreign_item(kind: str) -> MalformedAnswer:
    return MalformedAnswer(f"the provider's answer holds an item of type {kind!r}")


def call_id(item: OutputItem) -> str:
    """The id that the result names; a server that gives none of its own still names the item."""
    return item.call_id or item.id or ""


def decode_finish(answer: Response, *, has_calls: bool) -> FinishReason:
    if answer.status == "incomplete" or answer.incomplete_details is not None:
        reason = None if answer.incomplete_details is None else answer.incomplete_details.reason
        return _REASONS.get(reason or "", "length")
    return "tool_calls" if has_calls else "stop"


# --- from canonical -------------------------------------------------------------------------------------------------


_INCOMPLETE: dict[FinishReason, str] = {
    "length": "max_output_tokens",
    "pause": "max_output_tokens",  # the answer is not whole, and this is the only word that says so
    "content_filter": "content_filter",
    "refusal": "content_filter",
}


class _ResponseOut(msgspec.Struct, frozen=True, kw_only=True):
    """What the SDK's type asks for. Fields that repeat the request have the API's own defaults."""

    id: str
    kind: str = msgspec.field(default="response", name="object")
    created_at: int
    status: str
    error: dict[str, object] | None = None
    incomplete_details: dict[str, str] | None = None
    instructions: None = None
    metadata: dict[str, str] = {}
    model: str
    output: Sequence[object]
    parallel_tool_calls: bool = True
    store: bool = False
    temperature: None = None
    tool_choice: str = "auto"
    tools: tuple[()] = ()
    top_p: None = None
    usage: UsageOut | None = None


class Head(msgspec.Struct, frozen=True):
    """What every account of one answer begins with. Time is 0 where the provider's dialect does not say it."""

    id: str = ""
    model: str = ""
    created: int | None = None


def encode_begun(head: Head) -> bytes:
    return _encode(head, "in_progress", ())


def encode_ended(
    head: Head, finish: FinishReason, output: Sequence[object], usage: Usage | None, cost_usd: Decimal | None = None
) -> bytes:
    reason = _INCOMPLETE.get(finish)
    return msgspec.json.encode(
        _ResponseOut(
            id=head.id,
            created_at=head.created or 0,
            model=head.model,
            status=status_of(finish),
            incomplete_details=None if reason is None else {"reason": reason},
            output=output,
            usage=encode_usage(usage, cost_usd),
        )
    )


def encode_failed(head: Head, error: dict[str, object]) -> bytes:
    return _encode(head, "failed", (), error)


def _encode(head: Head, status: str, output: Sequence[object], error: dict[str, object] | None = None) -> bytes:
    return msgspec.json.encode(
        _ResponseOut(
            id=head.id, created_at=head.created or 0, model=head.model, status=status, output=output, error=error
        )
    )


def status_of(finish: FinishReason) -> ItemStatus:
    return "incomplete" if finish in _INCOMPLETE else "completed"


def encode_response(response: ChatResponse) -> bytes:
    """A request of this dialect asks for one choice, so the first is the only one."""
    choice = response.choices[0]
    head = Head(response.id, response.model, response.created)
    output = encode_items(choice.parts, head.id, status_of(choice.finish))
    return encode_ended(head, choice.finish, output, response.usage)
