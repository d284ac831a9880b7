"""Chat requests ↔ the canonical form, by the fields of OpenAI's own SDK types (`openai.types.chat`)."""

from collections.abc import Iterator
from typing import get_args

import msgspec

from schemas.bundle import Effort, Knob
from sidecar.canonical.model import ModelTraits
from sidecar.canonical.request import (
    ChatRequest,
    OutputFormat,
    Reasoning,
    ReasoningRequest,
    RedactedReasoning,
    ServerCall,
    ToolResult,
)
from sidecar.dialects.base import Encoded, Envelope
from sidecar.dialects.openai_chat.server_tools import SearchOptions, decode_search, encode_search
from sidecar.dialects.openai_chat.tools import (
    WireChoice,
    WireTool,
    decode_tool,
    decode_tool_choice,
    encode_tool,
    encode_tool_choice,
)
from sidecar.dialects.openai_chat.turns import WireMessage, decode_message, encode_message
from sidecar.dialects.traits import fit
from sidecar.errors import CannotCarry, MalformedRequest

# --- the wire -------------------------------------------------------------------------------------------------------


class _JsonSchema(msgspec.Struct):
    name: str | None = None
    schema: dict[str, object] | None = None
    description: str | None = None
    strict: bool | None = None


class _ResponseFormat(msgspec.Struct):
    type: str
    json_schema: _JsonSchema | None = None
    schema: dict[str, object] | None = None
    """llama.cpp and Together: a schema beside `json_object`."""


class _Request(msgspec.Struct):
    """Every field that has a place in the canonical form. What is not here goes to `extra`."""

    model: str
    messages: list[WireMessage]
    stream: bool | None = None
    stream_options: object = None
    tools: list[WireTool] | None = None
    tool_choice: str | WireChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: _ResponseFormat | None = None
    reasoning_effort: str | None = None
    max_completion_tokens: int | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop: str | list[str] | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    n: int | None = None
    user: str | None = None
    metadata: dict[str, str] | None = None
    service_tier: str | None = None
    modalities: list[str] | None = None
    audio: object = None
    web_search_options: SearchOptions | None = None
    functions: object = None
    function_call: object = None


_REQUEST = msgspec.json.Decoder(_Request)
_KNOWN = frozenset(_Request.__struct_fields__)
_EFFORTS: frozenset[str] = frozenset(get_args(Effort))


# --- chat to canonical ----------------------------------------------------------------------------------------------


def decode_request(envelope: Envelope) -> ChatRequest:
    """The request in canonical form.

    Raises:
        MalformedRequest: a field of the wrong type or with an unknown value, by its path.
        CannotCarry: content with no place in the canonical form: custom tools, audio output, the deprecated
            `functions`. Such a request still passes through to a target of this dialect.
    """
    wire = _parse(envelope.body)
    _refuse_what_has_no_place(wire)
    choice, allowed = decode_tool_choice(wire.tool_choice)
    tools = tuple(decode_tool(tool) for tool in wire.tools or ())
    return ChatRequest(
        model=wire.model,
        messages=tuple(decode_message(message, f"messages[{at}]") for at, message in enumerate(wire.messages)),
        tools=tools if allowed is None else tuple(tool for tool in tools if tool.name in allowed),
        server_tools=decode_search(wire.web_search_options),
        tool_choice=choice,
        parallel_tool_calls=wire.parallel_tool_calls,
        output=_decode_output(wire.response_format),
        reasoning=_decode_reasoning(wire.reasoning_effort),
        stream=bool(wire.stream),
        max_output_tokens=wire.max_tokens if wire.max_completion_tokens is None else wire.max_completion_tokens,
        temperature=wire.temperature,
        top_p=wire.top_p,
        stop=(wire.stop,) if isinstance(wire.stop, str) else tuple(wire.stop or ()),
        seed=wire.seed,
        presence_penalty=wire.presence_penalty,
        frequency_penalty=wire.frequency_penalty,
        logprobs=(wire.top_logprobs or 0) if wire.logprobs else None,
        choices=_decode_choices(wire.n),
        user=wire.user,
        metadata=wire.metadata or {},
        service_tier=wire.service_tier,
        extra={name: _decode_extra(name, raw) for name, raw in envelope.fields.items() if name not in _KNOWN},
    )


