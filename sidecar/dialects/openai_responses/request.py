"""Requests of the Responses API to canonical and back, by the fields of OpenAI's own SDK types
(`openai.types.responses`).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar, get_args

import msgspec

from sidecar.canonical.request import (
    AnyPart,
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
from sidecar.dialects.openai_responses.envelope import is_given
from sidecar.dialects.openai_responses.reasoning import ReasoningPart, decode_reasoning, own_item
from sidecar.errors import CannotCarry, MalformedRequest

T = TypeVar("T")

# --- the wire -------------------------------------------------------------------------------------------------------


class _CacheMark(msgspec.Struct):
    ttl: str | None = None


class _Part(msgspec.Struct):
    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: str | None = None
    detail: str | None = None
    file_id: str | None = None
    file_data: str | None = None
    file_url: str | None = None
    filename: str | None = None
    prompt_cache_breakpoint: _CacheMark | None = None


class _Item(msgspec.Struct):
    """A message and each kind of item that has a place in the canonical form."""

    type: str = "message"
    id: str | None = None
    role: str | None = None
    content: str | list[_Part] | None = None
    phase: str | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    output: str | list[_Part] | None = None
    summary: list[ReasoningPart] | None = None
    encrypted_content: str | None = None


class _Kind(msgspec.Struct):
    type: str = "message"


class _Tool(msgspec.Struct):
    type: str
    name: str | None = None
    description: str | None = None
    parameters: dict[str, object] | None = None
    strict: bool | None = None
    defer_loading: bool | None = None
    allowed_callers: object = None
    output_schema: object = None


class _Named(msgspec.Struct):
    type: str = "function"
    name: str | None = None


class _ToolChoice(msgspec.Struct):
    type: str
    name: str | None = None
    mode: str | None = None
    tools: list[_Named] | None = None


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
    tools: list[_Tool] | None = None
    tool_choice: str | _ToolChoice | None = None
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
    store: bool | None = None
    background: bool | None = None


ENCRYPTED = "reasoning.encrypted_content"

_REQUEST = msgspec.json.Decoder(_Request)
_ITEM = msgspec.json.Decoder(_Item)
_KIND = msgspec.json.Decoder(_Kind)
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
    wire = _parse(envelope.body, _REQUEST, "")
    if wire.background:
        raise CannotCarry("a wish for an answer in the background")
    lost = list(_lost(wire))
    choice, allowed = _decode_tool_choice(wire.tool_choice)
    tools = tuple(_decode_tool(tool, lost) for tool in wire.tools or ())
    messages = tuple(_decode_messages(wire, lost))
    unknown = [name for name in envelope.fields if name not in _KNOWN and is_given(envelope.fields, name)]
    extra = {name: _decode_extra(name, envelope.fields[name]) for name in unknown}
    return ChatRequest(
        model=wire.model,
        messages=messages,
        tools=tools if allowed is None else tuple(tool for tool in tools if tool.name in allowed),
        tool_choice=choice,
        parallel_tool_calls=wire.parallel_tool_calls,
        output=_decode_output(wire.text),
        reasoning=_decode_reasoning(wire.reasoning),
        stream=bool(wire.stream),
        max_output_tokens=wire.max_output_tokens,
        temperature=wire.temperature,
        top_p=wire.top_p,
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
            raise CannotCarry(what)


def _parse(body: bytes | msgspec.Raw, decoder: msgspec.json.Decoder[T], where: str) -> T:
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        # "Expected `str`, got `int` - at `$.tools[0].name`": the path first, and without the root's sign.
        problem, _, path = str(error).partition(" - at `$.")
        at = ".".join(filter(None, (where, path.removesuffix("`"))))
        raise MalformedRequest(f"`{at}`: {problem}" if at else str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedRequest("the body is not valid JSON") from error


def _lost(wire: _Request) -> Iterator[str]:
    """Knobs inside fields that are otherwise carried. To keep the answer is this API's default, and a caller that did
    not speak of it does not miss it."""
    if wire.store:
        yield "store"
    if set(wire.include or ()) - {ENCRYPTED}:  # what a next turn must bring back comes with every translated answer
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


_TOOL_KNOBS = ("defer_loading", "allowed_callers", "output_schema")


def _decode_tool(tool: _Tool, lost: list[str]) -> Tool:
    if tool.type != "function":
        raise CannotCarry(f"a tool of type `{tool.type}`")
    if not tool.name:
        raise MalformedRequest("a tool of type `function` must have a `name`")
    lost += [f"tools.{name}" for name in _TOOL_KNOBS if getattr(tool, name)]
    return Tool(
        name=tool.name,
        description=tool.description,
        # Without parameters OpenAI takes the function to have none.
        parameters=tool.parameters if tool.parameters is not None else {"type": "object", "properties": {}},
        strict=tool.strict,
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
        case _ToolChoice(type="function", name=str(name)):
            return ToolChoice("one", name), None
        case _ToolChoice(type="allowed_tools", mode="auto" | "required" as mode, tools=list(tools)):
            names = frozenset(tool.name for tool in tools if tool.name is not None)
            return ToolChoice("required" if mode == "required" else "auto"), names
        case _ToolChoice(type=kind) if kind not in ("function", "allowed_tools"):
            raise CannotCarry(f"a choice of a tool of type `{kind}`")
        case _:
            raise MalformedRequest("`tool_choice` must be none, auto, required, or name a function")


# Items


def _decode_messages(wire: _Request, lost: list[str]) -> Iterator[Message]:
    """What the model said between two turns of others is one message, and so are the results of parallel calls."""
    if wire.instructions is not None:
        yield Message("system", (Text(text=wire.instructions),))
    if isinstance(wire.input, str):
        yield Message("user", (Text(text=wire.input),))
        return
    role: Role | None = None
    held: list[AnyPart] = []
    for at, raw in enumerate(wire.input):
        item_role, parts = _decode_item(raw, f"input[{at}]", lost)
        if role is not None and (item_role != role or role not in _GATHERED):
            yield Message(role, tuple(held))
            held = []
        role = item_role
        held += parts
    if role is not None:
        yield Message(role, tuple(held))


_GATHERED = frozenset({"assistant", "tool"})


def _decode_item(raw: msgspec.Raw, where: str, lost: list[str]) -> tuple[Role, list[AnyPart]]:
    # The kind first: items of the provider's own tools have fields of the same names with other types.
    kind = _parse(raw, _KIND, where).type
    decode = _ITEMS.get(kind)
    if decode is None:
        raise CannotCarry(f"an item of type `{kind}`")
    item = _parse(raw, _ITEM, where)
    if item.phase is not None:
        lost.append("input.phase")
    return decode(item, where)


def _decode_message(item: _Item, where: str) -> tuple[Role, list[AnyPart]]:
    role = _ROLES.get(item.role or "")
    if role is None:
        raise MalformedRequest(f"`{where}.role` must be one of {', '.join(_ROLES)}")
    if item.content is None:
        raise MalformedRequest(f"`{where}.content` is missing")
    return role, list(_decode_content(item.content, f"{where}.content"))


_ROLES: Mapping[str, Role] = {"user": "user", "assistant": "assistant", "system": "system", "developer": "developer"}


def _decode_call(item: _Item, where: str) -> tuple[Role, list[AnyPart]]:
    if not item.call_id or item.name is None:
        raise MalformedRequest(f"`{where}` must have a `call_id` and a `name`")
    return "assistant", [ToolCall(id=item.call_id, name=item.name, arguments=item.arguments or "")]


def _decode_result(item: _Item, where: str) -> tuple[Role, list[AnyPart]]:
    if not item.call_id:
        raise MalformedRequest(f"`{where}.call_id` is missing: name the call that this answers")
    if item.output is None:
        raise MalformedRequest(f"`{where}.output` is missing")
    parts = tuple(_decode_content(item.output, f"{where}.output"))
    carried = tuple(part for part in parts if isinstance(part, Text | Image | File))
    if len(carried) != len(parts):
        raise MalformedRequest(f"`{where}.output`: a tool's result is text, images or files")
    return "tool", [ToolResult(call_id=item.call_id, parts=carried)]


def _decode_thought(item: _Item, where: str) -> tuple[Role, list[AnyPart]]:
    content = [] if isinstance(item.content, str) else item.content or []
    texts = [ReasoningPart(part.text) for part in content if part.text]
    return "assistant", [decode_reasoning(item.id or "", item.summary or (), texts, item.encrypted_content)]


_ITEMS: Mapping[str, Callable[[_Item, str], tuple[Role, list[AnyPart]]]] = {
    "message": _decode_message,
    "function_call": _decode_call,
    "function_call_output": _decode_result,
    "reasoning": _decode_thought,
}


def _decode_content(content: str | list[_Part], where: str) -> Iterator[AnyPart]:
    if isinstance(content, str):
        yield Text(text=content)
        return
    for at, part in enumerate(content):
        decode = _PARTS.get(part.type)
        if decode is None:
            raise CannotCarry(f"a part of type `{part.type}`")
        decoded = decode(part)
        if decoded is None:
            raise MalformedRequest(f"`{where}[{at}]`: this {part.type} is empty or cannot be read")
        yield decoded


def _ttl(part: _Part) -> str | None:
    """OpenAI's marks live for 30 minutes or 12 hours, which the canonical `1h` comes nearest to."""
    mark = part.prompt_cache_breakpoint
    if mark is None:
        return None
    return "1h" if mark.ttl else "5m"


