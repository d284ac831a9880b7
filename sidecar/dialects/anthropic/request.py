"""Requests of the Messages API ↔ the canonical form (anthropic SDK, `message_create_params`).

What crosses dialects is written for `anthropic-version: 2023-06-01`, which still takes sampling knobs.
"""

from collections.abc import Mapping, Sequence

import msgspec

from schemas.bundle import Effort, Knob
from sidecar.canonical.model import ModelTraits
from sidecar.canonical.request import (
    ChatRequest,
    OutputFormat,
    ReasoningRequest,
    ToolChoice,
)
from sidecar.dialects.anthropic.blocks import (
    Block,
    encode_content,
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
from sidecar.dialects.anthropic.server_tools import CALLED, CodeTool, SearchTool, encode_server_tool
from sidecar.dialects.anthropic.tools import (
    CHOICE,
    MODES,
    WireChoice,
    WireTool,
    decode_parallel,
    decode_tools,
    encode_choice,
    encode_tool,
)
from sidecar.dialects.anthropic.turns import WireMessage, decode_messages, decode_system, encode_messages, split_system
from sidecar.dialects.base import Encoded, Envelope
from sidecar.dialects.traits import fit
from sidecar.errors import CannotCarry, MalformedRequest


class _Wire(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The body that we write, in the order that the documentation's examples have."""

    model: str
    max_tokens: int
    system: str | Sequence[Block] | None = None
    messages: Sequence["WireMessage"]
    tools: Sequence[WireTool | SearchTool | CodeTool] = ()
    tool_choice: WireChoice | None = None
    thinking: Thinking | None = None
    output_config: OutputConfig | None = None
    stop_sequences: Sequence[str] = ()
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    metadata: Mapping[str, str] | None = None
    service_tier: str | None = None
    stream: bool = False


_NUMBER = msgspec.json.Decoder(float)
_STRINGS = msgspec.json.Decoder(tuple[str, ...])
_ANY = msgspec.json.Decoder()
# To the canonical form


_EFFORTS: Mapping[str, Effort] = {"low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh", "max": "max"}
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
            raise CannotCarry("server_tool", what)
    lost: list[str] = []
    messages = (*decode_system(fields, lost), *decode_messages(fields["messages"], lost))
    tools, server_tools = decode_tools(fields, lost)
    choice = read_optional(fields, "tool_choice", CHOICE)
    if choice is not None and choice.type == "tool" and choice.name in CALLED and server_tools:
        raise CannotCarry("server_tool", f"a choice of Anthropic's own tool {choice.name!r}")
    output = read_output(fields)
    metadata = dict(envelope.metadata)
    extra: dict[str, object] = {
        name: read_value(name, raw, _ANY) for name, raw in fields.items() if name not in _READ | _NOT_CARRIED.keys()
    }
    reasoning = _decode_reasoning(read_optional(fields, "thinking", THINKING), output.effort, lost)
    return ChatRequest(
        model=envelope.model,
        messages=messages,
        tools=tuple(tools),
        server_tools=tuple(server_tools),
        tool_choice=None if choice is None else ToolChoice(MODES[choice.type], choice.name),
        parallel_tool_calls=decode_parallel(choice),
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


_TIERS = {"auto": "auto", "standard_only": "standard_only", "default": "standard_only"}
"""OpenAI's `default` is standard capacity and nothing else, which is Anthropic's `standard_only`."""

_LACKS: frozenset[Knob] = frozenset({"seed", "presence_penalty", "frequency_penalty", "logprobs"})

MIN_BUDGET = 1_024
"""anthropic SDK, `thinking_config_enabled_param`."""

USUAL_BUDGET = 8_192

MIN_TOP_P_WHEN_THINKING = 0.95
"""With thinking on, sampling may not be tuned but for top_p within 0.95 and 1 (platform.claude.com, "Extended
thinking", "Feature compatibility")."""


def encode_request(request: ChatRequest, model: ModelTraits) -> Encoded:
    """
    Raises:
        CannotCarry: audio, several choices, or media of a kind that this API does not read.
    """
    if request.choices != 1:
        raise CannotCarry("choices", f"a wish for {request.choices} choices")
    dropped: list[str] = []
    request = fit(request, model, _LACKS, dropped)
    max_tokens = _max_tokens(request, model.max_output_tokens, dropped)
    system, turns = split_system(request.messages, dropped)
    messages = encode_messages(turns, dropped)
    if not messages:
        raise CannotCarry("conversation", "no message besides the system's")
    choice = encode_choice(request, dropped)
    thinking = _encode_thinking(request.reasoning, choice, model, max_tokens, dropped)
    temperature, top_p, top_k = _encode_sampling(request, thinking, dropped)
    body = _Wire(
        model=model.name,
        max_tokens=max_tokens,
        system=encode_content(system) if system else None,
        messages=messages,
        tools=(
            *(encode_tool(tool) for tool in request.tools),
            *(encode_server_tool(tool, dropped) for tool in request.server_tools),
        ),
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
    if request.metadata:
        dropped.append("metadata")
    dropped += request.extra
    return Encoded(body=msgspec.json.encode(body), dropped=tuple(dict.fromkeys(dropped)))


def _encode_thinking(
    reasoning: ReasoningRequest | None,
    choice: WireChoice | None,
    model: ModelTraits,
    max_tokens: int,
    dropped: list[str],
) -> Thinking | None:
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
    # A model that takes no effort does not decide by itself how much to think either.
    budget = reasoning.budget_tokens or (USUAL_BUDGET if model.efforts == () else None)
    if budget is None:
        return Adaptive()
    # The budget is a part of `max_tokens` and below it: where it is not, half is left for the answer.
    budget = budget if budget < max_tokens else max_tokens // 2
    if budget < MIN_BUDGET:
        dropped.append("thinking")
        return None
    return Enabled(budget)


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
