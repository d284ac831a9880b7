"""Anthropic's own tools: what is asked of them, and the pairs of blocks that say what one was asked and gave
(anthropic SDK, `web_search_tool_20250305_param`, `code_execution_tool_20250825_param`, `server_tool_use_block`,
`*_tool_result_block`).
"""

from collections.abc import Mapping, Sequence

import msgspec

from schemas.bundle import ServerToolName
from sidecar.canonical.request import Citation, ServerCall
from sidecar.canonical.server_tools import CodeExecution, Location, ServerTool, WebSearch

SEARCH_TYPE, CODE_TYPE = "web_search_20250305", "code_execution_20250825"
"""What every model that has these tools takes (platform.claude.com, "Web search tool", "Code execution tool")."""

_SEARCH_TYPES = frozenset({SEARCH_TYPE, "web_search_20260209", "web_search_20260318"})
_CODE_TYPES = frozenset({"code_execution_20250522", CODE_TYPE, "code_execution_20260120", "code_execution_20260521"})

CALLED: Mapping[str, ServerToolName] = {
    "web_search": "web_search",
    "code_execution": "code_execution",
    "bash_code_execution": "code_execution",
    "text_editor_code_execution": "code_execution",
}
"""By the name in a `server_tool_use` block."""

RESULTS: Mapping[str, ServerToolName] = {f"{name}_tool_result": tool for name, tool in CALLED.items()}
"""By a block's type."""


class UserLocation(msgspec.Struct, frozen=True, tag_field="type", tag="approximate", omit_defaults=True):
    city: str | None = None
    region: str | None = None
    country: str | None = None
    timezone: str | None = None


