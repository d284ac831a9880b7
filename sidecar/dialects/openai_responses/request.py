"""Requests of the Responses API ↔ the canonical form, by the fields of OpenAI's own SDK types
(`openai.types.responses`).
"""

from collections.abc import Iterator, Mapping
from typing import get_args

import msgspec

from schemas.bundle import Effort, Knob
from sidecar.canonical.model import ModelTraits
from sidecar.canonical.request import (
    ChatRequest,
    Message,
    OutputFormat,
    Reasoning,
    ReasoningRequest,
    RedactedReasoning,
    ServerCall,
    Text,
    ToolResult,
)
from sidecar.canonical.server_tools import CodeExecution, WebSearch
from sidecar.dialects.base import Encoded, Envelope
from sidecar.dialects.openai_responses.fields import is_given, parse
from sidecar.dialects.openai_responses.reasoning import own_item
from sidecar.dialects.openai_responses.server_tools import encode_server_tool, own_call
from sidecar.dialects.openai_responses.tools import (
    WireChoice,
    decode_tool_choice,
    decode_tools,
    encode_tool,
    encode_tool_choice,
)
from sidecar.dialects.openai_responses.turns import decode_messages, encode_message
from sidecar.dialects.traits import fit
from sidecar.errors import CannotCarry, MalformedRequest

# --- the wire -------------------------------------------------------------------------------------------------------


class _Format(msgspec.Struct):
    type: str
    name: str | None = None
    schema: dict[str, object] | None = None
    description: str | None = None
    strict: bool | None = None


class _Text(msgspec.Struct):
    format: _Format | None = None
    verbosity: str | None = None


class _Reasoning(msgspec.Struct):
    effort: str | None = None
    summary: str | None = None
    generate_summary: str | None = None


class _Request(msgspec.Struct):
    """Every field that has a place in the canonical form. What is not here goes to `extra`."""

    model: str
    input: str | list[msgspec.Raw]
    instructions: str | None = None
    tools: list[msgspec.Raw] | None = None
    tool_choice: str | WireChoice | None = None
    parallel_tool_calls: bool | None = None
    text: _Text | None = None
    reasoning: _Reasoning | None = None
    stream: bool | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    user: str | None = None
    safety_identifier: str | None = None
    metadata: dict[str, str] | None = None
    service_tier: str | None = None
    include: list[str] | None = None
    top_logprobs: int | None = None
    store: bool | None = None
    background: bool | None = None


ENCRYPTED = "reasoning.encrypted_content"
LOGPROBS = "message.output_text.logprobs"
SEARCHED = "web_search_call.action.sources"
PRINTED = "code_interpreter_call.outputs"

_REQUEST = msgspec.json.Decoder(_Request)


_KNOWN = frozenset(_Request.__struct_fields__)
_EFFORTS: Mapping[str, Effort] = {effort: effort for effort in get_args(Effort)}

# --- to canonical ---------------------------------------------------------------------------------------------------


def decode_request(envelope: Envelope) -> ChatRequest:
    """The request in canonical form.

    Raises:
        MalformedRequest: a field of the wrong type or with an unknown value, by its path.
        CannotCarry: what lives at the provider (an earlier answer, a conversation, a prompt, a file), or what only the
            provider's own tools understand. Such a request still passes through to a target of this dialect.
    """
    _refuse_what_lives_elsewhere(envelope)
    wire = parse(envelope.body, _REQUEST, "")
    if wire.background:
        raise CannotCarry("background", "a wish for an answer in the background")
    lost = list(_lost(wire))
    choice, allowed = decode_tool_choice(wire.tool_choice)
    tools, server_tools = decode_tools(wire.tools or [], allowed, lost)
    messages = tuple(decode_messages(wire.instructions, wire.input, lost))
    unknown = [name for name in envelope.fields if name not in _KNOWN and is_given(envelope.fields, name)]
    extra = {name: _decode_extra(name, envelope.fields[name]) for name in unknown}
    return ChatRequest(
        model=wire.model,
        messages=messages,
        tools=tools,
        server_tools=server_tools,
        tool_choice=choice,
        parallel_tool_calls=wire.parallel_tool_calls,
        output=_decode_output(wire.text),
        reasoning=_decode_reasoning(wire.reasoning),
        stream=bool(wire.stream),
        max_output_tokens=wire.max_output_tokens,
        temperature=wire.temperature,
        top_p=wire.top_p,
        logprobs=(wire.top_logprobs or 0) if LOGPROBS in (wire.include or ()) else None,
        user=wire.user or wire.safety_identifier,
        metadata=wire.metadata or {},
        service_tier=wire.service_tier,
        extra=extra | dict.fromkeys(lost, True),
    )


