"""Plain answers of the Messages API ↔ the canonical form, and its words for finish and usage, which streams share
(anthropic SDK, types `message`, `usage`, `stop_reason`).
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal

import msgspec

from schemas.record import Usage
from sidecar.canonical.request import AnyPart, Reasoning, Refusal, ServerCall, Text
from sidecar.canonical.response import ChatResponse, Choice, FinishReason
from sidecar.dialects.anthropic.blocks import BadBlock, TextBlock, ThinkingBlock, decode_content, encode_part, parse
from sidecar.dialects.anthropic.server_tools import encode_citation, encode_server_call
from sidecar.dialects.base import PlainAnswer
from sidecar.dialects.cost import encode_cost
from sidecar.dialects.service_tier import tier_of
from sidecar.errors import CannotCarry, MalformedAnswer

FINISHES: dict[str, FinishReason] = {
    "end_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "stop_sequence": "stop_sequence",
    "tool_use": "tool_calls",
    "refusal": "refusal",
    "pause_turn": "pause",
}
STOP_REASONS: dict[FinishReason, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "stop_sequence": "stop_sequence",
    "tool_calls": "tool_use",
    "refusal": "refusal",
    "content_filter": "refusal",
    "pause": "pause_turn",
}


class OutputDetails(msgspec.Struct, frozen=True):
    thinking_tokens: int | None = None


class CacheCreation(msgspec.Struct, frozen=True):
    ephemeral_1h_input_tokens: int | None = None
    ephemeral_5m_input_tokens: int | None = None


class ServerToolUse(msgspec.Struct, frozen=True):
    web_search_requests: int | None = None


class WireUsage(msgspec.Struct, frozen=True):
    """Here `input_tokens` leaves out what was read from and written to the cache."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    output_tokens_details: OutputDetails | None = None
    cache_creation: CacheCreation | None = None
    server_tool_use: ServerToolUse | None = None
    service_tier: object = None
    speed: object = None
    """`fast` has prices of its own (platform.claude.com, "Fast mode")."""

    def updated(self, later: "WireUsage") -> "WireUsage":
        """A stream's counts are cumulative: the later one stands, where it says anything."""
        return WireUsage(
            *(
                getattr(self, name) if getattr(later, name) is None else getattr(later, name)
                for name in self.__struct_fields__
            )
        )

    def decoded(self) -> Usage | None:
        """None where input or output was never counted: unknown is not zero."""
        if self.input_tokens is None or self.output_tokens is None:
            return None
        read, written = self.cache_read_input_tokens or 0, self.cache_creation_input_tokens or 0
        details, cache, tools = self.output_tokens_details, self.cache_creation, self.server_tool_use
        return Usage(
            input_tokens=self.input_tokens + read + written,
            output_tokens=self.output_tokens,
            cache_read_tokens=read,
            cache_write_tokens=written,
            reasoning_tokens=(details.thinking_tokens or 0) if details else 0,
            cache_write_1h_tokens=(cache.ephemeral_1h_input_tokens or 0) if cache else 0,
            web_searches=(tools.web_search_requests or 0) if tools else 0,
            service="fast" if self.speed == "fast" else tier_of(self.service_tier),
        )


class UsageOut(msgspec.Struct, frozen=True, omit_defaults=True):
    input_tokens: int | None
    cache_creation_input_tokens: int | None
    cache_read_input_tokens: int | None
    output_tokens: int | None
    output_tokens_details: OutputDetails | None = None
    cache_creation: CacheCreation | None = None
    cost_usd: msgspec.Raw | None = None


def encode_usage(usage: Usage | None, cost: Decimal | None = None) -> UsageOut:
    """Nulls where the provider reported nothing. The object itself must stand: the vendor's SDKs read its fields."""
    if usage is None:
        return UsageOut(None, None, None, None)
    return UsageOut(
        input_tokens=max(0, usage.input_tokens - usage.cache_read_tokens - usage.cache_write_tokens),
        cache_creation_input_tokens=usage.cache_write_tokens,
        cache_read_input_tokens=usage.cache_read_tokens,
        output_tokens=usage.output_tokens,
        output_tokens_details=OutputDetails(usage.reasoning_tokens) if usage.reasoning_tokens else None,
        cache_creation=_encode_cache_creation(usage),
        cost_usd=None if cost is None else msgspec.Raw(encode_cost(cost)),
    )


