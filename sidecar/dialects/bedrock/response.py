"""Plain answers of Converse → the canonical form, and its words for finish and usage, which streams share
(botocore's service model, `ConverseResponse`).
"""

from collections.abc import Sequence

import msgspec

from schemas.record import Usage
from sidecar.canonical.request import AnyPart, Citation, Reasoning, RedactedReasoning, Text, ToolCall
from sidecar.canonical.response import ChatResponse, Choice, FinishReason
from sidecar.dialects.service_tier import tier_of
from sidecar.errors import MalformedAnswer

FINISHES: dict[str, FinishReason] = {
    "end_turn": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "stop_sequence": "stop_sequence",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
}
_BROKEN = frozenset({"malformed_model_output", "malformed_tool_use"})
"""The model's own output could not be read: there is no answer in it."""


class Wire(msgspec.Struct, frozen=True, rename="camel"):
    pass


class _CacheDetail(Wire, frozen=True):
    ttl: str = ""
    input_tokens: int = 0


class ServiceTier(Wire, frozen=True):
    type: object = None


class WireUsage(Wire, frozen=True):
    """Here `inputTokens` leaves out what was read from and written to the cache
    (docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching)."""

    input_tokens: int
    output_tokens: int
    cache_read_input_tokens: int | None = None
    cache_write_input_tokens: int | None = None
    cache_details: tuple[_CacheDetail, ...] | None = None
    """What was written to the cache, by how long it is kept."""

    def decoded(self, tier: ServiceTier | None) -> Usage:
        read, written = self.cache_read_input_tokens or 0, self.cache_write_input_tokens or 0
        return Usage(
            input_tokens=self.input_tokens + read + written,
            output_tokens=self.output_tokens,
            cache_read_tokens=read,
            cache_write_tokens=written,
            reasoning_tokens=0,  # a part of the output that Bedrock does not count apart
            cache_write_1h_tokens=sum(detail.input_tokens for detail in self.cache_details or () if detail.ttl == "1h"),
            service=tier_of(tier.type) if tier else "",
        )


class _ReasoningText(Wire, frozen=True):
    text: str
    signature: str | None = None


class _Reasoning(Wire, frozen=True):
    reasoning_text: _ReasoningText | None = None
    redacted_content: str | None = None


class _ToolUse(Wire, frozen=True):
    tool_use_id: str
    name: str
    input: msgspec.Raw
    type: str | None = None


class _CitedText(Wire, frozen=True):
    text: str = ""


class _Web(Wire, frozen=True):
    url: str | None = None


class _Location(Wire, frozen=True):
    """A union by name: the others point into a document of the request, which no other dialect can name."""

    web: _Web | None = None


class WireCitation(Wire, frozen=True):
    title: str | None = None
    location: _Location | None = None

    def decoded(self) -> Citation | None:
        web = None if self.location is None else self.location.web
        return None if web is None or not web.url else Citation(url=web.url, title=self.title or "")


class _Cited(Wire, frozen=True):
    content: Sequence[_CitedText] = ()
    citations: Sequence[WireCitation] = ()


class _Block(Wire, frozen=True):
    """A union by name: exactly one field stands in it."""

    text: str | None = None
    tool_use: _ToolUse | None = None
    reasoning_content: _Reasoning | None = None
    citations_content: _Cited | None = None


class _Message(Wire, frozen=True):
    content: Sequence[_Block]


class _Output(Wire, frozen=True):
    message: _Message


class _Router(Wire, frozen=True):
    invoked_model_id: str = ""


class Trace(Wire, frozen=True):
    prompt_router: _Router | None = None


class _Answer(Wire, frozen=True):
    output: _Output
    stop_reason: str
    usage: WireUsage | None = None
    service_tier: ServiceTier | None = None
    additional_model_response_fields: object = None
    trace: Trace | None = None


_ANSWER = msgspec.json.Decoder(_Answer)
_INPUT = msgspec.json.Decoder(dict[str, msgspec.Raw])


def decode_response(body: bytes) -> ChatResponse:
    """Converse names no answer and, but for a prompt router's choice, no model: both are empty then."""
    try:
        answer = _ANSWER.decode(body)
        parts = tuple(_decode_block(block) for block in answer.output.message.content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedAnswer(f"the provider's answer is not one of Converse: {error}") from error
    choice = Choice(
        parts=tuple(part for part in parts if part != Text(text="")),
        finish=decode_finish(answer.stop_reason),
        stop_sequence=stop_sequence_of(answer.additional_model_response_fields),
    )
    router = answer.trace.prompt_router if answer.trace is not None else None
    return ChatResponse(
        id="",
        model="" if router is None else router.invoked_model_id,
        choices=(choice,),
        usage=None if answer.usage is None else answer.usage.decoded(answer.service_tier),
    )


def _decode_block(block: _Block) -> AnyPart:
    if block.text is not None:
        return Text(text=block.text)
    if block.citations_content is not None:
        said = block.citations_content
        found = (each.decoded() for each in said.citations)
        return Text(
            text="".join(piece.text for piece in said.content),
            citations=tuple(citation for citation in found if citation is not None),
        )
    if (call := block.tool_use) is not None and call.type is None:
        _INPUT.decode(call.input)
        return ToolCall(id=call.tool_use_id, name=call.name, arguments=bytes(call.input).decode())
    if (reasoning := block.reasoning_content) is not None:
        if (thought := reasoning.reasoning_text) is not None:
            return Reasoning(text=thought.text, signature=thought.signature or None)
        if reasoning.redacted_content is not None:
            return RedactedReasoning(data=reasoning.redacted_content)
    raise MalformedAnswer("the provider's answer has a content block that cannot be carried")


def decode_finish(stop_reason: str) -> FinishReason:
    """A reason that was added later than this table ends the turn all the same.

    Raises:
        MalformedAnswer: Bedrock could not read what the model said.
    """
    if stop_reason in _BROKEN:
        raise MalformedAnswer(f"the model's output could not be read ({stop_reason})")
    return FINISHES.get(stop_reason, "stop")


def stop_sequence_of(fields: object) -> str | None:
    """From `additionalModelResponseFields`, which is whatever the model says."""
    found = fields.get("stop_sequence") if isinstance(fields, dict) else None
    return found if isinstance(found, str) else None