_ELSEWHERE = {
    "previous_response_id": "an earlier answer by its id, which its own provider keeps",
    "conversation": "a conversation that one provider keeps",
    "prompt": "a prompt that one provider keeps",
}


def _refuse_what_lives_elsewhere(envelope: Envelope) -> None:
    for name, what in _ELSEWHERE.items():
        if is_given(envelope.fields, name):
            raise CannotCarry("state", what)


def _lost(wire: _Request) -> Iterator[str]:
    """Knobs inside fields that are otherwise carried. To keep the answer is this API's default, and a caller that did
    not speak of it does not miss it."""
    if wire.store:
        yield "store"
    # What a next turn must bring back, and what the provider's own tools gave, comes with every translated answer.
    if set(wire.include or ()) - {ENCRYPTED, LOGPROBS, SEARCHED, PRINTED}:
        yield "include"
    if wire.user is not None and wire.safety_identifier is not None:
        yield "safety_identifier"
    if wire.text is not None and wire.text.verbosity is not None:
        yield "text.verbosity"
    if wire.reasoning is not None and (wire.reasoning.summary or wire.reasoning.generate_summary):
        yield "reasoning.summary"


def _decode_extra(name: str, raw: msgspec.Raw) -> object:
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedRequest(f"`{name}` cannot be read: {error}") from error


def _decode_reasoning(wire: _Reasoning | None) -> ReasoningRequest | None:
    if wire is None or wire.effort is None:
        return None
    if wire.effort not in _EFFORTS:
        raise MalformedRequest(f"`reasoning.effort` must be one of {', '.join(_EFFORTS)}")
    return ReasoningRequest(effort=_EFFORTS[wire.effort])


def _decode_output(text: _Text | None) -> OutputFormat | None:
    wanted = None if text is None else text.format
    if wanted is None or wanted.type == "text":
        return None
    if wanted.type == "json_object":
        return OutputFormat(mode="json")
    if wanted.type != "json_schema":
        raise MalformedRequest("`text.format.type` must be text, json_object or json_schema")
    if wanted.schema is None:
        raise MalformedRequest("`text.format.schema` is missing")
    return OutputFormat(
        mode="json_schema",
        schema=wanted.schema,
        name=wanted.name,
        description=wanted.description,
        strict=wanted.strict,
    )


# --- from canonical -------------------------------------------------------------------------------------------------

_TIERS = frozenset({"auto", "default", "flex", "scale", "priority", "fast", "ultrafast"})

_LACKS: frozenset[Knob] = frozenset(
    {"top_k", "seed", "presence_penalty", "frequency_penalty", "stop", "reasoning_budget"}
)


def encode_request(request: ChatRequest, model: ModelTraits) -> Encoded:
    """The request in the words of the Responses API, stateless: the provider keeps nothing, and the reasoning that a
    later turn must bring back comes with the answer, encrypted.

    The model's largest output is not named: the API does not ask for it.

    Raises:
        CannotCarry: several choices, or a part of a message that the API has no place for.
    """
    if request.choices != 1:
        raise CannotCarry("choices", f"a wish for {request.choices} choices")
    dropped: list[str] = []
    is_never_idle = model.efforts is not None and "none" not in model.efforts
    request = fit(request, model, _LACKS | {"reasoning_off"} if is_never_idle else _LACKS, dropped)
    instructions, messages = _split_instructions(request.messages)
    body: dict[str, object] = {"model": model.name}
    if instructions is not None:
        body["instructions"] = instructions
    body["input"] = [item for message in messages for item in encode_message(message)]
    body |= {name: value for name, value in _knobs(request, dropped) if value is not None}
    body["store"] = False
    if request.stream:
        body["stream"] = True
    return Encoded(body=msgspec.json.encode(body), dropped=tuple(dict.fromkeys((*dropped, *_dropped(request)))))


