"""A chat request: turns made of parts, tools, the shape of the answer, and tuning knobs."""

from collections.abc import Mapping
from typing import Literal

import msgspec

from schemas.bundle import Effort, ServerToolName
from sidecar.canonical.server_tools import ServerTool

Role = Literal["system", "developer", "user", "assistant", "tool"]
"""`tool` messages hold `ToolResult` parts only, and those stand nowhere else."""


class Part(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    cache_ttl: str | None = None
    """A prompt-cache mark ends here: `5m`, `1h`; None where there is no mark. A knob, not content."""


class Citation(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A web page that an answer rests on."""

    url: str
    title: str = ""
    start: int | None = None
    """Where in its text part it is cited, in characters; None: the whole part rests on it."""
    end: int | None = None
    """Exclusive."""


class TokenLogprob(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    token: str
    logprob: float
    utf8: tuple[int, ...] | None = None
    """Its bytes: a token may be less than a whole character."""
    top: tuple["TokenLogprob", ...] = ()
    """The likeliest tokens at this place, where they were asked for."""


class Text(Part, frozen=True):
    text: str
    citations: tuple[Citation, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()


class Image(Part, frozen=True):
    """Exactly one of `url` and `data`."""

    url: str | None = None
    data: str | None = None
    """Base64."""
    media_type: str | None = None
    """With `data`: `image/png`, …"""
    detail: str | None = None
    """OpenAI's `low`, `high`, `auto`; a knob."""


class File(Part, frozen=True):
    """Exactly one of `url`, `data`, `file_id` and `text`."""

    url: str | None = None
    data: str | None = None
    """Base64."""
    file_id: str | None = None
    """A file that lives at one provider: only that dialect can carry it."""
    text: str | None = None
    media_type: str | None = None
    name: str | None = None


class Audio(Part, frozen=True):
    data: str
    """Base64."""
    format: str
    """`wav`, `mp3`, …"""


class ToolCall(Part, frozen=True):
    id: str
    name: str
    arguments: str
    """JSON text, as the model wrote it: it may be malformed."""


class ToolResult(Part, frozen=True):
    call_id: str
    parts: tuple[Text | Image | File, ...]
    is_error: bool = False


class ServerCall(Part, frozen=True):
    """What a provider's own tool was asked while the model answered, and what it gave."""

    id: str
    """Bare where Anthropic gave it, else marked with whose it is (`dialects/signatures.py`)."""
    tool: ServerToolName
    input: str
    """What was searched for, or the code that ran."""
    output: str | None = None
    """What the code printed; None where nobody says."""
    is_error: bool = False
    sources: tuple[Citation, ...] = ()
    """Pages that a search found."""


class Reasoning(Part, frozen=True):
    """What the model thought. `signature` must come back unchanged for a conversation to go on."""

    text: str
    signature: str | None = None


class RedactedReasoning(Part, frozen=True):
    data: str


class Refusal(Part, frozen=True):
    text: str


AnyPart = Text | Image | File | Audio | ToolCall | ToolResult | ServerCall | Reasoning | RedactedReasoning | Refusal


class Message(msgspec.Struct, frozen=True, gc=False):
    role: Role
    parts: tuple[AnyPart, ...]
    name: str | None = None
    """Who speaks, where the dialect can say it."""


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """A function that the caller runs."""

    name: str
    description: str | None = None
    parameters: Mapping[str, object]
    """JSON Schema of the arguments."""
    strict: bool | None = None
    cache_ttl: str | None = None


class ToolChoice(msgspec.Struct, frozen=True):
    mode: Literal["auto", "none", "required", "one"] = "auto"
    name: str | None = None
    """With `one`: the tool that must be called."""


class OutputFormat(msgspec.Struct, frozen=True, kw_only=True):
    mode: Literal["json", "json_schema"]
    schema: Mapping[str, object] | None = None
    """With `json_schema`."""
    name: str | None = None
    description: str | None = None
    strict: bool | None = None


class ReasoningRequest(msgspec.Struct, frozen=True, kw_only=True):
    """How much to think: an effort, a budget, or neither (the model decides)."""

    effort: Effort | None = None
    budget_tokens: int | None = None
    disabled: bool = False


class ChatRequest(msgspec.Struct, frozen=True, kw_only=True):
    model: str
    """As the caller named it."""
    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    server_tools: tuple[ServerTool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    output: OutputFormat | None = None
    reasoning: ReasoningRequest | None = None
    stream: bool = False
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logprobs: int | None = None
    """How many alternatives to report per token; 0 reports the chosen one only."""
    choices: int = 1
    """More than one answer asked for. Content, not a knob: a dialect without it cannot carry the request."""
    user: str | None = None
    """The caller's own id of its end user."""
    metadata: Mapping[str, str] = {}
    service_tier: str | None = None
    extra: Mapping[str, object] = {}
    """Top-level fields of the caller's dialect that we do not know: named as dropped when dialects are crossed."""
