"""Tools and the choice among them ↔ the canonical form (anthropic SDK, `tool_param`, `tool_choice_param`)."""

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from sidecar.canonical.request import (
    ChatRequest,
    Tool,
)
from sidecar.canonical.server_tools import ServerTool
from sidecar.dialects.anthropic.blocks import (
    ABSENT,
    DEFAULT_TTL,
    CacheControl,
)
from sidecar.dialects.anthropic.fields import read_optional, read_value
from sidecar.dialects.anthropic.server_tools import OWN_TOOL, decode_server_tool
from sidecar.errors import CannotCarry


class WireChoice(msgspec.Struct, frozen=True, omit_defaults=True):
    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class WireTool(msgspec.Struct, frozen=True, omit_defaults=True):
    name: str
    description: str | None = None
    input_schema: Mapping[str, object] = {}
    type: str | None = None
    strict: bool | None = None
    cache_control: CacheControl | None = None
    allowed_callers: msgspec.Raw = ABSENT
    defer_loading: bool | None = None
    eager_input_streaming: bool | None = None
    input_examples: msgspec.Raw = ABSENT


CHOICE = msgspec.json.Decoder(WireChoice)


_TOOL = msgspec.json.Decoder(WireTool)
_RAWS = msgspec.json.Decoder(list[msgspec.Raw])


MODES: Mapping[str, Literal["auto", "none", "required", "one"]] = {
    "auto": "auto",
    "any": "required",
    "tool": "one",
    "none": "none",
}


_TOOL_KNOBS = ("allowed_callers", "defer_loading", "eager_input_streaming", "input_examples")


def decode_tools(fields: Mapping[str, msgspec.Raw], lost: list[str]) -> tuple[list[Tool], list[ServerTool]]:
    """The caller's functions, and Anthropic's own tools."""
    functions: list[Tool] = []
    own: list[ServerTool] = []
    wire: Sequence[msgspec.Raw] | None = read_optional(fields, "tools", _RAWS)
    for place, raw in enumerate(wire or ()):
        tool = read_value(f"tools[{place}]", raw, _TOOL)
        if tool.type in (None, "custom"):
            functions.append(_decode_tool(tool, lost))
        elif (asked := decode_server_tool(read_value(f"tools[{place}]", raw, OWN_TOOL))) is not None:
            own.append(asked)
        else:
            raise CannotCarry("server_tool", f"Anthropic's own tool {tool.type!r}")
    return functions, own


def _decode_tool(tool: WireTool, lost: list[str]) -> Tool:
    lost += [f"tools.{name}" for name in _TOOL_KNOBS if getattr(tool, name) not in (None, ABSENT)]
    mark = tool.cache_control
    return Tool(
        name=tool.name,
        description=tool.description,
        parameters=tool.input_schema,
        strict=tool.strict,
        cache_ttl=None if mark is None else mark.ttl or DEFAULT_TTL,
    )


def decode_parallel(choice: WireChoice | None) -> bool | None:
    if choice is None or choice.disable_parallel_tool_use is None:
        return None
    return not choice.disable_parallel_tool_use


_CHOICES: Mapping[str, Literal["auto", "any", "tool", "none"]] = {
    "auto": "auto",
    "required": "any",
    "one": "tool",
    "none": "none",
}


def encode_tool(tool: Tool) -> WireTool:
    # The API wants a schema that says it is an object's; OpenAI leaves that out for a function without parameters.
    schema = tool.parameters if "type" in tool.parameters else {"type": "object", **tool.parameters}
    ttl = tool.cache_ttl
    mark = None if ttl is None else CacheControl(None if ttl == DEFAULT_TTL else ttl)
    return WireTool(
        name=tool.name, description=tool.description, input_schema=schema, strict=tool.strict, cache_control=mark
    )


def encode_choice(request: ChatRequest, dropped: list[str]) -> WireChoice | None:
    choice, parallel = request.tool_choice, request.parallel_tool_calls
    if not (request.tools or request.server_tools):
        # The API refuses a choice where there is nothing to choose from.
        if choice is not None and choice.mode not in ("auto", "none"):
            dropped.append("tool_choice")
        return None
    disable = None if parallel is None else not parallel
    if choice is None:
        return WireChoice("auto", disable_parallel_tool_use=True) if disable else None
    if choice.mode == "none":
        return WireChoice("none")
    return WireChoice(_CHOICES[choice.mode], choice.name, disable)
