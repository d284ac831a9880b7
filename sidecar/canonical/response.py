"""A whole answer. The plain answer, and what a stream adds up to, are the same value."""

from typing import Literal

import msgspec

from schemas.record import Usage
from sidecar.canonical.request import AnyPart

FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "refusal", "stop_sequence", "pause"]


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    parts: tuple[AnyPart, ...]
    finish: FinishReason
    stop_sequence: str | None = None


class ChatResponse(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    model: str
    """The provider's own name of the model that answered."""
    choices: tuple[Choice, ...]
    usage: Usage | None
    """None when the provider reported none: unknown is never zero."""
    created: int | None = None
    """Unix seconds, where the dialect says it."""
