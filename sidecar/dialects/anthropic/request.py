"""Requests of the Messages API ↔ the canonical form (anthropic SDK, `message_create_params`).

What crosses dialects is written for `anthropic-version: 2023-06-01`, which still takes sampling knobs.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Literal

import msgspec

from sidecar.canonical.request import (
    AnyPart,
    ChatRequest,
    Effort,
    Message,
    OutputFormat,
    ReasoningRequest,
    Text,
    Tool,
    ToolChoice,
    ToolResult,
)
from sidecar.dialects.anthropic.blocks import (
    ABSENT,
    DEFAULT_TTL,
    BadBlock,
    Block,
    CacheControl,
    UnknownBlock,
    decode_content,
    encode_content,
    encode_parts,
)
from sidecar.dialects.anthropic.fields import (
    STRING,
    THINKING,
    WHOLE,
    Adaptive,
    BetweenTools,
    Disabled,
    Enabled,
    OutputConfig,
    Schema,
    Thinking,
    read_optional,
    read_output,
    read_value,
)
from sidecar.dialects.base import Encoded, Envelope
from sidecar.errors import CannotCarry, MalformedRequest


class _Choice(msgspec.Struct, frozen=True, omit_defaults=True):
    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class _Tool(msgspec.Struct, frozen=True, omit_defaults=True):
    name: str
    description: str | None = None
    input_schema: Mapping[str, object] = {}
    type: str | None = None
    strict: bool | None = None
    cache_control: CacheControl | None = None
    allowed_callers: msgspec.Raw = ABSENT
    defer_loading: bool | None = None
    eager_input_streaming: bool | None = None
    input_examples: msgspec.Raw = ABSENT


class _Message(msgspec.Struct, frozen=True):
    role: Literal["user", "assistant", "system"]
    content: msgspec.Raw


class _Wire(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The body that we write, in the order that the documentation's examples have."""

    model: str
    max_tokens: int
    system: str | Sequence[Block] | None = None
    messages: Sequence["_WireMessage"]
    tools: Sequence[_Tool] = ()
    tool_choice: _Choice | None = None
    thinking: Thinking | None = None
    output_config: OutputConfig | None = None
    stop_sequences: Sequence[str] = ()
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    metadata: Mapping[str, str] | None = None
    service_tier: str | None = None
    stream: bool = False


class _WireMessage(msgspec.Struct, frozen=True):
    role: Literal["user", "assistant"]
    content: str | Sequence[Block]


_NUMBER = msgspec.json.Decoder(float)
_STRINGS = msgspec.json.Decoder(tuple[str, ...])
_ANY = msgspec.json.Decoder()
_CHOICE = msgspec.json.Decoder(_Choice)
_TOOLS = msgspec.json.Decoder(tuple[_Tool, ...])
_MESSAGES = msgspec.json.Decoder(tuple[_Message, ...])


# To the canonical form


_EFFORTS: Mapping[str, Effort] = {"low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh", "max": "max"}
_MODES: Mapping[str, Literal["auto", "none", "required", "one"]] = {
    "auto": "auto",
    "any": "required",
    "tool": "one",
    "none": "none",
}

_READ = frozenset(
    {
        "model", "messages", "system", "max_tokens", "stream", "tools", "tool_choice", "thinking", "output_config",
        "output_format", "stop_sequences", "temperature", "top_p", "top_k", "metadata", "service_tier",
    }
)  # fmt: skip
_NOT_CARRIED: Mapping[str, str] = {"mcp_servers": "MCP servers", "container": "a container"}


