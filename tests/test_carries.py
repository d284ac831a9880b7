"""What each dialect can say of a chat request: `sidecar/dialects/CARRIES.md`, made from what our code does.

After a change: `UPDATE_GOLDEN=1 python -m pytest tests/test_carries.py`, and read the difference.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

import sidecar.dialects
from sidecar.canonical.model import ModelTraits
from sidecar.canonical.request import (
    AnyPart,
    Audio,
    ChatRequest,
    Citation,
    File,
    Image,
    Message,
    OutputFormat,
    Reasoning,
    ReasoningRequest,
    RedactedReasoning,
    Refusal,
    ServerCall,
    Text,
    TokenLogprob,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from sidecar.canonical.response import ChatResponse, Choice
from sidecar.canonical.server_tools import CodeExecution, Location, WebSearch
from sidecar.dialects.base import ChatDialect, Dialect, InPath, TargetDialect
from sidecar.dialects.registry import DIALECTS, TARGETS
from sidecar.errors import CallerError, CannotCarry

PAGE = Path(sidecar.dialects.__file__).with_name("CARRIES.md")
TARGET = "the-target"
TRAITS = ModelTraits(TARGET, 64_000, server_tools=frozenset({"web_search", "code_execution"}))
BASE = ChatRequest(model=TARGET, messages=(Message("user", (Text(text="Hello"),)),), max_output_tokens=100)

Feature = Callable[[ChatRequest], ChatRequest]

TOOL = Tool(
    name="weather", description="Of a city.", parameters={"type": "object", "properties": {"city": {"type": "string"}}}
)
CALL = ToolCall(id="call_1", name="weather", arguments='{"city":"Paris"}')
SCHEMA: Mapping[str, object] = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}


def field(**changes: Any) -> Feature:
    return lambda request: msgspec.structs.replace(request, **changes)


def with_tool(**changes: Any) -> Feature:
    return field(tools=(TOOL,), **changes)


def turns(*messages: Message) -> Feature:
    """The messages stand before the request's own."""
    return lambda request: msgspec.structs.replace(request, messages=(*messages, *request.messages))


def asked(*parts: AnyPart) -> Feature:
    return turns(Message("user", parts), Message("assistant", (Text(text="Yes."),)))


def said(*parts: AnyPart) -> Feature:
    return turns(Message("user", (Text(text="Well?"),)), Message("assistant", parts))


def used_tool(*results: Any, is_error: bool = False) -> Feature:
    result = ToolResult(call_id="call_1", parts=results, is_error=is_error)
    talk = turns(Message("user", (Text(text="Weather?"),)), Message("assistant", (CALL,)), Message("tool", (result,)))
    return lambda request: with_tool()(talk(request))


FEATURES: Mapping[str, Feature] = {
    "system turn": turns(Message("system", (Text(text="Be brief."),))),
    "developer turn": turns(Message("developer", (Text(text="Be brief."),))),
    "system turn inside the conversation": turns(
        Message("user", (Text(text="Hi"),)), Message("system", (Text(text="Be brief."),))
    ),
    "who speaks (`name`)": turns(
        Message("user", (Text(text="Hi"),), name="ann"), Message("assistant", (Text(text="Yes."),))
    ),
    "image, inline": asked(Image(data="aGk=", media_type="image/png")),
    "image, URL": asked(Image(url="https://example.com/a.png")),
    "image in S3": asked(Image(url="s3://bucket/a.png")),
    "image detail": asked(Image(data="aGk=", media_type="image/png", detail="low")),
    "PDF, inline": asked(File(data="aGk=", media_type="application/pdf", name="a.pdf")),
    "PDF, URL": asked(File(url="https://example.com/a.pdf", media_type="application/pdf")),
    "file that a provider keeps": asked(File(file_id="file-1")),
    "text document": asked(File(text="words", media_type="text/plain", name="a.txt")),
    "audio": asked(Audio(data="aGk=", format="wav")),
    "prompt-cache mark": asked(Text(text="Long.", cache_ttl="5m")),
    "tools": with_tool(),
    "strict tool": lambda request: field(tools=(msgspec.structs.replace(TOOL, strict=True),))(request),
    "tool choice: none": with_tool(tool_choice=ToolChoice("none")),
    "tool choice: required": with_tool(tool_choice=ToolChoice("required")),
    "tool choice: one tool": with_tool(tool_choice=ToolChoice("one", "weather")),
    "no parallel tool calls": with_tool(parallel_tool_calls=False),
    "tool call and its result": used_tool(Text(text="22 degrees")),
    "tool result with an image": used_tool(Text(text="See"), Image(data="aGk=", media_type="image/png")),
    "tool result that is an error": used_tool(Text(text="No such city"), is_error=True),
    "earlier reasoning, signed": said(Reasoning(text="Hm.", signature="c2ln"), Text(text="Yes.")),
    "earlier reasoning, unsigned": said(Reasoning(text="Hm."), Text(text="Yes.")),
    "earlier reasoning, redacted": said(RedactedReasoning(data="c2VjcmV0"), Text(text="Yes.")),
    "earlier refusal": said(Refusal(text="No.")),
    "web search": field(server_tools=(WebSearch(),)),
    "web search: domains": field(server_tools=(WebSearch(allowed_domains=("example.com",)),)),
    "web search: where the user is": field(server_tools=(WebSearch(location=Location(country="CH")),)),
    "web search: at most so many": field(server_tools=(WebSearch(max_uses=3),)),
    "code execution": field(server_tools=(CodeExecution(),)),
    "web search beside tools": with_tool(server_tools=(WebSearch(),)),
    "earlier web search": said(ServerCall(id="srvtoolu_1", tool="web_search", input="news"), Text(text="Yes.")),
    "earlier code that ran": said(
        ServerCall(id="srvtoolu_1", tool="code_execution", input="print(1)", output="1"), Text(text="Yes.")
    ),
    "earlier citation": said(Text(text="Yes.", citations=(Citation(url="https://example.com"),))),
    "JSON mode": field(output=OutputFormat(mode="json")),
    "JSON schema output": field(output=OutputFormat(mode="json_schema", schema=SCHEMA, name="place", strict=True)),
    "reasoning effort": field(reasoning=ReasoningRequest(effort="low")),
    "reasoning budget": field(reasoning=ReasoningRequest(budget_tokens=2_000), max_output_tokens=4_000),
    "reasoning off": field(reasoning=ReasoningRequest(disabled=True)),
    "temperature": field(temperature=0.5),
    "temperature above 1": field(temperature=1.5),
    "top_p": field(top_p=0.5),
    "top_k": field(top_k=10),
    "stop sequences": field(stop=("END",)),
    "seed": field(seed=7),
    "presence penalty": field(presence_penalty=0.5),
    "frequency penalty": field(frequency_penalty=0.5),
    "logprobs": field(logprobs=2),
    "several choices": field(choices=2),
    "user id": field(user="u-1"),
    "metadata": field(metadata={"team": "a"}),
    "service tier": field(service_tier="auto"),
    "unknown fields": field(extra={"made_up": True}),
}  # fmt: skip


