"""What a request says before its body, whichever server read it, and what follows from that alone."""

from collections.abc import Mapping

import msgspec

from sidecar.dialects.base import BODY_ALONE, ChatDialect, InPath
from sidecar.dialects.registry import DIALECTS
from sidecar.errors import MalformedRequest

GEMINI = DIALECTS["gemini"]

GOOGLE_KEY = "x-goog-api-key"
GOOGLE_HEADERS = (GOOGLE_KEY, "x-goog-api-client")
"""Google's SDKs send both; a caller of its REST API at least the first, or its key in the query."""


class Asked(msgspec.Struct, frozen=True, gc=False):
    id: str
    """Ours: the caller is told, and providers."""
    path: str
    """As it came, percent-encoded, without the query."""
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """Lower-case look-ups work."""
    in_path: InPath | None = None
    """What the path says of a call; None: it is no path of Google's for one."""

    @property
    def key_in_query(self) -> str:
        """As Google's API takes it."""
        return self.query.get("key", "") if self.query else ""

    @property
    def wants_array(self) -> bool:
        """A stream of Google's API is one JSON array unless it is asked for as server-sent events."""
        return self.in_path is not None and self.in_path.stream and self.query.get("alt") != "sse"

    @property
    def dialect(self) -> ChatDialect:
        """Whose words an answer is in where the path alone does not say."""
        if self.in_path is not None or self.path.startswith("/v1beta/"):
            return GEMINI
        if self.path.startswith("/v1/messages") or "anthropic-version" in self.headers:
            return DIALECTS["anthropic"]
        return GEMINI if any(name in self.headers for name in GOOGLE_HEADERS) else DIALECTS["openai"]

    def call_in_path(self) -> InPath:
        """Raises MalformedRequest: an answer that is asked for in a form that is not served."""
        if self.in_path is None:
            return BODY_ALONE
        alt = self.query.get("alt", "json")
        if alt not in (("sse", "json") if self.in_path.stream else ("json",)):
            raise MalformedRequest("alt: json is served, and sse where an answer is streamed")
        return self.in_path

    def headers_with_key(self) -> Mapping[str, str]:
        """With a key from the query in the header of Google's that says the same."""
        key = self.query.get("key") if self.query else None
        if key is None or GOOGLE_KEY in self.headers:
            return self.headers
        return {**{name.lower(): value for name, value in self.headers.items()}, GOOGLE_KEY: key}
