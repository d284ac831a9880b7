"""Chat requests to canonical and back, by the fields of OpenAI's own SDK types (`openai.types.chat`)."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import get_args

import msgspec

from sidecar.canonical.request import (
    AnyPart,
    Audio,
    ChatRequest,
    Effort,
    File,
    Image,
    Message,
    OutputFormat,
    Reasoning,
    ReasoningRequest,
    RedactedReasoning,
    Refusal,
    Role,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from sidecar.dialects.base import Encoded, Envelope
from sidecar.dialects.data_url import data_url, split_data_url
from sidecar.dialects.openai_chat.response import encode_tool_call
from sidecar.errors import CannotCarry, MalformedRequest

# --- the wire -------------------------------------------------------------------------------------------------------


class _ImageUrl(msgspec.Struct):
    url: str
    detail: str | None = None


class _InputAudio(msgspec.Struct):
    data: str
    format: str


class _File(msgspec.Struct):
    file_data: str | None = None
    file_id: str | None = None
    filename: str | None = None


class _CacheMark(msgspec.Struct):
    ttl: str | None = None


class _Part(msgspec.Struct):
    type: str
    text: str | None = None
    image_url: _ImageUrl | None = None
    input_audio: _InputAudio | None = None
    file: _File | None = None
    refusal: str | None = None
    prompt_cache_breakpoint: _CacheMark | None = None
    cache_control: _CacheMark | None = None
    """Anthropic's mark, as gateways let it through on a chat part."""


class _Function(msgspec.Struct):
    name: str
    arguments: str = ""


class _ToolCall(msgspec.Struct):
    id: str = ""
    type: str = "function"
    function: _Function | None = None


class _Message(msgspec.Struct):
    role: str
    content: str | list[_Part] | None = None
    name: str | None = None
    tool_calls: list[_ToolCall] | None = None
    tool_call_id: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    function_call: object = None
    audio: object = None


class _FunctionTool(msgspec.Struct):
    name: str
    description: str | None = None
    parameters: dict[str, object] | None = None
    strict: bool | None = None


class _Tool(msgspec.Struct):
    type: str = "function"
    function: _FunctionTool | None = None
    cache_control: _CacheMark | None = None


class _Named(msgspec.Struct):
    name: str


class _AllowedTool(msgspec.Struct):
    function: _Named | None = None


class _AllowedTools(msgspec.Struct):
    mode: str
    tools: list[_AllowedTool]


