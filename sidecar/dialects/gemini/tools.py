"""Tools and the choice among them ↔ the canonical form (google-genai, `Tool`, `ToolConfig`)."""

from collections.abc import Iterator, Mapping
from typing import Literal

from sidecar.canonical.request import (
    ChatRequest,
    Tool,
    ToolChoice,
)
from sidecar.canonical.server_tools import CodeExecution, ServerTool, WebSearch
from sidecar.dialects.gemini.fields import Fields
from sidecar.dialects.gemini.schema import to_json_schema
from sidecar.errors import CannotCarry, MalformedRequest

NO_PARAMETERS: Mapping[str, object] = {"type": "object", "properties": {}}
"""What a function without a schema is taken to have."""


def decode_tools(fields: Fields, lost: list[str]) -> Iterator[Tool | ServerTool]:
    for tool in fields.each("tools"):
        for name in tool.names():
            if name == "googleSearch":
                yield _decode_search(tool.fields(name) or Fields({}), lost)
            elif name == "codeExecution":
                yield CodeExecution()
            elif name != "functionDeclarations":
                raise CannotCarry("server_tool", f"Google's own tool `{name}`")
        for function in tool.each("functionDeclarations"):
            yield _decode_function(function, lost)


def _decode_search(search: Fields, lost: list[str]) -> WebSearch:
    kinds = search.fields("searchTypes")
    if "timeRangeFilter" in search or (kinds is not None and "imageSearch" in kinds):
        raise CannotCarry("server_tool", "a search for images, or within a time")
    if "blockingConfidence" in search:
        lost.append("tools.googleSearch.blockingConfidence")
    return WebSearch(blocked_domains=search.texts("excludeDomains"))


def encode_server_tool(tool: ServerTool, dropped: list[str]) -> dict[str, object]:
    """
    Raises:
        CannotCarry: domains to search in or not, which the Gemini API has no word for.
    """
    if isinstance(tool, CodeExecution):
        return {"codeExecution": {}}
    if tool.allowed_domains or tool.blocked_domains:
        raise CannotCarry("server_tool", "a web search within some domains")
    knobs = {"max_uses": tool.max_uses, "user_location": tool.location, "search_context_size": tool.context_size}
    dropped += [f"tools.{name}" for name, value in knobs.items() if value is not None]
    return {"googleSearch": {}}


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


def decode_choice(fields: Fields, lost: list[str]) -> tuple[ToolChoice | None, frozenset[str] | None]:
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


_MODES: Mapping[Literal["auto", "none", "required", "one"], str] = {
    "auto": "AUTO",
    "none": "NONE",
    "required": "ANY",
    "one": "ANY",
}


def encode_tool(tool: Tool, dropped: list[str]) -> dict[str, object]:
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


def encode_choice(request: ChatRequest, dropped: list[str]) -> dict[str, object] | None:
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
