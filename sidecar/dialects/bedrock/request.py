"""The canonical form → a Converse request (botocore's service model, `ConverseRequest`). The model stands in the path.

What only some vendors' models take goes into `additionalModelRequestFields`, and nothing here knows whose model a
target is: so it holds what the caller put there under that very name, and nothing else.
"""

import re
from collections.abc import Mapping, Sequence

import msgspec

from schemas.bundle import Knob
from sidecar.canonical.model import ModelTraits
from sidecar.canonical.request import (
    ChatRequest,
    Message,
    OutputFormat,
    Text,
    Tool,
    ToolCall,
    ToolResult,
)
from sidecar.dialects.base import Encoded
from sidecar.dialects.bedrock.blocks import Block, CachePoint, Notes, Wire, cache_point, encode_parts, tool_name
from sidecar.dialects.traits import fit
from sidecar.errors import CannotCarry


class _Schema(Wire, frozen=True):
    json: Mapping[str, object]


class _ToolSpec(Wire, frozen=True):
    name: str
    input_schema: _Schema
    description: str | None = None
    strict: bool | None = None


class _Tool(Wire, frozen=True):
    """A union by name: exactly one field stands in it."""

    tool_spec: _ToolSpec | None = None
    cache_point: CachePoint | None = None


class _Nothing(Wire, frozen=True):
    pass


class _Named(Wire, frozen=True):
    name: str


class _Choice(Wire, frozen=True):
    """A union by name: exactly one field stands in it."""

    auto: _Nothing | None = None
    any: _Nothing | None = None
    tool: _Named | None = None


class _ToolConfig(Wire, frozen=True):
    tools: Sequence[_Tool]
    tool_choice: _Choice | None = None


class _Inference(Wire, frozen=True):
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop_sequences: Sequence[str] = ()


class _JsonSchema(Wire, frozen=True):
    schema: str
    """JSON text, as the API takes it."""
    name: str | None = None
    description: str | None = None


class _Structure(Wire, frozen=True):
    json_schema: _JsonSchema


class _TextFormat(Wire, frozen=True):
    structure: _Structure
    type: str


class _OutputConfig(Wire, frozen=True):
    text_format: _TextFormat | None = None
    effort: str | None = None


class _Tier(Wire, frozen=True):
    type: str


class _Turn(Wire, frozen=True):
    role: str
    content: Sequence[Block]


class _Body(Wire, frozen=True, kw_only=True):
    messages: Sequence[_Turn]
    system: Sequence[Block] = ()
    inference_config: _Inference | None = None
    tool_config: _ToolConfig | None = None
    output_config: _OutputConfig | None = None
    additional_model_request_fields: Mapping[str, object] | None = None
    request_metadata: Mapping[str, str] | None = None
    service_tier: _Tier | None = None


MORE_FIELDS = "additionalModelRequestFields"
"""A top-level field of the caller's body of this name is carried on: its explicit word to one vendor's model."""

_EFFORTS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh", "max": "max"}
_TIERS = {"default": "default", "flex": "flex", "priority": "priority", "standard_only": "default"}
_LACKS: frozenset[Knob] = frozenset(
    {"top_k", "seed", "presence_penalty", "frequency_penalty", "logprobs", "reasoning_budget", "reasoning_off"}
)
"""How to switch thinking off, or to a budget, is each vendor's own word, which nobody gave."""

MAX_METADATA = 16
_METADATA_KEY = re.compile(r"[a-zA-Z0-9\s:_@$#=/+,\-.]{1,256}")
_METADATA_VALUE = re.compile(r"[a-zA-Z0-9\s:_@$#=/+,\-.]{0,256}")


def encode_request(request: ChatRequest, model: ModelTraits) -> Encoded:
    """
    Raises:
        CannotCarry: several choices, media that Converse does not read, or a conversation of a form that it refuses.
    """
    if request.choices != 1:
        raise CannotCarry("choices", f"a wish for {request.choices} choices")
    if request.server_tools:
        raise CannotCarry("server_tool", "a tool that the provider runs by itself")
    notes = Notes()
    request = fit(request, model, _LACKS, notes.dropped)
    turns = [message for message in request.messages if message.role not in ("system", "developer")]
    body = _Body(
        system=_encode_system(request.messages, notes) or (),
        messages=_encode_turns(turns, notes),
        inference_config=_encode_inference(request, model.max_output_tokens, notes),
        tool_config=_encode_tools(request, turns, notes),
        output_config=_encode_output(request, notes),
        additional_model_request_fields=_more_fields(request.extra, notes),
        request_metadata=_encode_metadata(request.metadata, notes),
        service_tier=_encode_tier(request.service_tier, notes),
    )
    if request.user is not None:
        notes.dropped.append("user")
    return Encoded(body=msgspec.json.encode(body), dropped=tuple(dict.fromkeys(notes.dropped)))


def _encode_system(messages: Sequence[Message], notes: Notes) -> list[Block]:
    """System turns in order. Only some models take one amid the conversation, so it joins the leading ones, and its
    position is named as lost."""
    system: list[Block] = []
    turn_seen = False
    for message in messages:
        if message.role not in ("system", "developer"):
            turn_seen = True
            continue
        if turn_seen:
            notes.dropped.append("messages.system_position")
        if not all(isinstance(part, Text) for part in message.parts):
            raise CannotCarry("system", "a system message that is more than text")
        if message.name is not None:
            notes.dropped.append("messages.name")
        system += encode_parts(message.parts, notes)
    return system