def decode_request(envelope: Envelope) -> ChatRequest:
    """
    Raises:
        MalformedRequest: a field of the wrong type, named.
        CannotCarry: content that only Anthropic has a place for, such as its server tools.
    """
    fields = envelope.fields
    for name, what in _NOT_CARRIED.items():
        if name in fields and bytes(fields[name]) != b"null":
            raise CannotCarry(what)
    lost: list[str] = []
    messages = (*_decode_system(fields, lost), *_decode_messages(fields["messages"], lost))
    tools = tuple(_decode_tool(tool, lost) for tool in read_optional(fields, "tools", _TOOLS) or ())
    choice = read_optional(fields, "tool_choice", _CHOICE)
    output = read_output(fields)
    metadata = dict(envelope.metadata)
    extra: dict[str, object] = {
        name: read_value(name, raw, _ANY) for name, raw in fields.items() if name not in _READ | _NOT_CARRIED.keys()
    }
    reasoning = _decode_reasoning(read_optional(fields, "thinking", THINKING), output.effort, lost)
    return ChatRequest(
        model=envelope.model,
        messages=messages,
        tools=tools,
        tool_choice=None if choice is None else ToolChoice(_MODES[choice.type], choice.name),
        parallel_tool_calls=_decode_parallel(choice),
        output=None if output.format is None else OutputFormat(mode="json_schema", schema=output.format.schema),
        reasoning=reasoning,
        stream=envelope.stream,
        max_output_tokens=envelope.max_output_tokens,
        temperature=read_optional(fields, "temperature", _NUMBER),
        top_p=read_optional(fields, "top_p", _NUMBER),
        top_k=read_optional(fields, "top_k", WHOLE),
        stop=read_optional(fields, "stop_sequences", _STRINGS) or (),
        user=metadata.pop("user_id", None),
        metadata=metadata,
        service_tier=read_optional(fields, "service_tier", STRING),
        extra=extra | dict.fromkeys(lost, True),
    )


def _decode_system(fields: Mapping[str, msgspec.Raw], lost: list[str]) -> Iterator[Message]:
    raw = fields.get("system")
    if raw is not None and bytes(raw) != b"null" and (parts := _content(raw, "system", lost)):
        yield Message("system", parts)


def _decode_messages(raw: msgspec.Raw, lost: list[str]) -> Iterator[Message]:
    messages = read_value("messages", raw, _MESSAGES)
    for place, message in enumerate(messages):
        parts = _content(message.content, f"messages[{place}].content", lost)
        if message.role != "user":
            yield Message(message.role, parts)
        else:
            # A user's message may open with the results of tools, which are messages of their own here.
            for is_result, run in groupby(parts, lambda part: isinstance(part, ToolResult)):
                yield Message("tool" if is_result else "user", tuple(run))
            if not parts:
                yield Message("user", ())


def _content(raw: msgspec.Raw, where: str, lost: list[str]) -> tuple[AnyPart, ...]:
    try:
        return decode_content(raw, where, lost)
    except UnknownBlock as error:
        raise CannotCarry(str(error)) from error
    except BadBlock as error:
        raise MalformedRequest(str(error)) from error


_TOOL_KNOBS = ("allowed_callers", "defer_loading", "eager_input_streaming", "input_examples")


def _decode_tool(tool: _Tool, lost: list[str]) -> Tool:
    if tool.type not in (None, "custom"):
        raise CannotCarry(f"Anthropic's own tool {tool.type!r}")
    lost += [f"tools.{name}" for name in _TOOL_KNOBS if getattr(tool, name) not in (None, ABSENT)]
    mark = tool.cache_control
    return Tool(
        name=tool.name,
        description=tool.description,
        parameters=tool.input_schema,
        strict=tool.strict,
        cache_ttl=None if mark is None else mark.ttl or DEFAULT_TTL,
    )


def _decode_parallel(choice: _Choice | None) -> bool | None:
    if choice is None or choice.disable_parallel_tool_use is None:
        return None
    return not choice.disable_parallel_tool_use


def _decode_reasoning(thinking: Thinking | None, word: str | None, lost: list[str]) -> ReasoningRequest | None:
    effort = None if word is None else _EFFORTS.get(word)
    if word is not None and effort is None:
        raise MalformedRequest(f"output_config.effort: {word!r} is not one of {', '.join(_EFFORTS)}")
    if isinstance(thinking, Enabled | Adaptive) and thinking.display is not None:
        lost.append("thinking.display")
    match thinking:
        case None:
            return None if effort is None else ReasoningRequest(effort=effort)
        case Enabled(budget_tokens=budget):
            return ReasoningRequest(effort=effort, budget_tokens=budget)
        case Disabled():
            return ReasoningRequest(effort=effort, disabled=True)
        case Adaptive() | BetweenTools():
            return ReasoningRequest(effort=effort)


# From the canonical form