def _decode_text(part: _Part) -> Text | None:
    return None if part.text is None else Text(text=part.text, cache_ttl=_ttl(part))


def _decode_refusal(part: _Part) -> Refusal | None:
    return None if part.refusal is None else Refusal(text=part.refusal)


def _decode_image(part: _Part) -> Image | None:
    if part.file_id is not None:
        raise CannotCarry("an image that lives at one provider")
    url = part.image_url
    if url is None:
        return None
    if not url.startswith("data:"):
        return Image(url=url, detail=part.detail, cache_ttl=_ttl(part))
    inline = split_data_url(url)
    return inline and Image(data=inline[1], media_type=inline[0], detail=part.detail, cache_ttl=_ttl(part))


def _decode_file(part: _Part) -> File | None:
    given = [source for source in (part.file_id, part.file_url, part.file_data) if source is not None]
    if len(given) != 1:
        return None
    if part.file_data is None:
        return File(file_id=part.file_id, url=part.file_url, name=part.filename, cache_ttl=_ttl(part))
    media_type, data = None, part.file_data
    if data.startswith("data:"):
        inline = split_data_url(data)
        if inline is None:
            return None
        media_type, data = inline
    return File(data=data, media_type=media_type, name=part.filename, cache_ttl=_ttl(part))


_PARTS: Mapping[str, Callable[[_Part], AnyPart | None]] = {
    "input_text": _decode_text,
    "output_text": _decode_text,
    "text": _decode_text,
    "refusal": _decode_refusal,
    "input_image": _decode_image,
    "input_file": _decode_file,
}

