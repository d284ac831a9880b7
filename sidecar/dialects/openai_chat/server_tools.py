"""The one tool that OpenAI runs by itself in chat: `web_search_options` (openai SDK, `completion_create_params`)."""

import msgspec

from sidecar.canonical.server_tools import CodeExecution, Location, ServerTool, WebSearch
from sidecar.errors import CannotCarry


class _Approximate(msgspec.Struct, frozen=True, omit_defaults=True):
    city: str | None = None
    region: str | None = None
    country: str | None = None
    timezone: str | None = None


class _UserLocation(msgspec.Struct, frozen=True):
    type: str = "approximate"
    approximate: _Approximate = _Approximate()


class SearchOptions(msgspec.Struct, frozen=True, omit_defaults=True):
    search_context_size: str | None = None
    user_location: _UserLocation | None = None


def decode_search(wire: SearchOptions | None) -> tuple[ServerTool, ...]:
    if wire is None:
        return ()
    location = None
    if wire.user_location is not None:
        where = wire.user_location.approximate
        location = Location(city=where.city, region=where.region, country=where.country, timezone=where.timezone)
    return (WebSearch(context_size=wire.search_context_size, location=location),)


def encode_search(tools: tuple[ServerTool, ...], dropped: list[str]) -> SearchOptions | None:
    """
    Raises:
        CannotCarry: code to run, or domains to search in or not.
    """
    for tool in tools:
        if isinstance(tool, CodeExecution):
            raise CannotCarry("server_tool", "code that the provider runs")
        if tool.allowed_domains or tool.blocked_domains:
            raise CannotCarry("server_tool", "a web search within some domains")
        if tool.max_uses is not None:
            dropped.append("tools.max_uses")
        where = tool.location
        return SearchOptions(
            tool.context_size,
            None
            if where is None
            else _UserLocation(approximate=_Approximate(where.city, where.region, where.country, where.timezone)),
        )
    return None
