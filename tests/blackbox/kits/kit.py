"""What every agent framework and SDK of these tests can be asked to do, in one small interface."""

from dataclasses import dataclass
from typing import Any, Protocol

from tests.blackbox.agents import MAX_TOKENS

TOOL_RESULT = "rain at noon"


@dataclass(frozen=True)
class ToolUse:
    """A round trip: the model calls `weather`, the kit runs it, the model reads what it gave."""

    given: Any
    """What the tool was called with; None: it was not called."""
    text: str
    """What the model said in the end."""


@dataclass(frozen=True)
class Failure:
    """An error as the kit's user catches it."""

    kind: str
    """The name of its class."""
    status: int | None
    code: str | None
    """Our word for what went wrong, where the kit shows one."""
    message: str


@dataclass(frozen=True)
class Settings:
    url: str
    """The sidecar's root."""
    key: str = "no-key-is-asked-for"
    limit: int = MAX_TOKENS
    """Tokens of one answer, at most."""


class Kit(Protocol):
    """One SDK by one of its APIs. Every method asks `model`, and raises what the SDK raises."""

    def plain(self, model: str, question: str) -> str: ...

    def streamed(self, model: str, question: str) -> str: ...

    def use_tool(self, model: str, question: str, *, stream: bool) -> ToolUse:
        """Offers `weather` (its arguments: WEATHER), whose result is TOOL_RESULT."""
        ...

    def structured(self, model: str, question: str) -> Any:
        """A value of the schema WEATHER, parsed."""
        ...

    def leave_early(self, model: str, question: str) -> str:
        """Begins a stream and leaves at its first text, which is given back."""
        ...

    def failure(self, error: Exception) -> Failure:
        """What stands in an error that one of the methods above has raised.

        Raises:
            AssertionError: it is not of a class that the SDK has for this.
        """
        ...

    def close(self) -> None: ...