def _split_instructions(messages: tuple[Message, ...]) -> tuple[str | None, tuple[Message, ...]]:
    """A leading system text goes where every server of this API looks for it; alone it would leave no input."""
    match messages:
        case (Message(role="system", parts=(Text(text=text),), name=None), _, *_):
            return text, messages[1:]
        case _:
            return None, messages


def _knobs(request: ChatRequest, dropped: list[str]) -> Iterator[tuple[str, object]]:
    """Name and value; None where the caller did not say."""
    own = [encode_server_tool(tool, dropped) for tool in request.server_tools]
    if request.tools or own:  # a choice among no tools is refused
        yield "tools", [*map(encode_tool, request.tools), *own]
        yield "tool_choice", encode_tool_choice(request.tool_choice)
        yield "parallel_tool_calls", request.parallel_tool_calls
    yield "text", _encode_output(request.output)
    reasoning = request.reasoning
    if reasoning is not None:
        effort = "none" if reasoning.disabled else reasoning.effort
        yield "reasoning", None if effort is None else {"effort": effort}
    yield "include", list(_included(request)) or None
    yield "top_logprobs", request.logprobs or None
    yield "max_output_tokens", request.max_output_tokens
    yield "temperature", request.temperature
    yield "top_p", request.top_p
    yield "user", request.user
    yield "metadata", dict(request.metadata) or None
    yield "service_tier", request.service_tier if request.service_tier in _TIERS else None


def _included(request: ChatRequest) -> Iterator[str]:
    """What the API leaves out of an answer unless it is asked for."""
    reasoning = request.reasoning
    if reasoning is not None and not reasoning.disabled and reasoning.effort != "none":
        yield ENCRYPTED
    if request.logprobs is not None:
        yield LOGPROBS
    if any(isinstance(tool, WebSearch) for tool in request.server_tools):
        yield SEARCHED
    if any(isinstance(tool, CodeExecution) for tool in request.server_tools):
        yield PRINTED


def _dropped(request: ChatRequest) -> Iterator[str]:
    """What this API lacks, by the caller's own names."""
    if request.service_tier is not None and request.service_tier not in _TIERS:
        yield "service_tier"
    if any(message.name is not None for message in request.messages):
        yield "messages.name"
    parts = [part for message in request.messages for part in message.parts]
    parts += [inner for part in parts if isinstance(part, ToolResult) for inner in part.parts]
    # Past thinking is signed for its own vendor.
    thoughts = [part for part in parts if isinstance(part, Reasoning | RedactedReasoning)]
    if any(isinstance(part, RedactedReasoning) or own_item(part) is None for part in thoughts):
        yield "thinking"
    if any(isinstance(part, ServerCall) and own_call(part) is None for part in parts):
        yield "messages.server_tool_calls"
    if any(isinstance(part, ToolResult) and part.is_error for part in parts):
        yield "is_error"
    if any(part.cache_ttl is not None for part in parts) or any(tool.cache_ttl is not None for tool in request.tools):
        yield "cache_control"
    if not (request.tools or request.server_tools):
        if request.tool_choice is not None:
            yield "tool_choice"
        if request.parallel_tool_calls is not None:
            yield "parallel_tool_calls"
    yield from request.extra


def _encode_output(output: OutputFormat | None) -> object:
    if output is None:
        return None
    if output.mode == "json":
        return {"format": {"type": "json_object"}}
    # The API asks for a name and a schema.
    format_: dict[str, object] = {"type": "json_schema", "name": output.name or "answer", "schema": output.schema or {}}
    for name, value in (("description", output.description), ("strict", output.strict)):
        if value is not None:
            format_[name] = value
    return {"format": format_}