_CHOICES: Mapping[str, Literal["auto", "any", "tool", "none"]] = {
    "auto": "auto",
    "required": "any",
    "one": "tool",
    "none": "none",
}
_TIERS = {"auto": "auto", "standard_only": "standard_only", "default": "standard_only"}
"""OpenAI's `default` is standard capacity and nothing else, which is Anthropic's `standard_only`."""

_KNOBS_WITHOUT_A_PLACE = ("seed", "presence_penalty", "frequency_penalty", "logprobs", "metadata")

MIN_TOP_P_WHEN_THINKING = 0.95
"""With thinking on, sampling may not be tuned but for top_p within 0.95 and 1 (platform.claude.com, "Extended
thinking", "Feature compatibility")."""


def encode_request(request: ChatRequest, model: str, max_output_tokens: int) -> Encoded:
    """
    Raises:
        CannotCarry: audio, several choices, or media of a kind that this API does not read.
    """
    if request.choices != 1:
        raise CannotCarry(f"a wish for {request.choices} choices")
    dropped: list[str] = []
    system, turns = _split_system(request.messages, dropped)
    messages = _encode_messages(turns, dropped)
    if not messages:
        raise CannotCarry("no message besides the system's")
    choice = _encode_choice(request, dropped)
    thinking = _encode_thinking(request.reasoning, choice, dropped)
    temperature, top_p, top_k = _encode_sampling(request, thinking, dropped)
    body = _Wire(
        model=model,
        max_tokens=_max_tokens(request, max_output_tokens, dropped),
        system=encode_content(system) if system else None,
        messages=messages,
        tools=tuple(_encode_tool(tool) for tool in request.tools),
        tool_choice=choice,
        thinking=thinking,
        output_config=_encode_output(request, dropped),
        stop_sequences=_encode_stop(request.stop, dropped),
        temperature=temperature,
        top_p=top_p,
        top_k=top_k,
        metadata=None if request.user is None else {"user_id": request.user},
        service_tier=_encode_tier(request.service_tier, dropped),
        stream=request.stream,
    )
    # A knob at its neutral value (no penalty, no metadata) changes nothing by its absence.
    dropped += [name for name in _KNOBS_WITHOUT_A_PLACE if getattr(request, name) not in (None, 0.0, {})]
    if request.logprobs == 0:
        dropped.append("logprobs")
    dropped += request.extra
    return Encoded(body=msgspec.json.encode(body), dropped=tuple(dict.fromkeys(dropped)))


def _split_system(messages: Sequence[Message], dropped: list[str]) -> tuple[list[Block], list[Message]]:
    """System turns in order, and the other turns.

    Only some models take a system turn amid the conversation, and only at Anthropic itself (platform.claude.com,
    "Mid-conversation system messages"); so it joins the leading ones, and its position is named as lost.
    """
    system: list[Block] = []
    turns: list[Message] = []
    for message in messages:
        if message.role not in ("system", "developer"):
            turns.append(message)
            continue
        if turns:
            dropped.append("messages.system_position")
        if not all(isinstance(part, Text) for part in message.parts):
            raise CannotCarry("a system message that is more than text")
        if message.name is not None:
            dropped.append("messages.name")
        system += encode_parts(message.parts, dropped)
    return system, turns


def _encode_messages(turns: Sequence[Message], dropped: list[str]) -> list[_WireMessage]:
    """Results of parallel calls belong into one user message, and what the user says next comes after them in the same
    one (platform.claude.com, "Handle tool calls")."""
    messages: list[_WireMessage] = []
    pending: list[Block] = []
    for turn in turns:
        if turn.name is not None:
            dropped.append("messages.name")
        blocks = encode_parts(turn.parts, dropped)
        if turn.role == "tool":
            pending += blocks
            continue
        if turn.role == "user":
            blocks, pending = pending + blocks, []
        elif pending:
            messages.append(_WireMessage("user", pending))
            pending = []
        if blocks:
            messages.append(_WireMessage("assistant" if turn.role == "assistant" else "user", encode_content(blocks)))
    if pending:
        messages.append(_WireMessage("user", pending))
    return messages