ANSWERS: Mapping[str, AnyPart] = {
    "text": Text(text="Yes."),
    "refusal": Refusal(text="No."),
    "tool call": CALL,
    "reasoning, signed": Reasoning(text="Hm.", signature="c2ln"),
    "reasoning, redacted": RedactedReasoning(data="c2VjcmV0"),
    "citation of a stretch": Text(
        text="Yes.", citations=(Citation(url="https://example.com", title="A", start=0, end=2),)
    ),
    "how likely each token was": Text(
        text="Yes", logprobs=(TokenLogprob(token="Yes", logprob=-0.1, utf8=(89, 101, 115)),)
    ),
    "web search, and what it found": ServerCall(
        id="srvtoolu_1", tool="web_search", input="news", sources=(Citation(url="https://example.com", title="A"),)
    ),
    "code that ran, and what it printed": ServerCall(id="srvtoolu_1", tool="code_execution", input="1", output="1"),
}


def told(dialect: ChatDialect, part: AnyPart) -> str:
    parts = (part,) if isinstance(part, Text) else (part, Text(text="So."))
    choice = Choice(parts=parts, finish="stop")
    sent = ChatResponse(id="i", model="m", choices=(choice,), usage=None)
    read = dialect.decode_response(dialect.encode_response(sent)).choices[0].parts
    if part in read:
        return "told"
    kept = [each for each in read if type(each) is type(part)]
    if isinstance(part, Text) and (part.citations or part.logprobs):
        names = [name for name in ("citations", "logprobs") if getattr(part, name)]
        kept = [each for each in kept if any(getattr(each, name) for name in names)]
    if isinstance(part, Refusal):
        kept = [each for each in read if isinstance(each, Text) and part.text in each.text]
    return "as near as can be" if kept else "left out"


def verdict(dialect: TargetDialect, feature: Feature) -> str:
    try:
        encoded = dialect.encode_request(feature(BASE), TRAITS)
    except CannotCarry:
        return "**refused**"
    if encoded.dropped:
        return "dropped"
    if not isinstance(dialect, Dialect):
        return "mapped"  # a request in a dialect that agents do not speak is never read back
    try:
        read, plain = (decoded(dialect, request) for request in (feature(BASE), BASE))
    except CallerError:
        return "mapped"
    return "carried" if read == feature(plain) else "mapped"


def decoded(dialect: Dialect, request: ChatRequest) -> ChatRequest:
    encoded = dialect.encode_request(request, TRAITS)
    return dialect.decode_request(dialect.open(encoded.body, InPath(model=TARGET)))


def page() -> str:
    names = list(TARGETS)
    rows = [
        f"| {title} | {' | '.join(verdict(TARGETS[name], feature) for name in names)} |"
        for title, feature in FEATURES.items()
    ]
    return "\n".join(
        (
            "# What each dialect can say",
            "",
            "For a call that crosses dialects, by the dialect of its target. Between two of the same dialect the body",
            "passes through as it is. Made by `tests/test_carries.py` from what the code does.",
            "",
            "- **carried**: said in the target's own words, and read back it is the same.",
            "- **mapped**: said as near as the target's dialect can; nothing of the content is lost.",
            "- **dropped**: a knob that the target lacks; the answer names it in `x-pointsman-dropped`.",
            "- **refused**: content that the target has no place for; the call goes on to the next target.",
            "",
            f"| in a request | {' | '.join(names)} |",
            f"|---|{'---|' * len(names)}",
            *rows,
            "",
            "For an answer that crosses dialects, by the dialect of the caller. What is left out only its own vendor",
            "can read, or it stands beside the text; the text itself is always told.",
            "",
            f"| in an answer | {' | '.join(DIALECTS)} |",
            f"|---|{'---|' * len(DIALECTS)}",
            *(
                f"| {title} | {' | '.join(told(dialect, part) for dialect in DIALECTS.values())} |"
                for title, part in ANSWERS.items()
            ),
            "",
        )
    )


def test_the_page_says_what_the_code_does() -> None:
    if "UPDATE_GOLDEN" in os.environ:
        PAGE.write_text(page(), encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == page()


def test_every_dialect_carries_a_plain_conversation() -> None:
    assert {verdict(dialect, lambda request: request) for dialect in DIALECTS.values()} == {"carried"}
