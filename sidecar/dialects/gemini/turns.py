"""Contents and the system's instruction ↔ turns (google-genai, `Content`)."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from sidecar.canonical.request import (
    AnyPart,
    Message,
    Text,
    ToolCall,
    ToolResult,
)
from sidecar.dialects.gemini.code import paired
from sidecar.dialects.gemini.fields import Fields
from sidecar.dialects.gemini.parts import decode_part, decode_result, encode_parts
from sidecar.dialects.gemini.response import on_one_line
from sidecar.errors import CannotCarry, MalformedRequest


def decode_system(fields: Fields, lost: list[str]) -> Iterator[Message]:
    system = fields.fields("systemInstruction")
    if system is not None:
        parts = [decode_part(part, lost) for part in system.each("parts")]
        if any(not isinstance(part, Text | None) for part in parts):
            raise CannotCarry("system", "a system instruction that is more than text")
        if kept := tuple(part for part in parts if part is not None):
            yield Message("system", kept)


class Conversation:
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
            parts = paired(kept for part in content.each("parts") if (kept := self._part(part)) is not None)
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
            raise CannotCarry("tool", "a function call in pieces")
        call.object("args")
        try:
            arguments = on_one_line(call.raw("args") or b"{}")
        except UnicodeDecodeError as error:
            raise MalformedRequest(f"`{call.where}.args` is not UTF-8") from error
        made = ToolCall(id=call.text("id") or f"call_{self._calls}", name=name, arguments=arguments)
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


def is_system(turn: Message) -> bool:
    return turn.role in ("system", "developer")


def encode_system(turn: Message, dropped: list[str]) -> list[dict[str, object]]:
    if any(not isinstance(part, Text) for part in turn.parts):
        raise CannotCarry("system", "a system message that is more than text")
    if turn.name is not None:
        dropped.append("messages.name")
    return encode_parts(turn.parts, {}, dropped)


def encode_contents(turns: Sequence[Message], names: dict[str, str], dropped: list[str]) -> list[dict[str, object]]:
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