# --- from canonical -------------------------------------------------------------------------------------------------

_TIERS = frozenset({"auto", "default", "flex", "scale", "priority", "fast", "ultrafast"})

_KNOBS_WITHOUT_A_PLACE = ("top_k", "seed", "presence_penalty", "frequency_penalty")


def encode_request(request: ChatRequest, model: str, max_output_tokens: int) -> Encoded:
    """The request in the words of the Responses API, stateless: the provider keeps nothing, and the reasoning that a
    later turn must bring back comes with the answer, encrypted.

    The model's largest output is not named: the API does not ask for it.

    Raises:
        CannotCarry: several choices, or a part of a message that the API has no place for.
    """
    if request.choices != 1:
        raise CannotCarry(f"a wish for {request.choices} choices")
    instructions, messages = _split_instructions(request.messages)
    body: dict[str, object] = {"model": model}
    if instructions is not None:
        body["instructions"] = instructions
    body["input"] = [item for message in messages for item in _encode_message(message)]
    body |= {name: value for name, value in _knobs(request) if value is not None}
    body["store"] = False
    if request.stream:
        body["stream"] = True
    return Encoded(body=msgspec.json.encode(body), dropped=tuple(dict.fromkeys(_dropped(request))))


def _split_instructions(messages: tuple[Message, ...]) -> tuple[str | None, tuple[Message, ...]]:
    """A leading system text goes where every server of this API looks for it; alone it would leave no input."""
    match messages:
        case (Message(role="system", parts=(Text(text=text),), name=None), _, *_):
            return text, messages[1:]
        case _:
            return None, messages


def _knobs(request: ChatRequest) -> Iterator[tuple[str, object]]:
    """Name and value; None where the caller did not say."""
    if request.tools:  # a choice among no tools is refused
        yield "tools", [_encode_tool(tool) for tool in request.tools]
        yield "tool_choice", _encode_tool_choice(request.tool_choice)
        yield "parallel_tool_calls", request.parallel_tool_calls
    yield "text", _encode_output(request.output)
    reasoning = request.reasoning
    if reasoning is not None:
        effort = "none" if reasoning.disabled else reasoning.effort
        yield "reasoning", None if effort is None else {"effort": effort}
        if effort != "none":
            yield "include", [ENCRYPTED]
    yield "max_output_tokens", request.max_output_tokens
    yield "temperature", request.temperature
    yield "top_p", request.top_p
    yield "user", request.user
    yield "metadata", dict(request.metadata) or None
    yield "service_tier", request.service_tier if request.service_tier in _TIERS else None


