"""Tools and the choice among them ↔ the canonical form (openai SDK, `tool_param`)."""

import msgspec

from sidecar.canonical.request import (
    Tool,
    ToolChoice,
)
from sidecar.canonical.server_tools import ServerTool
from sidecar.dialects.openai_responses.fields import parse
from sidecar.dialects.openai_responses.server_tools import decode_server_tool
from sidecar.errors import CannotCarry, MalformedRequest


class _Kind(msgspec.Struct):
    type: str = ""


class WireTool(msgspec.Struct):
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


class WireChoice(msgspec.Struct):
    type: str
    name: str | None = None
    mode: str | None = None
    tools: list[_Named] | None = None


_TOOL_KNOBS = ("defer_loading", "allowed_callers", "output_schema")


_KIND = msgspec.json.Decoder(_Kind)
_TOOL = msgspec.json.Decoder(WireTool)


def decode_tools(
    tools: list[msgspec.Raw], allowed: frozenset[str] | None, lost: list[str]
) -> tuple[tuple[Tool, ...], tuple[ServerTool, ...]]:
    """The caller's functions and OpenAI's own tools.

    Args:
        allowed: what a choice narrows them down to, functions by name and others by type; None where it does not.
    """
    functions: list[Tool] = []
    own: list[ServerTool] = []
    for at, raw in enumerate(tools):
        where = f"tools[{at}]"
        kind = parse(raw, _KIND, where).type
        if kind == "function":
            function = _decode_tool(parse(raw, _TOOL, where), lost)
            functions += [function] if allowed is None or function.name in allowed else []
        else:
            tool = decode_server_tool(kind, raw, where, lost)
            own += [tool] if allowed is None or kind in allowed else []
    return tuple(functions), tuple(own)


def _decode_tool(tool: WireTool, lost: list[str]) -> Tool:
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


def decode_tool_choice(wire: str | WireChoice | None) -> tuple[ToolChoice | None, frozenset[str] | None]:
    """The choice, and what it narrows the tools down to: functions by name, others by type."""
    match wire:
        case None:
            return None, None
        case "auto":
            return ToolChoice("auto"), None
        case "none":
            return ToolChoice("none"), None
        case "required":
            return ToolChoice("required"), None
        case WireChoice(type="function", name=str(name)):
            return ToolChoice("one", name), None
        case WireChoice(type="allowed_tools", mode="auto" | "required" as mode, tools=list(tools)):
            names = frozenset(tool.name or tool.type for tool in tools)
            return ToolChoice("required" if mode == "required" else "auto"), names
        case WireChoice(type=kind) if kind not in ("function", "allowed_tools"):
            raise CannotCarry("tool_choice", f"a choice of a tool of type `{kind}`")
        case _:
            raise MalformedRequest("`tool_choice` must be none, auto, required, or name a function")


def encode_tool(tool: Tool) -> dict[str, object]:
    wire: dict[str, object] = {"type": "function", "name": tool.name}
    if tool.description is not None:
        wire["description"] = tool.description
    # Here a function is strict unless it says otherwise; in the other dialects it is the other way round.
    return wire | {"parameters": tool.parameters, "strict": bool(tool.strict)}


def encode_tool_choice(choice: ToolChoice | None) -> object:
    if choice is None:
        return None
    return {"type": "function", "name": choice.name} if choice.mode == "one" else choice.mode
