"""Requests of generateContent ↔ the canonical form (google-genai, `GenerateContentConfig` and its REST converters;
ai.google.dev/api/generate-content).
"""

from collections.abc import Iterator, Mapping

import msgspec

from schemas.bundle import Effort
from sidecar.canonical.model import ModelTraits
from sidecar.canonical.request import (
    ChatRequest,
    OutputFormat,
    ReasoningRequest,
    Tool,
)
from sidecar.dialects.base import Encoded, Envelope
from sidecar.dialects.gemini.fields import Fields
from sidecar.dialects.gemini.schema import to_json_schema
from sidecar.dialects.gemini.tools import decode_choice, decode_tools, encode_choice, encode_server_tool, encode_tool
from sidecar.dialects.gemini.turns import Conversation, decode_system, encode_contents, encode_system, is_system
from sidecar.dialects.traits import fit
from sidecar.errors import CannotCarry, MalformedRequest

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
            raise CannotCarry("state", what)
    lost: list[str] = []
    config = fields.fields("generationConfig") or Fields({}, "generationConfig")
    _refuse_other_modalities(config)
    choice, allowed = decode_choice(fields, lost)
    all_tools = tuple(decode_tools(fields, lost))
    tools = tuple(tool for tool in all_tools if isinstance(tool, Tool))
    lost += [f"generationConfig.{name}" for name in config.names() if name not in _CONFIG_READ]
    extra = {name: fields.anything(name) for name in fields.names() if name not in _READ}
    tier = fields.text("serviceTier")
    return ChatRequest(
        model=envelope.model,
        messages=(*decode_system(fields, lost), *Conversation(lost).messages(fields)),
        tools=tools if allowed is None else tuple(tool for tool in tools if tool.name in allowed),
        server_tools=tuple(tool for tool in all_tools if not isinstance(tool, Tool)),
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
            raise CannotCarry("output", f"a wish for {modality.lower()} output")


def _decode_choices(config: Fields) -> int:
    count = config.whole("candidateCount")
    if count is not None and count < 1:
        raise MalformedRequest("`generationConfig.candidateCount` must be at least 1")
    return count or 1


def _decode_output(config: Fields) -> OutputFormat | None:
    schema = config.object("responseJsonSchema")
    if schema is None and (google := config.object("responseSchema")) is not None:
        schema = to_json_schema(google)
    media_type = config.text("responseMimeType")
    if media_type not in (None, "", "text/plain", _JSON):
        raise CannotCarry("output", f"a wish for an answer of type {media_type}")
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

_TIERS_OUT = {"default": "standard", "standard_only": "standard", "flex": "flex", "priority": "priority"}
_KNOBS_WITHOUT_A_PLACE = ("user", "metadata")


def encode_request(request: ChatRequest, model: ModelTraits) -> Encoded:
    """The body; model and streaming stand in the path.

    Raises:
        CannotCarry: no message but the system's, or media of a kind that this API does not read.
    """
    dropped: list[str] = []
    request = fit(request, model, frozenset(), dropped)
    names: dict[str, str] = {}
    system = [part for turn in request.messages if is_system(turn) for part in encode_system(turn, dropped)]
    contents = encode_contents([turn for turn in request.messages if not is_system(turn)], names, dropped)
    if not contents:
        raise CannotCarry("conversation", "no message besides the system's")
    body: dict[str, object] = {"contents": contents}
    if system:
        body["systemInstruction"] = {"parts": system}
    if request.tools and request.server_tools:
        # Together they need what only an answer in this dialect could carry: signed calls of Google's own tools
        # (ai.google.dev/gemini-api/docs/tool-combination).
        raise CannotCarry("server_tool", "tools that the provider runs by itself, beside functions")
    if request.tools:
        body["tools"] = [{"functionDeclarations": [encode_tool(tool, dropped) for tool in request.tools]}]
    elif request.server_tools:
        body["tools"] = [encode_server_tool(tool, dropped) for tool in request.server_tools]
    if (calling := encode_choice(request, dropped)) is not None:
        body["toolConfig"] = {"functionCallingConfig": calling}
    config = {name: value for name, value in _config(request, model, dropped) if value not in (None, (), [])}
    if config:
        body["generationConfig"] = config
    if request.service_tier in _TIERS_OUT:
        body["serviceTier"] = _TIERS_OUT[request.service_tier]
    elif request.service_tier not in (None, "auto"):
        dropped.append("service_tier")
    dropped += [name for name in _KNOBS_WITHOUT_A_PLACE if getattr(request, name) not in (None, {})]
    dropped += request.extra
    return Encoded(body=msgspec.json.encode(body), dropped=tuple(dict.fromkeys(dropped)))


def _config(request: ChatRequest, model: ModelTraits, dropped: list[str]) -> Iterator[tuple[str, object]]:
    """Name and value; None where the caller did not say."""
    yield "temperature", _at_most(MAX_TEMPERATURE, request.temperature, "temperature", dropped)
    yield "topP", request.top_p
    yield "topK", request.top_k
    yield "candidateCount", request.choices if request.choices != 1 else None
    yield "maxOutputTokens", _max_tokens(request.max_output_tokens, model.max_output_tokens, dropped)
    yield "stopSequences", request.stop[:MAX_STOP_SEQUENCES]
    if len(request.stop) > MAX_STOP_SEQUENCES:
        dropped.append("stop")
    if request.logprobs is not None:
        yield "responseLogprobs", True
        yield "logprobs", request.logprobs or None
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
    yield "thinkingConfig", _encode_thinking(request.reasoning, model)


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


def _encode_thinking(reasoning: ReasoningRequest | None, model: ModelTraits) -> dict[str, object] | None:
    """A level and a budget exclude each other, and a budget says more (ai.google.dev/gemini-api/docs/thinking). Who
    asks for reasoning in another dialect gets to see it, which Gemini wants to be asked for."""
    if reasoning is None:
        return None
    if reasoning.disabled or reasoning.effort == "none":
        return {"thinkingBudget": 0}
    if reasoning.budget_tokens is not None:
        return {"includeThoughts": True, "thinkingBudget": reasoning.budget_tokens}
    if reasoning.effort is None:
        # How much is the model's own choice: an old one wants to be told so.
        return {"includeThoughts": True} | ({} if "reasoning_budget" in model.refuses else {"thinkingBudget": -1})
    level = reasoning.effort.upper()
    if model.efforts is None and level not in ("MINIMAL", "LOW", "MEDIUM"):
        level = "HIGH"  # few models know a level beyond it
    return {"includeThoughts": True, "thinkingLevel": level}