def _encode_cache_creation(usage: Usage) -> CacheCreation | None:
    """Told apart only where the target did: without it, all was written for five minutes."""
    hour = usage.cache_write_1h_tokens
    return CacheCreation(hour, max(0, usage.cache_write_tokens - hour)) if hour else None


class _Books(msgspec.Struct, frozen=True, tag_field="type", tag="message"):
    """What the books need of an answer."""

    model: str
    stop_reason: str
    usage: WireUsage


class _Answer(msgspec.Struct, frozen=True, tag_field="type", tag="message"):
    id: str
    model: str
    content: msgspec.Raw
    stop_reason: str
    usage: WireUsage
    stop_sequence: str | None = None


class _AnswerOut(msgspec.Struct, frozen=True, tag_field="type", tag="message"):
    id: str
    role: str
    model: str
    content: Sequence[object]
    stop_reason: str | None
    stop_sequence: str | None
    usage: UsageOut


_BOOKS = msgspec.json.Decoder(_Books)
_ANSWER = msgspec.json.Decoder(_Answer)


def read_answer(body: bytes) -> PlainAnswer:
    try:
        answer = parse(_BOOKS, body)
    except BadBlock as error:
        raise MalformedAnswer(f"the provider's answer is not an Anthropic message: {error}") from error
    return PlainAnswer(model=answer.model, usage=answer.usage.decoded())


def decode_response(body: bytes) -> ChatResponse:
    try:
        answer = parse(_ANSWER, body)
        parts = decode_content(answer.content, "content", [])
    except (BadBlock, CannotCarry) as error:
        raise MalformedAnswer(
            f"the provider's answer is not an Anthropic message that can be carried: {error}"
        ) from error
    choice = Choice(parts=parts, finish=decode_finish(answer.stop_reason), stop_sequence=answer.stop_sequence)
    return ChatResponse(id=answer.id, model=answer.model, choices=(choice,), usage=answer.usage.decoded())


def encode_response(response: ChatResponse) -> bytes:
    """A request of this dialect asks for one choice, so the first is the only one."""
    choice = response.choices[0]
    return msgspec.json.encode(
        _AnswerOut(
            id=response.id,
            role="assistant",
            model=response.model,
            content=[block for part in choice.parts for block in _encode_answer_part(part)],
            stop_reason=encode_finish(choice.finish, any(isinstance(part, Refusal) for part in choice.parts)),
            stop_sequence=choice.stop_sequence,
            usage=encode_usage(response.usage),
        )
    )


def _encode_answer_part(part: AnyPart) -> Iterator[object]:
    match part:
        case Reasoning():
            # Only a request must prove where its thinking comes from.
            yield ThinkingBlock(thinking=part.text, signature=part.signature or "")
        case Text(text=text, citations=citations) if text and citations:
            # Here a citation belongs to a whole block.
            yield TextBlock(
                text=text, citations=msgspec.Raw(msgspec.json.encode(list(map(encode_citation, citations))))
            )
        case ServerCall():
            yield from encode_server_call(part)
        case _:
            if (block := encode_part(part, [])) is not None:
                yield block


def decode_finish(stop_reason: str) -> FinishReason:
    """A reason that was added later than this table ends the turn all the same (platform.claude.com, "Versions": values
    of an enumeration may be added)."""
    return FINISHES.get(stop_reason, "stop")


def encode_finish(finish: FinishReason, is_refusal: bool) -> str:
    """OpenAI ends a refusal with `stop` and says it by the part."""
    return "refusal" if is_refusal and finish == "stop" else STOP_REASONS[finish]
