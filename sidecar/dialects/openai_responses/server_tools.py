"""OpenAI's own tools: what is asked of them, and the items that say what one was asked and gave (openai SDK,
`web_search_tool_param`, `tool_param.CodeInterpreter`, `response_function_web_search`,
`response_code_interpreter_tool_call`).
"""

from collections.abc import Mapping

import msgspec

from sidecar.canonical.request import Citation, ServerCall
from sidecar.canonical.server_tools import CodeExecution, Location, ServerTool, WebSearch
from sidecar.dialects.openai_responses.fields import parse
from sidecar.dialects.signatures import mark_responses, responses_item
from sidecar.errors import CannotCarry

SEARCH_TYPES = frozenset({"web_search", "web_search_2025_08_26", "web_search_preview", "web_search_preview_2025_03_11"})
CODE_TYPE = "code_interpreter"
CALL_TYPES = frozenset({"web_search_call", "code_interpreter_call"})

FOREIGN_CALL = "pointsman:"
"""What an item's id begins with where another vendor's tool was called: OpenAI is never shown it."""


class UserLocation(msgspec.Struct, frozen=True, omit_defaults=True):
    type: str = ""
    city: str | None = None
    region: str | None = None
    country: str | None = None
    timezone: str | None = None

    @classmethod
    def of(cls, where: Location) -> "UserLocation":
        return cls("approximate", where.city, where.region, where.country, where.timezone)

    def location(self) -> Location:
        return Location(city=self.city, region=self.region, country=self.country, timezone=self.timezone)


class _Filters(msgspec.Struct, frozen=True):
    allowed_domains: tuple[str, ...] | None = None


class _Search(msgspec.Struct, frozen=True):
    filters: _Filters | None = None
    user_location: UserLocation | None = None
    search_context_size: str | None = None
    external_web_access: bool | None = None


class _Container(msgspec.Struct, frozen=True):
    type: str = ""
    file_ids: tuple[str, ...] | None = None
    memory_limit: str | None = None
    network_policy: object = None


class _Code(msgspec.Struct, frozen=True):
    container: str | _Container = _Container()


_SEARCH = msgspec.json.Decoder(_Search)
_CODE = msgspec.json.Decoder(_Code)


def decode_server_tool(kind: str, raw: msgspec.Raw, where: str, lost: list[str]) -> ServerTool:
    """
    Raises:
        CannotCarry: a tool that the canonical form does not know, or that works on what OpenAI keeps.
        MalformedRequest: a field of the wrong type.
    """
    if kind in SEARCH_TYPES:
        search = parse(raw, _SEARCH, where)
        if search.external_web_access is False:
            raise CannotCarry("server_tool", "a web search that must not leave OpenAI's cache")
        return WebSearch(
            allowed_domains=(search.filters.allowed_domains or ()) if search.filters is not None else (),
            location=None if search.user_location is None else search.user_location.location(),
            context_size=search.search_context_size,
        )
    if kind != CODE_TYPE:
        raise CannotCarry("tool", f"a tool of type `{kind}`")
    container = parse(raw, _CODE, where).container
    if isinstance(container, str) or container.file_ids:
        raise CannotCarry("server_tool", "a container or files that one provider keeps")
    lost += [f"tools.container.{name}" for name in ("memory_limit", "network_policy") if getattr(container, name)]
    return CodeExecution()


def encode_server_tool(tool: ServerTool, dropped: list[str]) -> Mapping[str, object]:
    """
    Raises:
        CannotCarry: domains that a search must keep out of.
    """
    if isinstance(tool, CodeExecution):
        return {"type": CODE_TYPE, "container": {"type": "auto"}}
    if tool.blocked_domains:
        raise CannotCarry("server_tool", "a web search that must keep out of some domains")
    if tool.max_uses is not None:
        dropped.append("tools.max_uses")
    wire: dict[str, object] = {"type": "web_search"}
    if tool.allowed_domains:
        wire["filters"] = {"allowed_domains": tool.allowed_domains}
    if tool.context_size is not None:
        wire["search_context_size"] = tool.context_size
    if tool.location is not None:
        wire["user_location"] = UserLocation.of(tool.location)
    return wire


# What one was asked, and gave


class _Page(msgspec.Struct, frozen=True):
    url: str = ""


class Action(msgspec.Struct, frozen=True):
    type: str = ""
    query: str | None = None
    queries: list[str] | None = None
    sources: list[_Page] | None = None
    url: str | None = None
    pattern: str | None = None


class Output(msgspec.Struct, frozen=True):
    type: str = ""
    logs: str | None = None


class CallItem(msgspec.Struct, frozen=True):
    """An item of one of `CALL_TYPES`."""

    type: str
    id: str | None = None
    status: str | None = None
    action: Action | None = None
    code: str | None = None
    outputs: list[Output] | None = None


CALL = msgspec.json.Decoder(CallItem)


def decode_call(item: CallItem) -> ServerCall:
    given = item.id or ""
    name = given.removeprefix(FOREIGN_CALL) if is_foreign_call(given) else mark_responses(given, "")
    is_error = item.status == "failed"
    if item.type == "code_interpreter_call":
        logs = [output.logs for output in item.outputs or () if output.logs is not None]
        output = "".join(logs) if item.outputs is not None else None
        return ServerCall(id=name, tool="code_execution", input=item.code or "", output=output, is_error=is_error)
    action = item.action or Action()
    said = action.query or "\n".join(action.queries or ()) or action.pattern or action.url or ""
    pages = [page.url for page in action.sources or () if page.url] or ([action.url] if action.url else [])
    sources = tuple(Citation(url=url) for url in pages)
    return ServerCall(id=name, tool="web_search", input=said, sources=sources, is_error=is_error)


def encode_call(call: ServerCall) -> dict[str, object]:
    """For an answer."""
    own = responses_item(call.id)
    head = {"id": own[0] if own is not None else FOREIGN_CALL + call.id}
    status = {"status": "failed" if call.is_error else "completed"}
    if call.tool == "code_execution":
        outputs = None if call.output is None else [{"type": "logs", "logs": call.output}]
        return (
            head
            | {"type": "code_interpreter_call"}
            | status
            | {
                "code": call.input,
                "container_id": "",
                "outputs": outputs,
            }
        )
    sources = [{"type": "url", "url": page.url} for page in call.sources]
    action = {"type": "search", "query": call.input, "queries": [call.input], "sources": sources}
    return head | {"type": "web_search_call"} | status | {"action": action}


def own_call(call: ServerCall) -> dict[str, object] | None:
    """For OpenAI: a search as it came from there. Code ran in a container that is not known any more."""
    own = responses_item(call.id)
    if own is None or call.tool != "web_search":
        return None
    return {
        "type": "web_search_call",
        "id": own[0],
        "status": "completed",
        "action": {"type": "search", "query": call.input},
    }


def is_foreign_call(id_: object) -> bool:
    return isinstance(id_, str) and id_.startswith(FOREIGN_CALL)
