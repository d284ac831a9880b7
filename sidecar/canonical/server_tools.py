"""Tools that a provider runs by itself while its model answers. The caller asks for one and runs nothing."""

import msgspec


class Location(msgspec.Struct, frozen=True, kw_only=True):
    """About where the user is. A knob."""

    city: str | None = None
    region: str | None = None
    country: str | None = None
    """Two letters (ISO 3166)."""
    timezone: str | None = None
    """IANA."""


class WebSearch(msgspec.Struct, frozen=True, kw_only=True):
    """Domains are content, as they say what an answer may rest on; the rest are knobs."""

    allowed_domains: tuple[str, ...] = ()
    """Empty: all but the blocked ones."""
    blocked_domains: tuple[str, ...] = ()
    location: Location | None = None
    max_uses: int | None = None
    context_size: str | None = None
    """How much of what is found the model reads: OpenAI's `low`, `medium`, `high`."""


class CodeExecution(msgspec.Struct, frozen=True):
    """In a sandbox that the provider makes for the answer."""


ServerTool = WebSearch | CodeExecution
