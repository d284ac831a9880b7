"""Messages and the system's text ↔ turns (anthropic SDK, `message_param`)."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Literal

import msgspec

from sidecar.canonical.request import (
    AnyPart,
    Message,
    Text,
    ToolResult,
)
from sidecar.dialects.anthropic.blocks import (
    BadBlock,
    Block,
    UnknownBlock,
    decode_content,
    encode_content,
    encode_parts,
)
from sidecar.dialects.anthropic.fields import (
    read_value,
)
from sidecar.errors import CannotCarry, MalformedRequest


class _Message(msgspec.Struct, frozen=True):
    role: Literal["user", "assistant", "system"]
    content: msgspec.Raw


class WireMessage(msgspec.Struct, frozen=True):
    role: Literal["user", "assistant"]
    content: str | Sequence[Block]


_MESSAGES = msgspec.json.Decoder(tuple[_Message, ...])


def decode_system(fields: Mapping[str, msgspec.Raw], lost: list[str]) -> Iterator[Message]:
    raw = fields.get("system")
    if raw is not None and bytes(raw) != b"null" and (parts := _content(raw, "system", lost)):
        yield Message("system", parts)


def decode_messages(raw: msgspec.Raw, lost: list[str]) -> Iterator[Message]:
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
        raise CannotCarry("part", str(error)) from error
    except BadBlock as error:
        raise MalformedRequest(str(error)) from error


def split_system(messages: Sequence[Message], dropped: list[str]) -> tuple[list[Block], list[Message]]:
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
            raise CannotCarry("system", "a system message that is more than text")
        if message.name is not None:
            dropped.append("messages.name")
        system += encode_parts(message.parts, dropped)
    return system, turns


def encode_messages(turns: Sequence[Message], dropped: list[str]) -> list[WireMessage]:
    """Results of parallel calls belong into one user message, and what the user says next comes after them in the same
    one (platform.claude.com, "Handle tool calls")."""
    messages: list[WireMessage] = []
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
            messages.append(WireMessage("user", pending))
            pending = []
        if blocks:
            messages.append(WireMessage("assistant" if turn.role == "assistant" else "user", encode_content(blocks)))
    if pending:
        messages.append(WireMessage("user", pending))
    return messages
