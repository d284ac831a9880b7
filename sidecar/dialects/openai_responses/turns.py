"""Input items ↔ turns (openai SDK, `response_input_item_param`)."""

from collections.abc import Callable, Iterable, Iterator, Mapping

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
from sidecar.dialects.openai_responses.fields import parse
from sidecar.dialects.openai_responses.parts import (
    Part,
    called,
    decode_content,
    encode_content,
    encode_text_part,
    encode_user_part,
)
from sidecar.dialects.openai_responses.reasoning import ReasoningPart, decode_reasoning, own_item
from sidecar.dialects.openai_responses.server_tools import CALL, CALL_TYPES, decode_call, own_call
from sidecar.errors import CannotCarry, MalformedRequest


class _Item(msgspec.Struct):
    """A message and each kind of item that has a place in the canonical form."""

    type: str = "message"
    id: str | None = None
    role: str | None = None
    content: str | list[Part] | None = None
    phase: str | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    output: str | list[Part] | None = None
    summary: list[ReasoningPart] | None = None
    encrypted_content: str | None = None


class _Kind(msgspec.Struct):
    type: str = "message"


_ITEM = msgspec.json.Decoder(_Item)
_KIND = msgspec.json.Decoder(_Kind)


def decode_messages(instructions: str | None, items: str | list[msgspec.Raw], lost: list[str]) -> Iterator[Message]:
    """What the model said between two turns of others is one message, and so are the results of parallel calls."""
    if instructions is not None:
        yield Message("system", (Text(text=instructions),))
    if isinstance(items, str):
        yield Message("user", (Text(text=items),))
        return
    role: Role | None = None
    held: list[AnyPart] = []
    for at, raw in enumerate(items):
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
    kind = parse(raw, _KIND, where).type
    if kind in CALL_TYPES:
        return "assistant", [decode_call(parse(raw, CALL, where))]
    decode = _ITEMS.get(kind)
    if decode is None:
        raise CannotCarry("part", f"an item of type `{kind}`")
    item = parse(raw, _ITEM, where)
    if item.phase is not None:
        lost.append("input.phase")
    return decode(item, where)


def _decode_message(item: _Item, where: str) -> tuple[Role, list[AnyPart]]:
    role = _ROLES.get(item.role or "")
    if role is None:
        raise MalformedRequest(f"`{where}.role` must be one of {', '.join(_ROLES)}")
    if item.content is None:
        raise MalformedRequest(f"`{where}.content` is missing")
    return role, list(decode_content(item.content, f"{where}.content"))


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
    parts = tuple(decode_content(item.output, f"{where}.output"))
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


def encode_message(message: Message) -> Iterator[dict[str, object]]:
    if message.role == "tool":
        yield from map(_encode_result, message.parts)
    elif message.role == "assistant":
        yield from _encode_assistant(message.parts)
    else:
        encode = encode_user_part if message.role == "user" else encode_text_part
        content = encode_content([encode(part) for part in message.parts])
        yield {"type": "message", "role": message.role, "content": content}


def _encode_result(part: AnyPart) -> dict[str, object]:
    if not isinstance(part, ToolResult):
        raise CannotCarry(kind_of(part), f"{called(part)} in a tool message")
    output = encode_content([encode_user_part(inner) for inner in part.parts])
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
                said.append(encode_text_part(part) | {"type": "output_text"})
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
            case ServerCall():
                item = own_call(part)
            case RedactedReasoning():
                item = None
            case _:
                raise CannotCarry(kind_of(part), f"{called(part)} in an answer")
        if item is not None:
            yield from _encode_said(said)
            said = []
            yield item
    yield from _encode_said(said)


def _encode_said(said: list[dict[str, object]]) -> Iterator[dict[str, object]]:
    if said:
        yield {"type": "message", "role": "assistant", "content": said}