def _dropped(request: ChatRequest) -> Iterator[str]:
    """What this API lacks, by the caller's own names."""
    # A knob at its neutral value (no penalty) changes nothing by its absence.
    yield from (name for name in _KNOBS_WITHOUT_A_PLACE if getattr(request, name) not in (None, 0.0))
    if request.stop:
        yield "stop"
    if request.logprobs is not None:
        yield "logprobs"
    if request.service_tier is not None and request.service_tier not in _TIERS:
        yield "service_tier"
    if request.reasoning is not None and request.reasoning.budget_tokens is not None:
        yield "thinking"
    if any(message.name is not None for message in request.messages):
        yield "messages.name"
    parts = [part for message in request.messages for part in message.parts]
    parts += [inner for part in parts if isinstance(part, ToolResult) for inner in part.parts]
    # Past thinking is signed for its own vendor.
    thoughts = [part for part in parts if isinstance(part, Reasoning | RedactedReasoning)]
    if any(isinstance(part, RedactedReasoning) or own_item(part) is None for part in thoughts):
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
    wire: dict[str, object] = {"type": "function", "name": tool.name}
    if tool.description is not None:
        wire["description"] = tool.description
    # Here a function is strict unless it says otherwise; in the other dialects it is the other way round.
    return wire | {"parameters": tool.parameters, "strict": bool(tool.strict)}


def _encode_tool_choice(choice: ToolChoice | None) -> object:
    if choice is None:
        return None
    return {"type": "function", "name": choice.name} if choice.mode == "one" else choice.mode


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


def _encode_message(message: Message) -> Iterator[dict[str, object]]:
    if message.role == "tool":
        yield from map(_encode_result, message.parts)
    elif message.role == "assistant":
        yield from _encode_assistant(message.parts)
    else:
        encode = _encode_user_part if message.role == "user" else _encode_text_part
        content = _encode_content([encode(part) for part in message.parts])
        yield {"type": "message", "role": message.role, "content": content}


def _encode_content(parts: list[dict[str, object]]) -> object:
    """A lone text as a string, which every server takes."""
    if not parts:
        return ""
    return parts[0]["text"] if len(parts) == 1 and parts[0]["type"] == "input_text" else parts


def _encode_result(part: AnyPart) -> dict[str, object]:
    if not isinstance(part, ToolResult):
        raise CannotCarry(f"{_called(part)} in a tool message")
    output = _encode_content([_encode_user_part(inner) for inner in part.parts])
    return {"type": "function_call_output", "call_id": part.call_id, "output": output}


def _encode_assistant(parts: Iterable[AnyPart]) -> Iterator[dict[str, object]]:
    """Texts that follow each other are one message; thoughts and calls are items of their own, in their order."""
    said: list[dict[str, object]] = []
    for part in parts:
        match part:
            case Refusal(text=text):
                said.append({"type": "refusal", "refusal": text})
                continue
            case Text() | File(text=str()):
                said.append(_encode_text_part(part) | {"type": "output_text"})
                continue
            case ToolCall():
                item: dict[str, object] | None = {
                    "type": "function_call",
                    "call_id": part.id,
                    "name": part.name,
                    "arguments": part.arguments,
                }
            case Reasoning():
                item = own_item(part)
            case RedactedReasoning():
                item = None
            case _:
                raise CannotCarry(f"{_called(part)} in an answer")
        if item is not None:
            yield from _encode_said(said)
            said = []
            yield item
    yield from _encode_said(said)


def _encode_said(said: list[dict[str, object]]) -> Iterator[dict[str, object]]:
    if said:
        yield {"type": "message", "role": "assistant", "content": said}


def _encode_text_part(part: AnyPart) -> dict[str, object]:
    match part:
        case Text():
            return {"type": "input_text", "text": part.text}
        case File(text=str(text)):
            return {"type": "input_text", "text": f"{part.name}\n\n{text}" if part.name else text}
        case _:
            raise CannotCarry(f"{_called(part)} where the Responses API takes text alone")


def _encode_user_part(part: AnyPart) -> dict[str, object]:
    match part:
        case Image():
            image: dict[str, object] = {"type": "input_image"}
            image["image_url"] = part.url or data_url(part.media_type, part.data or "")
            if part.detail is not None:
                image["detail"] = part.detail
            return image
        case File(data=str(data)):
            return _named({"type": "input_file", "file_data": data_url(part.media_type, data)}, part)
        case File(url=str(url)):
            return _named({"type": "input_file", "file_url": url}, part)
        case _:
            return _encode_text_part(part)


def _named(wire: dict[str, object], file: File) -> dict[str, object]:
    return wire if file.name is None else wire | {"filename": file.name}


def _called(part: AnyPart) -> str:
    match part:
        case Image():
            return "an image"
        case File(file_id=str()):
            return "a file that lives at one provider"
        case File():
            return "a file"
        case _:
            return f"a part of kind {type(part).__name__}"
