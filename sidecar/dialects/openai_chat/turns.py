"""Messages of a chat ↔ turns (openai SDK, `chat_completion_message_param`)."""

from collections.abc import Iterable, Iterator, Mapping
from typing import get_args

import msgspec

from sidecar.canonical.request import (
    AnyPart,
    File,
    Image,
    Message,
    Reasoning,
    RedactedReasoning,
    Refusal,
    Role,
    ServerCall,
    Text,
    ToolCall,
    ToolResult,
)
from sidecar.dialects.kinds import kind_of
from sidecar.dialects.openai_chat.parts import (
    Part,
    called,
    decode_content,
    encode_content,
    encode_text_part,
    encode_user_part,
)
from sidecar.dialects.openai_chat.response import encode_tool_call
from sidecar.errors import CannotCarry, MalformedRequest


class _Function(msgspec.Struct):
    name: str
    arguments: str = ""


class _ToolCall(msgspec.Struct):
    id: str = ""
    type: str = "function"
    function: _Function | None = None


class WireMessage(msgspec.Struct):
    role: str
    content: str | list[Part] | None = None
    name: str | None = None
    tool_calls: list[_ToolCall] | None = None
    tool_call_id: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    function_call: object = None
    audio: object = None


_ROLES: Mapping[str, Role] = {role: role for role in get_args(Role)}


def decode_message(message: WireMessage, where: str) -> Message:
    if message.role == "function" or message.function_call is not None:
        raise CannotCarry("tool", "the deprecated function messages (send `tool_calls` and `tool` messages instead)")
    if message.audio is not None:
        raise CannotCarry("audio", "an earlier audio answer")
    role = _ROLES.get(message.role)
    if role is None:
        raise MalformedRequest(f"`{where}.role` must be one of {', '.join(_ROLES)}")
    parts = tuple(decode_content(message.content, where))
    if role == "tool":
        return Message(role="tool", parts=(_decode_tool_result(message, parts, where),))
    if role == "assistant":
        return Message(role=role, parts=tuple(_decode_assistant(message, parts)), name=message.name)
    if message.content is None:
        raise MalformedRequest(f"`{where}.content` is missing")
    return Message(role=role, parts=parts, name=message.name)


def _decode_tool_result(message: WireMessage, parts: tuple[AnyPart, ...], where: str) -> ToolResult:
    if not message.tool_call_id:
        raise MalformedRequest(f"`{where}.tool_call_id` is missing: name the call that this answers")
    carried = tuple(part for part in parts if isinstance(part, Text | Image | File))
    if len(carried) != len(parts):
        raise MalformedRequest(f"`{where}.content`: a tool's result is text, images or files")
    return ToolResult(call_id=message.tool_call_id, parts=carried)


def _decode_assistant(message: WireMessage, parts: tuple[AnyPart, ...]) -> Iterator[AnyPart]:
    if reasoning := message.reasoning_content or message.reasoning:
        yield Reasoning(text=reasoning)
    # An empty text beside tool calls is how SDKs write "no text".
    yield from (part for part in parts if part != Text(text=""))
    if message.refusal:
        yield Refusal(text=message.refusal)
    for call in message.tool_calls or ():
        if call.type != "function" or call.function is None:
            raise CannotCarry("tool", f"a tool call of type `{call.type}`")
        yield ToolCall(id=call.id, name=call.function.name, arguments=call.function.arguments)


def encode_message(message: Message) -> Iterable[dict[str, object]]:
    if message.role == "tool":
        return [_encode_tool_result(part) for part in message.parts]
    # Every OpenAI model takes `system` for `developer`; many compatible servers know `system` alone.
    role = "system" if message.role == "developer" else message.role
    wire: dict[str, object] = {"role": role}
    if message.name is not None:
        wire["name"] = message.name
    if message.role == "assistant":
        return [wire | _encode_assistant(message.parts)]
    encode = encode_user_part if message.role == "user" else encode_text_part
    wire["content"] = encode_content([encode(part) for part in message.parts])
    return [wire]


def _encode_tool_result(part: AnyPart) -> dict[str, object]:
    if not isinstance(part, ToolResult):
        raise CannotCarry(kind_of(part), f"{called(part)} in a tool message")
    content = encode_content([encode_text_part(inner) for inner in part.parts])
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
            case Reasoning() | RedactedReasoning() | ServerCall():
                pass  # named in `dropped`
            case _:
                texts.append(encode_text_part(part))
    wire: dict[str, object] = {"content": encode_content(texts) if texts or not (calls or refusals) else None}
    if refusals:
        wire["refusal"] = "".join(refusals)
    if calls:
        wire["tool_calls"] = calls
    return wire