class SearchTool(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    type: str
    name: str
    max_uses: int | None = None
    allowed_domains: Sequence[str] = ()
    blocked_domains: Sequence[str] = ()
    user_location: UserLocation | None = None


class CodeTool(msgspec.Struct, frozen=True, kw_only=True):
    type: str
    name: str


class _OwnTool(msgspec.Struct, frozen=True):
    type: str = ""
    max_uses: int | None = None
    allowed_domains: tuple[str, ...] | None = None
    blocked_domains: tuple[str, ...] | None = None
    user_location: UserLocation | None = None


OWN_TOOL = msgspec.json.Decoder(_OwnTool)


def decode_server_tool(tool: _OwnTool) -> ServerTool | None:
    """None for a tool that the canonical form does not know."""
    if tool.type in _CODE_TYPES:
        return CodeExecution()
    if tool.type not in _SEARCH_TYPES:
        return None
    where = tool.user_location
    return WebSearch(
        allowed_domains=tool.allowed_domains or (),
        blocked_domains=tool.blocked_domains or (),
        max_uses=tool.max_uses,
        location=None
        if where is None
        else Location(city=where.city, region=where.region, country=where.country, timezone=where.timezone),
    )


def encode_server_tool(tool: ServerTool, dropped: list[str]) -> SearchTool | CodeTool:
    if isinstance(tool, CodeExecution):
        return CodeTool(type=CODE_TYPE, name="code_execution")
    if tool.context_size is not None:
        dropped.append("tools.search_context_size")
    where = tool.location
    return SearchTool(
        type=SEARCH_TYPE,
        name="web_search",
        max_uses=tool.max_uses,
        allowed_domains=tool.allowed_domains,
        blocked_domains=tool.blocked_domains,
        user_location=None
        if where is None
        else UserLocation(city=where.city, region=where.region, country=where.country, timezone=where.timezone),
    )


# What one was asked, and gave


class _Input(msgspec.Struct, frozen=True):
    query: str | None = None
    code: str | None = None
    command: str | None = None


class _Found(msgspec.Struct, frozen=True):
    url: str = ""
    title: str | None = None


class _Ran(msgspec.Struct, frozen=True):
    """A code execution's result of any kind, or an error of either tool."""

    stdout: str | None = None
    stderr: str | None = None
    return_code: int = 0
    error_code: str | None = None


class WebCitation(msgspec.Struct, frozen=True):
    type: str = ""
    url: str | None = None
    title: str | None = None


_INPUT = msgspec.json.Decoder(_Input)
_FOUND = msgspec.json.Decoder(list[_Found])
_RAN = msgspec.json.Decoder(_Ran)
_CITATIONS = msgspec.json.Decoder(list[WebCitation])


def decode_input(id_: str, name: str, raw: bytes | msgspec.Raw) -> ServerCall:
    """Raises msgspec.DecodeError."""
    asked = _INPUT.decode(raw)
    said = asked.query or asked.code
    if said is None:  # an editor's command is more than its name
        said = asked.command if name == "bash_code_execution" else bytes(raw).decode()
    return ServerCall(id=id_, tool=CALLED[name], input=said or "")


def decode_result(call: ServerCall, raw: msgspec.Raw) -> ServerCall:
    """The call with what it gave. Raises msgspec.DecodeError."""
    if bytes(memoryview(raw)[:1]) == b"[":
        sources = tuple(Citation(url=page.url, title=page.title or "") for page in _FOUND.decode(raw) if page.url)
        return msgspec.structs.replace(call, sources=sources)
    ran = _RAN.decode(raw)
    if ran.error_code is not None:
        return msgspec.structs.replace(call, output=ran.error_code, is_error=True)
    if ran.stdout is None and ran.stderr is None:  # an editor's
        return msgspec.structs.replace(call, output=bytes(raw).decode())
    output = (ran.stdout or "") + (ran.stderr or "")
    return msgspec.structs.replace(call, output=output, is_error=ran.return_code != 0)


def decode_citations(raw: msgspec.Raw) -> tuple[Citation, ...]:
    """Those of web pages: the others point into a document of the request, which no other dialect can name.

    Raises msgspec.DecodeError.
    """
    return tuple(found for each in _CITATIONS.decode(raw) if (found := decode_citation(each)) is not None)


def decode_citation(each: WebCitation) -> Citation | None:
    if each.type != "web_search_result_location" or not each.url:
        return None
    return Citation(url=each.url, title=each.title or "")


class ServerToolUse(msgspec.Struct, frozen=True, tag_field="type", tag="server_tool_use"):
    id: str
    name: str
    input: Mapping[str, str]


class _WebResult(msgspec.Struct, frozen=True, tag_field="type", tag="web_search_result"):
    url: str
    title: str
    encrypted_content: str = ""
    page_age: str | None = None


class _SearchError(msgspec.Struct, frozen=True, tag_field="type", tag="web_search_tool_result_error"):
    error_code: str


class _CodeResult(msgspec.Struct, frozen=True, tag_field="type", tag="code_execution_result"):
    stdout: str
    stderr: str
    return_code: int
    content: tuple[()] = ()


class SearchResult(msgspec.Struct, frozen=True, tag_field="type", tag="web_search_tool_result"):
    tool_use_id: str
    content: Sequence[_WebResult] | _SearchError


class CodeResult(msgspec.Struct, frozen=True, tag_field="type", tag="code_execution_tool_result"):
    tool_use_id: str
    content: _CodeResult


def encode_server_call(call: ServerCall) -> tuple[ServerToolUse, SearchResult | CodeResult]:
    """For an answer. Anthropic's seal on what was found is not ours to give: a later request leaves these out."""
    if call.tool == "web_search":
        use = ServerToolUse(id=call.id, name="web_search", input={"query": call.input})
        found = [_WebResult(url=page.url, title=page.title) for page in call.sources]
        return use, SearchResult(tool_use_id=call.id, content=_SearchError("unavailable") if call.is_error else found)
    use = ServerToolUse(id=call.id, name="code_execution", input={"code": call.input})
    output = call.output or ""
    ran = _CodeResult("", output, 1) if call.is_error else _CodeResult(output, "", 0)
    return use, CodeResult(tool_use_id=call.id, content=ran)


class CitationOut(msgspec.Struct, frozen=True, tag_field="type", tag="web_search_result_location"):
    """Without Anthropic's seal, which says whose it is: a later request leaves it out."""

    url: str
    title: str
    cited_text: str = ""
    encrypted_index: str = ""


def encode_citation(citation: Citation) -> CitationOut:
    return CitationOut(citation.url, citation.title)