def _parse(body: bytes) -> _Request:
    try:
        return _REQUEST.decode(body)
    except msgspec.ValidationError as error:
        # "Expected `str`, got `int` - at `$.messages[0].role`": the path first, and without the root's sign.
        problem, _, path = str(error).partition(" - at `$.")
        where = path.removesuffix("`")
        raise MalformedRequest(f"`{where}`: {problem}" if where else str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedRequest("the body is not valid JSON") from error


def _refuse_what_has_no_place(wire: _Request) -> None:
    if wire.functions is not None or wire.function_call is not None:
        raise CannotCarry(
            "tool", "the deprecated `functions` or `function_call` (send `tools` and `tool_choice` instead)"
        )
    if wire.audio is not None or "audio" in (wire.modalities or ()):
        raise CannotCarry("output", "a wish for audio output")


def _decode_extra(name: str, raw: msgspec.Raw) -> object:
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedRequest(f"`{name}` cannot be read: {error}") from error


def _decode_choices(n: int | None) -> int:
    if n is not None and n < 1:
        raise MalformedRequest("`n` must be at least 1")
    return n or 1


def _decode_reasoning(effort: str | None) -> ReasoningRequest | None:
    if effort is None:
        return None
    if effort not in _EFFORTS:
        raise MalformedRequest(f"`reasoning_effort` must be one of {', '.join(get_args(Effort))}")
    return ReasoningRequest(effort=msgspec.convert(effort, Effort))


def _decode_output(wanted: _ResponseFormat | None) -> OutputFormat | None:
    if wanted is None or wanted.type == "text":
        return None
    if wanted.type == "json_object":
        if wanted.schema is None:
            return OutputFormat(mode="json")
        return OutputFormat(mode="json_schema", schema=wanted.schema)
    if wanted.type != "json_schema":
        raise MalformedRequest("`response_format.type` must be text, json_object or json_schema")
    schema = wanted.json_schema
    if schema is None:
        raise MalformedRequest("`response_format.json_schema` is missing")
    return OutputFormat(
        mode="json_schema",
        schema=schema.schema,
        name=schema.name,
        description=schema.description,
        strict=schema.strict,
    )


# --- canonical to chat ----------------------------------------------------------------------------------------------

_TIERS = frozenset({"auto", "default", "flex", "scale", "priority", "fast"})
_LACKS: frozenset[Knob] = frozenset({"top_k", "reasoning_budget"})


def encode_request(request: ChatRequest, model: ModelTraits) -> Encoded:
    """The request in OpenAI's words, in the forms that compatible servers understand too.

    The model's largest output is not named: chat does not ask for it.

    Raises:
        CannotCarry: a part of a message that chat has no place for.
    """
    dropped: list[str] = []
    request = fit(request, model, _lacks(request, model), dropped)
    body: dict[str, object] = {
        "model": model.name,
        "messages": [wire for message in request.messages for wire in encode_message(message)],
    }
    body |= {name: value for name, value in _knobs(request, dropped) if value is not None}
    if request.stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return Encoded(body=msgspec.json.encode(body), dropped=tuple(dict.fromkeys((*dropped, *_dropped(request)))))


def _lacks(request: ChatRequest, model: ModelTraits) -> frozenset[Knob]:
    """Thinking is switched off by the effort `none`, which many a server does not know: it is said where the model is
    known to take it, or where the caller used that very word."""
    asked = request.reasoning.effort if request.reasoning is not None else None
    is_sayable = asked == "none" if model.efforts is None else "none" in model.efforts
    return _LACKS if is_sayable else _LACKS | {"reasoning_off"}


def _knobs(request: ChatRequest, dropped: list[str]) -> Iterator[tuple[str, object]]:
    """Name and value; None where the caller did not say."""
    if request.tools:  # a choice among no tools is refused by OpenAI
        yield "tools", [encode_tool(tool) for tool in request.tools]
        yield "tool_choice", encode_tool_choice(request.tool_choice)
        yield "parallel_tool_calls", request.parallel_tool_calls
    yield "web_search_options", encode_search(request.server_tools, dropped)
    yield "response_format", _encode_output(request.output)
    reasoning = request.reasoning
    yield "reasoning_effort", None if reasoning is None else "none" if reasoning.disabled else reasoning.effort
    yield "max_completion_tokens", request.max_output_tokens
    yield "temperature", request.temperature
    yield "top_p", request.top_p
    yield "stop", list(request.stop) or None
    yield "seed", request.seed
    yield "presence_penalty", request.presence_penalty
    yield "frequency_penalty", request.frequency_penalty
    if request.logprobs is not None:
        yield "logprobs", True
        yield "top_logprobs", request.logprobs or None
    yield "n", request.choices if request.choices != 1 else None
    yield "user", request.user
    yield "metadata", dict(request.metadata) or None
    yield "service_tier", request.service_tier if request.service_tier in _TIERS else None


def _dropped(request: ChatRequest) -> Iterator[str]:
    """What chat lacks, by the caller's own names."""
    if request.service_tier is not None and request.service_tier not in _TIERS:
        yield "service_tier"
    parts = [part for message in request.messages for part in message.parts]
    parts += [inner for part in parts if isinstance(part, ToolResult) for inner in part.parts]
    # Past thinking is signed for its own vendor; chat has no place to replay it.
    if any(isinstance(part, Reasoning | RedactedReasoning) for part in parts):
        yield "thinking"
    if any(isinstance(part, ServerCall) for part in parts):
        yield "messages.server_tool_calls"
    if any(isinstance(part, ToolResult) and part.is_error for part in parts):
        yield "is_error"
    if any(part.cache_ttl is not None for part in parts) or any(tool.cache_ttl is not None for tool in request.tools):
        yield "cache_control"
    if not request.tools:
        if request.tool_choice is not None:
            yield "tool_choice"
        if request.parallel_tool_calls is not None:
            yield "parallel_tool_calls"
    yield from request.extra


def _encode_output(output: OutputFormat | None) -> object:
    if output is None:
        return None
    if output.mode == "json":
        return {"type": "json_object"}
    schema: dict[str, object] = {"name": output.name or "answer"}  # OpenAI asks for a name
    for name, value in (("description", output.description), ("schema", output.schema), ("strict", output.strict)):
        if value is not None:
            schema[name] = value
    return {"type": "json_schema", "json_schema": schema}
