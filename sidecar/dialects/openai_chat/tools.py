"""Tools and the choice among them ↔ the canonical form (openai SDK, `chat_completion_tool_param`)."""

import msgspec

from sidecar.canonical.request import (
    Tool,
    ToolChoice,
)
from sidecar.dialects.openai_chat.parts import CacheMark, cache_ttl
from sidecar.errors import CannotCarry, MalformedRequest


class _FunctionTool(msgspec.Struct):
    name: str
    description: str | None = None
    parameters: dict[str, object] | None = None
    strict: bool | None = None


class WireTool(msgspec.Struct):
    type: str = "function"
    function: _FunctionTool | None = None
    cache_control: CacheMark | None = None


class _Named(msgspec.Struct):
    name: str


class _AllowedTool(msgspec.Struct):
    function: _Named | None = None


class _AllowedTools(msgspec.Struct):
    mode: str
    tools: list[_AllowedTool]


class WireChoice(msgspec.Struct):
    type: str
    function: _Named | None = None
    allowed_tools: _AllowedTools | None = None


def decode_tool(tool: WireTool) -> Tool:
    if tool.type != "function":
        raise CannotCarry("tool", f"a tool of type `{tool.type}`")
    function = tool.function
    if function is None:
        raise MalformedRequest("a tool of type `function` must have a `function`")
    return Tool(
        name=function.name,
        description=function.description,
        # Without parameters OpenAI takes the function to have none.
        parameters=function.parameters if function.parameters is not None else {"type": "object", "properties": {}},
        strict=function.strict,
        cache_ttl=cache_ttl(None, tool.cache_control),
    )


def decode_tool_choice(wire: str | WireChoice | None) -> tuple[ToolChoice | None, frozenset[str] | None]:
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
        case WireChoice(type="function", function=_Named(name=name)):
            return ToolChoice("one", name), None
        case WireChoice(type="allowed_tools", allowed_tools=_AllowedTools(mode=mode, tools=tools)):
            names = frozenset(tool.function.name for tool in tools if tool.function is not None)
            return ToolChoice("required" if mode == "required" else "auto"), names
        case WireChoice(type="custom"):
            raise CannotCarry("tool_choice", "a choice of a custom tool")
        case _:
            raise MalformedRequest("`tool_choice` must be none, auto, required, or name a function")


def encode_tool(tool: Tool) -> dict[str, object]:
    function: dict[str, object] = {"name": tool.name}
    if tool.description is not None:
        function["description"] = tool.description
    function["parameters"] = tool.parameters
    if tool.strict is not None:
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


def encode_tool_choice(choice: ToolChoice | None) -> object:
    if choice is None:
        return None
    return {"type": "function", "function": {"name": choice.name}} if choice.mode == "one" else choice.mode