def _encode_tool(tool: Tool) -> _Tool:
    # The API wants a schema that says it is an object's; OpenAI leaves that out for a function without parameters.
    schema = tool.parameters if "type" in tool.parameters else {"type": "object", **tool.parameters}
    ttl = tool.cache_ttl
    mark = None if ttl is None else CacheControl(None if ttl == DEFAULT_TTL else ttl)
    return _Tool(
        name=tool.name, description=tool.description, input_schema=schema, strict=tool.strict, cache_control=mark
    )


def _encode_choice(request: ChatRequest, dropped: list[str]) -> _Choice | None:
    choice, parallel = request.tool_choice, request.parallel_tool_calls
    if not request.tools:
        # The API refuses a choice where there is nothing to choose from.
        if choice is not None and choice.mode not in ("auto", "none"):
            dropped.append("tool_choice")
        return None
    disable = None if parallel is None else not parallel
    if choice is None:
        return _Choice("auto", disable_parallel_tool_use=True) if disable else None
    if choice.mode == "none":
        return _Choice("none")
    return _Choice(_CHOICES[choice.mode], choice.name, disable)


def _encode_thinking(reasoning: ReasoningRequest | None, choice: _Choice | None, dropped: list[str]) -> Thinking | None:
    if reasoning is None:
        return None
    if reasoning.disabled or reasoning.effort == "none":
        return Disabled()
    if choice is not None and choice.type in ("any", "tool"):
        # Thinking and a forced tool exclude each other (the same page); what must be called is the stronger wish.
        # An effort stays, as it holds for the whole answer.
        if reasoning.effort is None:
            dropped.append("thinking")
        return None
    if reasoning.budget_tokens is not None:
        return Enabled(reasoning.budget_tokens)
    return Adaptive()


def _encode_sampling(
    request: ChatRequest, thinking: Thinking | None, dropped: list[str]
) -> tuple[float | None, float | None, int | None]:
    temperature, top_p, top_k = request.temperature, request.top_p, request.top_k
    is_thinking = thinking is not None and not isinstance(thinking, Disabled)
    # Anthropic's range ends at 1, which is also its default: what is beyond falls back to it.
    if temperature is not None and (temperature > 1 or (is_thinking and temperature != 1)):
        temperature = None
        dropped.append("temperature")
    # Models since Claude 4.1 take either of the two (platform.claude.com, "Migrating to Claude 4.5").
    if top_p is not None and (temperature is not None or (is_thinking and top_p < MIN_TOP_P_WHEN_THINKING)):
        top_p = None
        dropped.append("top_p")
    if top_k is not None and is_thinking:
        top_k = None
        dropped.append("top_k")
    return temperature, top_p, top_k


def _encode_output(request: ChatRequest, dropped: list[str]) -> OutputConfig | None:
    """JSON without a schema has no equivalent, and Anthropic's own OpenAI-compatible endpoint ignores it. It is dropped
    by name and not refused: OpenAI demands that the prompt itself asks for JSON, and `json_valid` checks the answer."""
    output, reasoning = request.output, request.reasoning
    schema = None
    if output is not None and output.mode == "json_schema":
        schema = Schema(output.schema or {})
        # The name is a label, and the schema is always held to: neither changes the answer by its absence.
        if output.description is not None:
            dropped.append("response_format.json_schema.description")
    elif output is not None:
        dropped.append("response_format")
    effort = None if reasoning is None or reasoning.effort == "none" else reasoning.effort
    if effort == "minimal":
        effort = "low"
    return None if effort is None and schema is None else OutputConfig(effort, schema)


def _encode_stop(stop: Sequence[str], dropped: list[str]) -> tuple[str, ...]:
    """The API refuses stop sequences of white space alone (platform.claude.com, "OpenAI SDK compatibility")."""
    taken = tuple(sequence for sequence in stop if sequence.strip())
    if len(taken) != len(stop):
        dropped.append("stop")
    return taken


def _encode_tier(tier: str | None, dropped: list[str]) -> str | None:
    if tier is not None and tier not in _TIERS:
        dropped.append("service_tier")
        return None
    return None if tier is None else _TIERS[tier]


def _max_tokens(request: ChatRequest, largest: int, dropped: list[str]) -> int:
    if request.max_output_tokens is None:
        return largest
    if request.max_output_tokens > largest:
        dropped.append("max_tokens")
        return largest
    return request.max_output_tokens