def _encode_turns(turns: Sequence[Message], notes: Notes) -> list[_Turn]:
    """Roles must alternate, and a tool's results are the user's: turns of one side become one message."""
    messages: list[tuple[str, list[Block]]] = []
    for turn in turns:
        if turn.name is not None:
            notes.dropped.append("messages.name")
        role = "assistant" if turn.role == "assistant" else "user"
        blocks = encode_parts(turn.parts, notes)
        if not blocks:
            continue
        if messages and messages[-1][0] == role:
            messages[-1][1].extend(blocks)
        else:
            messages.append((role, blocks))
    if not messages or messages[0][0] != "user":
        raise CannotCarry("conversation", "a conversation that the user does not begin")
    return [_Turn(role, [*blocks, *_beside_documents(blocks)]) for role, blocks in messages]


def _beside_documents(blocks: Sequence[Block]) -> list[Block]:
    """Converse refuses a document with no text in its message: then its name, which the model reads anyway, is that."""
    names = [block.document.name for block in blocks if block.document is not None]
    return [Block(text=names[0])] if names and all(block.text is None for block in blocks) else []


def _encode_inference(request: ChatRequest, largest: int, notes: Notes) -> _Inference | None:
    """Without `maxTokens` the model's own largest output holds."""
    tokens, temperature = request.max_output_tokens, request.temperature
    if tokens is not None and tokens > largest:
        tokens = largest
        notes.dropped.append("max_tokens")
    if temperature is not None and temperature > 1:
        temperature = None  # the range ends at 1, which is most models' default
        notes.dropped.append("temperature")
    stop = tuple(sequence for sequence in request.stop if sequence)
    inference = _Inference(tokens, temperature, request.top_p, stop)
    return None if inference == _Inference() else inference


def _encode_tools(request: ChatRequest, turns: Sequence[Message], notes: Notes) -> _ToolConfig | None:
    """Converse wants every conversation that holds a call to name its tools, and cannot forbid their use. Where none
    was called so far, leaving them out forbids it; after a call that is no way."""
    choice, tools = request.tool_choice, request.tools
    were_called = any(isinstance(part, ToolCall | ToolResult) for turn in turns for part in turn.parts)
    if were_called and not tools:
        raise CannotCarry("tool", "tool calls without the tools that were called")
    if choice is not None and choice.mode == "none" and tools:
        if were_called:
            raise CannotCarry("conversation", "a ban on tools amid a conversation that used them")
        notes.dropped.append("tools")
        return None
    if not tools:
        if choice is not None and choice.mode not in ("auto", "none"):
            notes.dropped.append("tool_choice")
        return None
    if request.parallel_tool_calls is False:
        notes.dropped.append("parallel_tool_calls")
    return _ToolConfig([entry for tool in tools for entry in _encode_tool(tool)], _encode_choice(request))


def _encode_tool(tool: Tool) -> list[_Tool]:
    # A schema says that it is an object's; OpenAI leaves that out for a function without parameters.
    schema = tool.parameters if "type" in tool.parameters else {"type": "object", **tool.parameters}
    spec = _ToolSpec(tool_name(tool.name), _Schema(schema), tool.description or None, tool.strict)
    return [_Tool(tool_spec=spec), *(_Tool(cache_point=mark.cache_point) for mark in cache_point(tool.cache_ttl))]


def _encode_choice(request: ChatRequest) -> _Choice | None:
    choice = request.tool_choice
    match None if choice is None else choice.mode:
        case "auto":
            return _Choice(auto=_Nothing())
        case "required":
            return _Choice(any=_Nothing())
        case "one":
            return _Choice(tool=_Named((choice and choice.name) or ""))
        case _:
            return None


def _encode_output(request: ChatRequest, notes: Notes) -> _OutputConfig | None:
    output, reasoning = request.output, request.reasoning
    if output is not None and output.mode == "json":
        notes.dropped.append("response_format")  # JSON without a schema has no place here
    effort = None
    if reasoning is not None:
        effort = _EFFORTS.get(reasoning.effort or "")
        if effort is None:
            notes.dropped.append("thinking")  # to switch it on is each vendor's own word as well
    config = _OutputConfig(_encode_format(output), effort)
    return None if config == _OutputConfig() else config


def _encode_format(output: OutputFormat | None) -> _TextFormat | None:
    if output is None or output.mode != "json_schema":
        return None
    schema = msgspec.json.encode(output.schema or {}).decode()
    return _TextFormat(_Structure(_JsonSchema(schema, output.name, output.description)), "json_schema")


def _more_fields(extra: Mapping[str, object], notes: Notes) -> Mapping[str, object] | None:
    more = extra.get(MORE_FIELDS)
    carried = more if isinstance(more, dict) and more else None
    notes.dropped += [name for name in extra if name != MORE_FIELDS or carried is None]
    return carried


def _encode_metadata(metadata: Mapping[str, str], notes: Notes) -> Mapping[str, str] | None:
    """Labels of the invocation log, which takes few characters: all of them, or none."""
    if not metadata:
        return None
    if len(metadata) > MAX_METADATA or not all(
        _METADATA_KEY.fullmatch(key) and _METADATA_VALUE.fullmatch(value) for key, value in metadata.items()
    ):
        notes.dropped.append("metadata")
        return None
    return metadata


def _encode_tier(tier: str | None, notes: Notes) -> _Tier | None:
    if tier is None or tier == "auto":
        return None  # the provider decides
    if tier not in _TIERS:
        notes.dropped.append("service_tier")
        return None
    return _Tier(_TIERS[tier])
