"""Requests of generateContent ↔ the canonical form (google-genai, `GenerateContentConfig` and its REST converters;
ai.google.dev/api/generate-content).
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
    ToolCall,
    ToolChoice,
    ToolResult,
)
from sidecar.dialects.base import Encoded, Envelope
from sidecar.dialects.gemini.fields import Fields
from sidecar.dialects.gemini.parts import decode_part, decode_result, encode_parts
from sidecar.dialects.gemini.schema import to_json_schema
from sidecar.errors import CannotCarry, MalformedRequest

NO_PARAMETERS: Mapping[str, object] = {"type": "object", "properties": {}}
"""What a function without a schema is taken to have."""

MAX_STOP_SEQUENCES = 5
"""ai.google.dev/api/generate-content, `stopSequences`."""

MAX_TEMPERATURE = 2.0

_INT32 = range(-(2**31), 2**31)
"""`seed` is an int32 (the same page)."""

# To the canonical form

_READ = frozenset(
    {"model", "contents", "systemInstruction", "tools", "toolConfig", "generationConfig", "labels", "serviceTier"}
)
_NOT_CARRIED = {"cachedContent": "content cached at Google", "continuationToken": "an earlier answer kept at Google"}
_CONFIG_READ = frozenset(
    {
        "temperature", "topP", "topK", "candidateCount", "maxOutputTokens", "stopSequences", "responseLogprobs",
        "logprobs", "presencePenalty", "frequencyPenalty", "seed", "responseMimeType", "responseSchema",
        "responseJsonSchema", "responseModalities", "thinkingConfig",
    }
)  # fmt: skip
_LEVELS: Mapping[str, Effort] = {
    "MINIMAL": "minimal",
    "LOW": "low",
    "MEDIUM": "medium",
    "HIGH": "high",
    "XHIGH": "xhigh",
}
_JSON = "application/json"


def decode_request(envelope: Envelope) -> ChatRequest:
    """
    Raises:
        MalformedRequest: a field of the wrong type or with an unknown value, named.
        CannotCarry: content that only Gemini has a place for, such as Google's own tools.
    """
    fields = Fields(envelope.fields)
    for name, what in _NOT_CARRIED.items():
        if name in fields:
            raise CannotCarry(what)
    lost: list[str] = []
    config = fields.fields("generationConfig") or Fields({}, "generationConfig")
    _refuse_other_modalities(config)
    choice, allowed = _decode_choice(fields, lost)
    tools = tuple(_decode_tools(fields, lost))
    lost += [f"generationConfig.{name}" for name in config.names() if name not in _CONFIG_READ]
    extra = {name: fields.anything(name) for name in fields.names() if name not in _READ}
    tier = fields.text("serviceTier")
    return ChatRequest(
        model=envelope.model,
        messages=(*_decode_system(fields, lost), *_Conversation(lost).messages(fields)),
        tools=tools if allowed is None else tuple(tool for tool in tools if tool.name in allowed),
        tool_choice=choice,
        output=_decode_output(config),
        reasoning=_decode_thinking(config, lost),
        stream=envelope.stream,
        max_output_tokens=envelope.max_output_tokens,
        temperature=config.number("temperature"),
        top_p=config.number("topP"),
        top_k=config.whole("topK"),
        stop=config.texts("stopSequences"),
        seed=config.whole("seed"),
        presence_penalty=config.number("presencePenalty"),
        frequency_penalty=config.number("frequencyPenalty"),
        logprobs=(config.whole("logprobs") or 0) if config.flag("responseLogprobs") else None,
        choices=_decode_choices(config),
        metadata=envelope.metadata,
        service_tier=None if tier is None else _TIERS.get(tier.lower(), tier),
        extra=extra | dict.fromkeys(lost, True),
    )


_TIERS = {"standard": "default", "unspecified": "auto"}
"""Google's words for what the canonical form has OpenAI's for; `flex` and `priority` are the same."""


def _refuse_other_modalities(config: Fields) -> None:
    for modality in config.texts("responseModalities"):
        if modality.upper() not in ("TEXT", "MODALITY_UNSPECIFIED"):
            raise CannotCarry(f"a wish for {modality.lower()} output")


def _decode_choices(config: Fields) -> int:
    count = config.whole("candidateCount")
    if count is not None and count < 1:
        raise MalformedRequest("`generationConfig.candidateCount` must be at least 1")
    return count or 1


def _decode_system(fields: Fields, lost: list[str]) -> Iterator[Message]:
    system = fields.fields("systemInstruction")
    if system is not None:
        parts = [decode_part(part, lost) for part in system.each("parts")]
        if any(not isinstance(part, Text | None) for part in parts):
            raise CannotCarry("a system instruction that is more than text")
        if kept := tuple(part for part in parts if part is not None):
            yield Message("system", kept)


class _Conversation:
    """Turns, and which calls wait for their result: without ids, results answer calls of their name in order."""

    def __init__(self, lost: list[str]) -> None:
        self._lost = lost
        self._calls = 0
        self._waiting: list[ToolCall] = []

    def messages(self, fields: Fields) -> Iterator[Message]:
        for content in fields.each("contents"):
            role = content.text("role") or "user"
            if role not in ("user", "model", "function"):
                raise MalformedRequest(f"`{content.where}.role` must be user or model")
            parts = [kept for part in content.each("parts") if (kept := self._part(part)) is not None]
            if role == "model":
                if any(isinstance(part, ToolResult) for part in parts):
                    raise MalformedRequest(f"`{content.where}`: a functionResponse is not the model's to give")
                yield Message("assistant", tuple(parts))
                continue
            if any(isinstance(part, ToolCall) for part in parts):
                raise MalformedRequest(f"`{content.where}`: a functionCall is the model's to make")
            for is_result, run in groupby(parts, lambda part: isinstance(part, ToolResult)):
                yield Message("tool" if is_result else "user", tuple(run))
            if not parts:
                yield Message("user", ())

    def _part(self, part: Fields) -> AnyPart | None:
        call, response = part.fields("functionCall"), part.fields("functionResponse")
        if call is None and response is None:
            return decode_part(part, self._lost)
        decode_part(part, self._lost)  # names what is lost beside the call
        return self._call(call) if call is not None else None if response is None else self._result(response)

    def _call(self, call: Fields) -> ToolCall:
        name = call.text("name")
        if not name:
            raise MalformedRequest(f"`{call.where}.name` is missing")
        if "partialArgs" in call:
            raise CannotCarry("a function call in pieces")
        call.object("args")
        arguments = call.raw("args") or b"{}"
        made = ToolCall(id=call.text("id") or f"call_{self._calls}", name=name, arguments=arguments.decode())
        self._calls += 1
        self._waiting.append(made)
        return made

    def _result(self, response: Fields) -> ToolResult:
        name, given = response.text("name"), response.text("id")
        if not name and not given:
            raise MalformedRequest(f"`{response.where}.name` is missing: name the function that this answers")
        for call in self._waiting:
            if call.id == given or (not given and call.name == name):
                self._waiting.remove(call)
                return decode_result(response, call.id, self._lost)
        raise MalformedRequest(f"`{response.where}` answers no functionCall that came before it")


def _decode_tools(fields: Fields, lost: list[str]) -> Iterator[Tool]:
    for tool in fields.each("tools"):
        for name in tool.names():
            if name != "functionDeclarations":
                raise CannotCarry(f"Google's own tool `{name}`")
        for function in tool.each("functionDeclarations"):
            yield _decode_function(function, lost)


_FUNCTION_READ = frozenset({"name", "description", "parameters", "parametersJsonSchema"})


def _decode_function(function: Fields, lost: list[str]) -> Tool:
    name = function.text("name")
    if not name:
        raise MalformedRequest(f"`{function.where}.name` is missing")
    lost += [f"tools.functionDeclarations.{each}" for each in function.names() if each not in _FUNCTION_READ]
    parameters = function.object("parametersJsonSchema")
    if parameters is None and (schema := function.object("parameters")) is not None:
        parameters = to_json_schema(schema)
    return Tool(
        name=name,
        description=function.text("description"),
        parameters=dict(NO_PARAMETERS) if parameters is None else parameters,
    )


def _decode_choice(fields: Fields, lost: list[str]) -> tuple[ToolChoice | None, frozenset[str] | None]:
    """The choice, and the names that it narrows the tools down to."""
    tool_config = fields.fields("toolConfig")
    if tool_config is None:
        return None, None
    lost += [f"toolConfig.{name}" for name in tool_config.names() if name != "functionCallingConfig"]
    calling = tool_config.fields("functionCallingConfig")
    if calling is None:
        return None, None
    if calling.flag("streamFunctionCallArguments"):
        lost.append("toolConfig.functionCallingConfig.streamFunctionCallArguments")
    names = calling.texts("allowedFunctionNames")
    allowed = frozenset(names) if names else None
    match (calling.text("mode") or "AUTO").upper():
        case "AUTO" | "MODE_UNSPECIFIED":
            return ToolChoice("auto"), None
        case "NONE":
            return ToolChoice("none"), None
        case "ANY" if len(names) == 1:
            return ToolChoice("one", names[0]), None
        case "ANY":
            return ToolChoice("required"), allowed
        case "VALIDATED":
            return ToolChoice("auto"), allowed
        case _:
            where = "toolConfig.functionCallingConfig.mode"
            raise MalformedRequest(f"`{where}` must be AUTO, ANY, NONE or VALIDATED")


def _decode_output(config: Fields) -> OutputFormat | None:
    schema = config.object("responseJsonSchema")
    if schema is None and (google := config.object("responseSchema")) is not None:
        schema = to_json_schema(google)
    media_type = config.text("responseMimeType")
    if media_type not in (None, "", "text/plain", _JSON):
        raise CannotCarry(f"a wish for an answer of type {media_type}")
    if schema is not None:
        return OutputFormat(mode="json_schema", schema=schema)
    return OutputFormat(mode="json") if media_type == _JSON else None


def _decode_thinking(config: Fields, lost: list[str]) -> ReasoningRequest | None:
    thinking = config.fields("thinkingConfig")
    if thinking is None:
        return None
    shown, budget = thinking.flag("includeThoughts"), thinking.whole("thinkingBudget")
    if shown is False and budget != 0:
        lost.append("generationConfig.thinkingConfig.includeThoughts")
    level = (thinking.text("thinkingLevel") or "THINKING_LEVEL_UNSPECIFIED").upper()
    if budget == 0:
        return ReasoningRequest(disabled=True)
    if budget is not None and budget > 0:
        return ReasoningRequest(budget_tokens=budget)
    if level == "THINKING_LEVEL_UNSPECIFIED":
        return ReasoningRequest() if shown or budget is not None else None
    if level not in _LEVELS:
        where = "generationConfig.thinkingConfig.thinkingLevel"
        raise MalformedRequest(f"`{where}` must be one of {', '.join(_LEVELS)}")
    return ReasoningRequest(effort=_LEVELS[level])


# From the canonical form

_MODES: Mapping[Literal["auto", "none", "required", "one"], str] = {
    "auto": "AUTO",
    "none": "NONE",
    "required": "ANY",
    "one": "ANY",
}
_TIERS_OUT = {"default": "standard", "standard_only": "standard", "flex": "flex", "priority": "priority"}
_KNOBS_WITHOUT_A_PLACE = ("user", "metadata")


def encode_request(request: ChatRequest, model: str, max_output_tokens: int) -> Encoded:
    """The body; model and streaming stand in the path.

    Raises:
        CannotCarry: no message but the system's, or media of a kind that this API does not read.
    """
    dropped: list[str] = []
    names: dict[str, str] = {}
    system = [part for turn in request.messages if _is_system(turn) for part in _encode_system(turn, dropped)]
    contents = _encode_contents([turn for turn in request.messages if not _is_system(turn)], names, dropped)
    if not contents:
        raise CannotCarry("no message besides the system's")
    body: dict[str, object] = {"contents": contents}
    if system:
        body["systemInstruction"] = {"parts": system}
    if request.tools:
        body["tools"] = [{"functionDeclarations": [_encode_tool(tool, dropped) for tool in request.tools]}]
    if (calling := _encode_choice(request, dropped)) is not None:
        body["toolConfig"] = {"functionCallingConfig": calling}
    config = {
        name: value for name, value in _config(request, max_output_tokens, dropped) if value not in (None, (), [])
    }
    if config:
        body["generationConfig"] = config
    if request.service_tier in _TIERS_OUT:
        body["serviceTier"] = _TIERS_OUT[request.service_tier]
    elif request.service_tier not in (None, "auto"):
        dropped.append("service_tier")
    dropped += [name for name in _KNOBS_WITHOUT_A_PLACE if getattr(request, name) not in (None, {})]
    dropped += request.extra
    return Encoded(body=msgspec.json.encode(body), dropped=tuple(dict.fromkeys(dropped)))


def _is_system(turn: Message) -> bool:
    return turn.role in ("system", "developer")


def _encode_system(turn: Message, dropped: list[str]) -> list[dict[str, object]]:
    if any(not isinstance(part, Text) for part in turn.parts):
        raise CannotCarry("a system message that is more than text")
    if turn.name is not None:
        dropped.append("messages.name")
    return encode_parts(turn.parts, {}, dropped)


def _encode_contents(turns: Sequence[Message], names: dict[str, str], dropped: list[str]) -> list[dict[str, object]]:
    """Turns alternate between the user and the model; results of tools are the user's to give, and those of parallel
    calls stand together (ai.google.dev/gemini-api/docs/function-calling)."""
    contents: list[dict[str, object]] = []
    for role, run in groupby(turns, lambda turn: "model" if turn.role == "assistant" else "user"):
        parts: list[dict[str, object]] = []
        for turn in run:
            if turn.name is not None:
                dropped.append("messages.name")
            parts += encode_parts(turn.parts, names, dropped)
        if parts:
            contents.append({"role": role, "parts": parts})
    return contents


def _encode_tool(tool: Tool, dropped: list[str]) -> dict[str, object]:
    if tool.strict:
        dropped.append("tools.strict")
    if tool.cache_ttl is not None:
        dropped.append("cache_control")
    function: dict[str, object] = {"name": tool.name}
    if tool.description is not None:
        function["description"] = tool.description
    if tool.parameters != NO_PARAMETERS:
        function["parametersJsonSchema"] = tool.parameters
    return function


def _encode_choice(request: ChatRequest, dropped: list[str]) -> dict[str, object] | None:
    if request.parallel_tool_calls is False and request.tools:
        dropped.append("parallel_tool_calls")
    choice = request.tool_choice
    if choice is None:
        return None
    if not request.tools:
        if choice.mode not in ("auto", "none"):
            dropped.append("tool_choice")
        return None
    calling: dict[str, object] = {"mode": _MODES[choice.mode]}
    return calling | {"allowedFunctionNames": [choice.name]} if choice.mode == "one" else calling


def _config(request: ChatRequest, largest: int, dropped: list[str]) -> Iterator[tuple[str, object]]:
    """Name and value; None where the caller did not say."""
    yield "temperature", _at_most(MAX_TEMPERATURE, request.temperature, "temperature", dropped)
    yield "topP", request.top_p
    yield "topK", request.top_k
    yield "candidateCount", request.choices if request.choices != 1 else None
    yield "maxOutputTokens", _max_tokens(request.max_output_tokens, largest, dropped)
    yield "stopSequences", request.stop[:MAX_STOP_SEQUENCES]
    if len(request.stop) > MAX_STOP_SEQUENCES:
        dropped.append("stop")
    # The canonical answer has no place for them, so they are not asked for: many models refuse to give them.
    if request.logprobs is not None:
        dropped.append("logprobs")
    yield "presencePenalty", request.presence_penalty
    yield "frequencyPenalty", request.frequency_penalty
    if request.seed is None or request.seed in _INT32:
        yield "seed", request.seed
    else:
        dropped.append("seed")
    if (output := request.output) is not None:
        yield "responseMimeType", _JSON
        yield "responseJsonSchema", output.schema if output.mode == "json_schema" else None
        # The name is a label, and the schema is always held to: neither changes the answer by its absence.
        if output.description is not None:
            dropped.append("response_format.json_schema.description")
    yield "thinkingConfig", _encode_thinking(request.reasoning)


def _at_most(largest: float, value: float | None, name: str, dropped: list[str]) -> float | None:
    """What is beyond falls back to the model's default."""
    if value is None or value <= largest:
        return value
    dropped.append(name)
    return None


def _max_tokens(wanted: int | None, largest: int, dropped: list[str]) -> int | None:
    if wanted is not None and wanted > largest:
        dropped.append("max_tokens")
        return largest
    return wanted


def _encode_thinking(reasoning: ReasoningRequest | None) -> dict[str, object] | None:
    """A level and a budget exclude each other, and a budget says more (ai.google.dev/gemini-api/docs/thinking). Who
    asks for reasoning in another dialect gets to see it, which Gemini wants to be asked for."""
    if reasoning is None:
        return None
    if reasoning.disabled or reasoning.effort == "none":
        return {"thinkingBudget": 0}
    if reasoning.budget_tokens is not None:
        return {"includeThoughts": True, "thinkingBudget": reasoning.budget_tokens}
    if reasoning.effort is None:
        return {"includeThoughts": True, "thinkingBudget": -1}
    level = reasoning.effort.upper()
    # Few models know a level beyond HIGH.
    return {"includeThoughts": True, "thinkingLevel": level if level in ("MINIMAL", "LOW", "MEDIUM") else "HIGH"}