class _ToolChoice(msgspec.Struct):
    type: str
    function: _Named | None = None
    allowed_tools: _AllowedTools | None = None


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
    messages: list[_Message]
    stream: bool | None = None
    stream_options: object = None
    tools: list[_Tool] | None = None
    tool_choice: str | _ToolChoice | None = None
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
    choice, allowed = _decode_tool_choice(wire.tool_choice)
    tools = tuple(_decode_tool(tool) for tool in wire.tools or ())
    return ChatRequest(
        model=wire.model,
        messages=tuple(_decode_message(message, f"messages[{at}]") for at, message in enumerate(wire.messages)),
        tools=tools if allowed is None else tuple(tool for tool in tools if tool.name in allowed),
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
        raise CannotCarry("the deprecated `functions` or `function_call` (send `tools` and `tool_choice` instead)")
    if wire.audio is not None or "audio" in (wire.modalities or ()):
        raise CannotCarry("a wish for audio output")


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


def _decode_tool(tool: _Tool) -> Tool:
    if tool.type != "function":
        raise CannotCarry(f"a tool of type `{tool.type}`")
    function = tool.function
    if function is None:
        raise MalformedRequest("a tool of type `function` must have a `function`")
    return Tool(
        name=function.name,
        description=function.description,
        # Without parameters OpenAI takes the function to have none.
        parameters=function.parameters if function.parameters is not None else {"type": "object", "properties": {}},
        strict=function.strict,
        cache_ttl=_cache_ttl(None, tool.cache_control),
    )


def _decode_tool_choice(wire: str | _ToolChoice | None) -> tuple[ToolChoice | None, frozenset[str] | None]:
    """The choice, and the names that it narrows the tools down to."""
    match wire:
        case None:
            return None, None
        case "auto":
            return ToolChoice("auto"), None
        case "none":
            return ToolChoice("none"), None
        case "required":
            return ToolChoice("required"), None
        case _ToolChoice(type="function", function=_Named(name=name)):
            return ToolChoice("one", name), None
        case _ToolChoice(type="allowed_tools", allowed_tools=_AllowedTools(mode=mode, tools=tools)):
            names = frozenset(tool.function.name for tool in tools if tool.function is not None)
            return ToolChoice("required" if mode == "required" else "auto"), names
        case _ToolChoice(type="custom"):
            raise CannotCarry("a choice of a custom tool")
        case _:
            raise MalformedRequest("`tool_choice` must be none, auto, required, or name a function")


_ROLES: Mapping[str, Role] = {role: role for role in get_args(Role)}


def _decode_message(message: _Message, where: str) -> Message:
    if message.role == "function" or message.function_call is not None:
        raise CannotCarry("the deprecated function messages (send `tool_calls` and `tool` messages instead)")
    if message.audio is not None:
        raise CannotCarry("an earlier audio answer")
    role = _ROLES.get(message.role)
    if role is None:
        raise MalformedRequest(f"`{where}.role` must be one of {', '.join(_ROLES)}")
    parts = tuple(_decode_content(message.content, where))
    if role == "tool":
        return Message(role="tool", parts=(_decode_tool_result(message, parts, where),))
    if role == "assistant":
        return Message(role=role, parts=tuple(_decode_assistant(message, parts)), name=message.name)
    if message.content is None:
        raise MalformedRequest(f"`{where}.content` is missing")
    return Message(role=role, parts=parts, name=message.name)


def _decode_content(content: str | list[_Part] | None, where: str) -> Iterator[AnyPart]:
    if isinstance(content, str):
        yield Text(text=content)
        return
    for at, part in enumerate(content or ()):
        decode = _PARTS.get(part.type)
        if decode is None:
            raise MalformedRequest(f"`{where}.content[{at}].type` must be one of {', '.join(_PARTS)}")
        decoded = decode(part)
        if decoded is None:
            raise MalformedRequest(f"`{where}.content[{at}].{part.type}` is missing or cannot be read")
        yield decoded


def _decode_tool_result(message: _Message, parts: tuple[AnyPart, ...], where: str) -> ToolResult:
    if not message.tool_call_id:
        raise MalformedRequest(f"`{where}.tool_call_id` is missing: name the call that this answers")
    carried = tuple(part for part in parts if isinstance(part, Text | Image | File))
    if len(carried) != len(parts):
        raise MalformedRequest(f"`{where}.content`: a tool's result is text, images or files")
    return ToolResult(call_id=message.tool_call_id, parts=carried)


def _decode_assistant(message: _Message, parts: tuple[AnyPart, ...]) -> Iterator[AnyPart]:
    if reasoning := message.reasoning_content or message.reasoning:
        yield Reasoning(text=reasoning)
    # An empty text beside tool calls is how SDKs write "no text".
    yield from (part for part in parts if part != Text(text=""))
    if message.refusal:
        yield Refusal(text=message.refusal)
    for call in message.tool_calls or ():
        if call.type != "function" or call.function is None:
            raise CannotCarry(f"a tool call of type `{call.type}`")
        yield ToolCall(id=call.id, name=call.function.name, arguments=call.function.arguments)


def _cache_ttl(breakpoint_: _CacheMark | None, control: _CacheMark | None) -> str | None:
    """OpenAI's marks live for 30 minutes or 12 hours, which the canonical `1h` comes nearest to."""
    if control is not None:
        return control.ttl or "5m"
    if breakpoint_ is not None:
        return "1h" if breakpoint_.ttl else "5m"
    return None


def _ttl(part: _Part) -> str | None:
    return _cache_ttl(part.prompt_cache_breakpoint, part.cache_control)


def _decode_text(part: _Part) -> Text | None:
    return None if part.text is None else Text(text=part.text, cache_ttl=_ttl(part))


def _decode_refusal(part: _Part) -> Refusal | None:
    return None if part.refusal is None else Refusal(text=part.refusal, cache_ttl=_ttl(part))


def _decode_image(part: _Part) -> Image | None:
    if part.image_url is None:
        return None
    url, detail = part.image_url.url, part.image_url.detail
    if not url.startswith("data:"):
        return Image(url=url, detail=detail, cache_ttl=_ttl(part))
    inline = split_data_url(url)
    return inline and Image(data=inline[1], media_type=inline[0], detail=detail, cache_ttl=_ttl(part))


def _decode_audio(part: _Part) -> Audio | None:
    audio = part.input_audio
    return None if audio is None else Audio(data=audio.data, format=audio.format, cache_ttl=_ttl(part))


def _decode_file(part: _Part) -> File | None:
    file = part.file
    if file is None or (file.file_id is None) == (file.file_data is None):
        return None
    if file.file_data is None:
        return File(file_id=file.file_id, name=file.filename, cache_ttl=_ttl(part))
    media_type, data = None, file.file_data
    if data.startswith("data:"):
        inline = split_data_url(data)
        if inline is None:
            return None
        media_type, data = inline
    return File(data=data, media_type=media_type, name=file.filename, cache_ttl=_ttl(part))


_PARTS: Mapping[str, Callable[[_Part], AnyPart | None]] = {
    "text": _decode_text,
    "image_url": _decode_image,
    "input_audio": _decode_audio,
    "file": _decode_file,
    "refusal": _decode_refusal,
}


# --- canonical to chat ----------------------------------------------------------------------------------------------

_TIERS = frozenset({"auto", "default", "flex", "scale", "priority", "fast"})
_AUDIO_FORMATS = frozenset({"wav", "mp3"})


def encode_request(request: ChatRequest, model: str, max_output_tokens: int) -> Encoded:
    """The request in OpenAI's words, in the forms that compatible servers understand too.

    The model's largest output is not named: chat does not ask for it.

    Raises:
        CannotCarry: a part of a message that chat has no place for.
    """
    body: dict[str, object] = {
        "model": model,
        "messages": [wire for message in request.messages for wire in _encode_message(message)],
    }
    body |= {name: value for name, value in _knobs(request) if value is not None}
    if request.stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return Encoded(body=msgspec.json.encode(body), dropped=tuple(dict.fromkeys(_dropped(request))))


def _knobs(request: ChatRequest) -> Iterator[tuple[str, object]]:
    """Name and value; None where the caller did not say."""
    if request.tools:  # a choice among no tools is refused by OpenAI
        yield "tools", [_encode_tool(tool) for tool in request.tools]
        yield "tool_choice", _encode_tool_choice(request.tool_choice)
        yield "parallel_tool_calls", request.parallel_tool_calls
    yield "response_format", _encode_output(request.output)
    yield "reasoning_effort", None if request.reasoning is None else request.reasoning.effort
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
    if request.top_k is not None:
        yield "top_k"
    if request.service_tier is not None and request.service_tier not in _TIERS:
        yield "service_tier"
    reasoning = request.reasoning
    if reasoning is not None and (reasoning.budget_tokens is not None or reasoning.disabled):
        yield "thinking"
    parts = [part for message in request.messages for part in message.parts]
    parts += [inner for part in parts if isinstance(part, ToolResult) for inner in part.parts]
    # Past thinking is signed for its own vendor; chat has no place to replay it.
    if any(isinstance(part, Reasoning | RedactedReasoning) for part in parts):
        yield "thinking"
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


def _encode_tool(tool: Tool) -> dict[str, object]:
    function: dict[str, object] = {"name": tool.name}
    if tool.description is not None:
        function["description"] = tool.description
    function["parameters"] = tool.parameters
    if tool.strict is not None:
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


def _encode_tool_choice(choice: ToolChoice | None) -> object:
    if choice is None:
        return None
    return {"type": "function", "function": {"name": choice.name}} if choice.mode == "one" else choice.mode


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


def _encode_message(message: Message) -> Iterable[dict[str, object]]:
    if message.role == "tool":
        return [_encode_tool_result(part) for part in message.parts]
    # Every OpenAI model takes `system` for `developer`; many compatible servers know `system` alone.
    role = "system" if message.role == "developer" else message.role
    wire: dict[str, object] = {"role": role}
    if message.name is not None:
        wire["name"] = message.name
    if message.role == "assistant":
        return [wire | _encode_assistant(message.parts)]
    encode = _encode_user_part if message.role == "user" else _encode_text_part
    wire["content"] = _encode_content([encode(part) for part in message.parts])
    return [wire]


def _encode_content(parts: list[dict[str, object]]) -> object:
    """A lone text as a string, which every server takes."""
    if not parts:
        return ""
    return parts[0]["text"] if len(parts) == 1 and parts[0]["type"] == "text" else parts


def _encode_tool_result(part: AnyPart) -> dict[str, object]:
    if not isinstance(part, ToolResult):
        raise CannotCarry(f"{_called(part)} in a tool message")
    content = _encode_content([_encode_text_part(inner) for inner in part.parts])
    return {"role": "tool", "tool_call_id": part.call_id, "content": content}


def _encode_assistant(parts: Iterable[AnyPart]) -> dict[str, object]:
    """Chat keeps text and calls apart: what an interleaved turn said comes first, then its calls."""
    texts: list[dict[str, object]] = []
    refusals: list[str] = []
    calls: list[dict[str, object]] = []
    for part in parts:
        match part:
            case ToolCall():
                calls.append(encode_tool_call(part))
            case Refusal():
                refusals.append(part.text)
            case Reasoning() | RedactedReasoning():
                pass  # named in `dropped`
            case _:
                texts.append(_encode_text_part(part))
    wire: dict[str, object] = {"content": _encode_content(texts) if texts or not (calls or refusals) else None}
    if refusals:
        wire["refusal"] = "".join(refusals)
    if calls:
        wire["tool_calls"] = calls
    return wire


def _encode_text_part(part: AnyPart) -> dict[str, object]:
    match part:
        case Text():
            return {"type": "text", "text": part.text}
        case File(text=str(text)):
            return {"type": "text", "text": f"{part.name}\n\n{text}" if part.name else text}
        case _:
            raise CannotCarry(f"{_called(part)} where chat takes text alone")


def _encode_user_part(part: AnyPart) -> dict[str, object]:
    match part:
        case Image():
            url = part.url or f"data:{part.media_type};base64,{part.data}"
            image: dict[str, object] = {"url": url}
            if part.detail is not None:
                image["detail"] = part.detail
            return {"type": "image_url", "image_url": image}
        case Audio(format=format_) if format_ in _AUDIO_FORMATS:
            return {"type": "input_audio", "input_audio": {"data": part.data, "format": format_}}
        case File(data=str(data)):
            file: dict[str, object] = {"file_data": data_url(part.media_type, data)}
            if part.name is not None:
                file["filename"] = part.name
            return {"type": "file", "file": file}
        case _:
            return _encode_text_part(part)


def _called(part: AnyPart) -> str:
    match part:
        case Image():
            return "an image"
        case File(url=str()):
            return "a file named by its URL"
        case File(file_id=str()):
            return "a file that lives at one provider"
        case File():
            return "a file"
        case Audio():
            return f"audio in the format {part.format}"
        case _:
            return f"a part of kind {type(part).__name__}"
