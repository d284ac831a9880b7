"""What every simulated dialect can do: read a request, write a whole answer, a stream, or its provider's own errors.

Values and a protocol; the two dialects are `openai_chat` and `anthropic_messages`.
"""

import secrets
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from controller.demo.simulator.answers import Answer, Ask
from controller.demo.simulator.prompt_cache import PromptCache, Segment


class Refused(Exception):
    """The provider would refuse this request; `body` is what it would say, in its dialect."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        super().__init__(f"{status}: {body}")
        self.status = status
        self.body = body


@dataclass(frozen=True, slots=True)
class Usage:
    input_tokens: int
    """Everything of the prompt, cache reads and writes included."""
    output_tokens: int
    reasoning_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Prompt:
    """A request that was understood."""

    ask: Ask
    segments: tuple[Segment, ...]
    base_tokens: int = 0
    """What the prompt costs besides its segments."""
    usage_in_stream: bool = True
    hides_reasoning: bool = False
    obfuscates: bool = True

    @property
    def input_tokens(self) -> int:
        return self.base_tokens + sum(segment.tokens for segment in self.segments)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer with all that a dialect needs to write it down."""

    prompt: Prompt
    answer: Answer
    usage: Usage | None
    """None: this provider reports no usage."""
    created: int
    """Unix seconds."""
    chunks: int


class FrameKind(StrEnum):
    OPENING = "opening"
    CONTENT = "content"
    FINISH = "finish"
    USAGE = "usage"
    END = "end"


@dataclass(frozen=True, slots=True)
class Frame:
    """One server-sent event, and what it is to a reader of the stream."""

    kind: FrameKind
    data: bytes
    reports_usage: bool = False


class SimulatedDialect(Protocol):
    name: str
    request_id_header: str

    def new_request_id(self) -> str: ...

    def identified(self, error: dict[str, Any], request_id: str) -> dict[str, Any]:
        """An error body with the request's id, where the dialect puts it there."""

    def read(self, body: Mapping[str, Any], headers: Mapping[str, str]) -> Prompt:
        """
        Raises:
            Refused: with the status and body that the provider would answer.
        """

    def use_cache(self, cache: PromptCache, prompt: Prompt) -> Usage:
        """The input side of the usage; output is still zero."""

    def whole(self, reply: Reply) -> dict[str, Any]: ...

    def frames(self, reply: Reply) -> Sequence[Frame]: ...

    def error(self, status: int, message: str | None = None, code: str | None = None) -> dict[str, Any]:
        """The provider's error body for a status."""

    def error_frame(self) -> bytes:
        """How the provider reports an error inside a stream."""

    def broken_frame(self) -> bytes:
        """An event whose data is not JSON."""

    def wrong_key(self, key: str | None) -> dict[str, Any]: ...

    def bad_json(self) -> dict[str, Any]: ...

    def unknown_model(self, model: str) -> dict[str, Any]: ...


ALPHABET = string.ascii_letters + string.digits


def new_id(prefix: str, length: int) -> str:
    return prefix + "".join(secrets.choice(ALPHABET) for _ in range(length))
