"""What holds of every dialect, whatever is said in it: cuts of the bytes do not matter, nothing is lost on the way out
and back, plain and streamed agree, and nothing that a peer sends raises what is not ours.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.record import Usage
from sidecar.canonical.events import (
    AnyEvent,
    Cited,
    Ended,
    Failed,
    Finished,
    PartEnded,
    ReasoningDelta,
    ReasoningRedacted,
    ReasoningSigned,
    ServerCalled,
    Started,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallStarted,
    UsageReported,
    collect,
)
from sidecar.canonical.model import ModelTraits
from sidecar.canonical.request import (
    AnyPart,
    ChatRequest,
    Citation,
    File,
    Image,
    Message,
    OutputFormat,
    Reasoning,
    ReasoningRequest,
    RedactedReasoning,
    ServerCall,
    Text,
    TokenLogprob,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from sidecar.canonical.response import ChatResponse, Choice, FinishReason
from sidecar.canonical.server_tools import CodeExecution, Location, WebSearch
from sidecar.dialects.base import Dialect, InPath
from sidecar.dialects.registry import DIALECTS
from sidecar.dialects.signatures import mark_responses
from sidecar.errors import CannotCarry, ContentRefused, MalformedAnswer, MalformedRequest, StreamStalled

GOLDEN = Path(__file__).parents[1] / "golden"
EACH_DIALECT = pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS.keys())
STREAMS = pytest.mark.parametrize(
    ("dialect", "sent"),
    [
        pytest.param(DIALECTS[name], path.read_bytes(), id=f"{name}-{path.stem}")
        for name in DIALECTS
        for path in sorted((GOLDEN / "streams" / name).glob("*.sse"))
        if path.name.count(".") == 1
    ],
)
QUICK = settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
THOROUGH = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def price(usage: Usage) -> Decimal:
    return Decimal("0.000003") * usage.input_tokens + Decimal("0.000015") * usage.output_tokens


def cut(sent: bytes, places: Iterable[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(sent) + 1) for place in places), len(sent)]
    return [sent[start:stop] for start, stop in pairwise(edges)]


def decode_stream(dialect: Dialect, pieces: Iterable[bytes]) -> list[AnyEvent]:
    decoder = dialect.new_decoder()
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return events + decoder.finish()


def encode_stream(dialect: Dialect, events: Iterable[AnyEvent]) -> bytes:
    encoder = dialect.new_encoder(True, price, 10)
    return b"".join(encoder.encode([event]) for event in events)


def comparable(events: Iterable[AnyEvent]) -> list[object]:
    return [(type(event.error), event.error.message) if isinstance(event, Failed) else event for event in events]


# Where the bytes are cut

CUTS = st.lists(st.integers(0, 100_000), max_size=12)


@STREAMS
@QUICK
@given(CUTS)
def test_events_do_not_depend_on_where_the_bytes_were_cut(dialect: Dialect, sent: bytes, cuts: list[int]) -> None:
    assert comparable(decode_stream(dialect, cut(sent, cuts))) == comparable(decode_stream(dialect, [sent]))


@STREAMS
@QUICK
@given(CUTS)
def test_a_tap_does_not_depend_on_where_the_bytes_were_cut(dialect: Dialect, sent: bytes, cuts: list[int]) -> None:
    assert tapped(dialect, cut(sent, cuts)) == tapped(dialect, [sent])


@STREAMS
def test_a_tap_and_a_decoder_see_the_same(dialect: Dialect, sent: bytes) -> None:
    events = decode_stream(dialect, [sent])
    usages = [event.usage for event in events if isinstance(event, UsageReported)]
    failures = [event.error.code for event in events if isinstance(event, Failed)]
    _, usage, finished, failed = tapped(dialect, [sent])
    assert usage == (usages[-1] if usages else None)
    assert finished is any(isinstance(event, Finished) for event in events)
    assert failed == (failures[0] if failures else None)


def tapped(dialect: Dialect, pieces: Sequence[bytes]) -> tuple[bytes, Usage | None, bool, str | None]:
    tap = dialect.new_tap(True, price)
    passed = b"".join(tap.feed(piece) for piece in pieces) + tap.finish()
    return passed, tap.usage, tap.finished, tap.failed.code if tap.failed else None


# Out and back

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
NAME = st.from_regex(r"[a-z_]{1,8}", fullmatch=True)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
ARGUMENTS = st.dictionaries(TEXT, JSON_VALUES, max_size=3).map(json.dumps)
SCHEMAS = st.dictionaries(NAME, st.just({"type": "string"}), max_size=3).map(
    lambda properties: {"type": "object", "properties": properties, "additionalProperties": False}
)
PDF = st.builds(File, data=st.just("JVBERi0="), media_type=st.just("application/pdf"), name=st.none() | NAME)
NAMELESS_PDF = st.builds(File, data=st.just("JVBERi0="), media_type=st.just("application/pdf"))
PNG = st.builds(Image, data=st.just("iVBORw0="), media_type=st.just("image/png"))
LINKED = st.builds(Image, url=st.just("https://example.com/ant.jpg"))
CALL = st.builds(ToolCall, id=NAME, name=NAME, arguments=ARGUMENTS)


DOMAINS = st.lists(st.sampled_from(["example.com", "example.org"]), max_size=2, unique=True).map(tuple)
LOCATIONS = st.none() | st.builds(Location, city=st.none() | TEXT, country=st.none() | st.just("CH"))
SIZES = st.sampled_from([None, "low", "medium", "high"])
SERVER_TOOLS: Mapping[str, st.SearchStrategy[WebSearch | CodeExecution]] = {
    "openai": st.builds(WebSearch, location=LOCATIONS, context_size=SIZES),
    "openai-responses": st.builds(WebSearch, location=LOCATIONS, context_size=SIZES, allowed_domains=DOMAINS)
    | st.just(CodeExecution()),
    "anthropic": st.builds(WebSearch, location=LOCATIONS, allowed_domains=DOMAINS, max_uses=st.none() | st.just(3))
    | st.builds(WebSearch, blocked_domains=DOMAINS)
    | st.just(CodeExecution()),
    "gemini": st.just(WebSearch()) | st.just(CodeExecution()),
}
"""What each dialect has a place for of the tools that a provider runs by itself."""


@st.composite
def requests(draw: st.DrawFn, dialect: str) -> ChatRequest:
    """A request of what the dialect has a place for, in the form that decoding gives."""
    is_anthropic, is_gemini, is_responses = (dialect == each for each in ("anthropic", "gemini", "openai-responses"))
    marks = st.sampled_from([None, "5m", "1h"]) if is_anthropic else st.none()
    text = st.builds(Text, text=TEXT, cache_ttl=marks)
    pdf = NAMELESS_PDF if is_gemini else PDF
    user = st.lists(text | PNG | LINKED | pdf, min_size=1, max_size=3)
    results = st.builds(Text, text=TEXT) if dialect in ("openai", "gemini") else text | PNG
    signed = st.builds(mark_responses, NAME, TEXT) if is_responses else TEXT
    thoughts: st.SearchStrategy[AnyPart] = st.builds(Reasoning, text=TEXT, signature=signed)
    if is_anthropic:
        thoughts |= st.builds(RedactedReasoning, data=TEXT)

    messages: list[Message] = []
    if draw(st.booleans()):
        messages.append(Message("system", tuple(draw(st.lists(text, min_size=1, max_size=2)))))
    messages.append(Message("user", tuple(draw(user))))
    for _ in range(draw(st.integers(0, 2))):
        calls = draw(st.lists(CALL, max_size=2))
        said: list[AnyPart] = [] if dialect in ("openai", "gemini") else draw(st.lists(thoughts, max_size=2))
        said += draw(st.lists(text, min_size=0 if calls else 1, max_size=1))
        messages.append(Message("assistant", (*said, *calls)))
        answers = [
            ToolResult(
                call_id=call.id,
                parts=tuple(draw(st.lists(results, min_size=1, max_size=1 if is_gemini else 2))),
                is_error=(is_anthropic or is_gemini) and draw(st.booleans()),
            )
            for call in calls
        ]
        # Results of parallel calls are one message here, and one message each there.
        messages += (
            [Message("tool", tuple(answers))]
            if answers and dialect != "openai"
            else [Message("tool", (answer,)) for answer in answers]
        )
        if not answers or draw(st.booleans()):
            messages.append(Message("user", tuple(draw(user))))

    tools = tuple(
        draw(
            st.lists(
                st.builds(
                    Tool,
                    name=NAME,
                    description=st.none() | TEXT,
                    parameters=SCHEMAS,
                    strict=st.none() if is_gemini else st.booleans() if is_responses else st.none() | st.booleans(),
                    cache_ttl=marks,
                ),
                max_size=2,
            )
        )
    )
    own = draw(st.lists(SERVER_TOOLS[dialect], max_size=1)) if not (is_gemini and tools) else []
    choices = st.sampled_from([ToolChoice("auto"), ToolChoice("required"), ToolChoice("none")])
    choice = draw(st.none() | choices | st.builds(ToolChoice, st.just("one"), NAME)) if tools else None
    temperature = draw(st.none() | st.floats(0, 1))
    reasoning = None
    if is_anthropic and temperature is None and (choice is None or choice.mode in ("auto", "none")):
        efforts = st.sampled_from([None, "low", "medium", "high", "xhigh", "max"])
        reasoning = draw(
            st.none()
            | st.builds(ReasoningRequest, effort=efforts)
            | st.builds(ReasoningRequest, effort=efforts, budget_tokens=st.integers(1024, 4096))
            | st.builds(ReasoningRequest, effort=efforts, disabled=st.just(True))
        )
    elif is_gemini:
        efforts = st.sampled_from([None, "minimal", "low", "medium", "high"])
        reasoning = draw(
            st.none()
            | st.builds(ReasoningRequest, effort=efforts)
            | st.builds(ReasoningRequest, budget_tokens=st.integers(1, 4096))
            | st.just(ReasoningRequest(disabled=True))
        )
    elif not is_anthropic:
        efforts = st.sampled_from(["none", "minimal", "low", "medium", "high", "xhigh"])
        reasoning = draw(st.none() | st.builds(ReasoningRequest, effort=efforts))
    label = st.none() if is_anthropic or is_gemini else NAME
    has_parallel = choice is not None and choice.mode != "none" and not is_gemini
    tiers = {"anthropic": ["auto", "standard_only"], "gemini": ["default", "flex", "priority"]}
    return ChatRequest(
        model=draw(NAME),
        messages=tuple(messages),
        tools=tools,
        server_tools=tuple(own),
        tool_choice=choice,
        parallel_tool_calls=draw(st.none() | st.booleans()) if has_parallel else None,
        output=draw(st.none() | st.builds(OutputFormat, mode=st.just("json_schema"), schema=SCHEMAS, name=label)),
        reasoning=reasoning,
        stream=draw(st.booleans()),
        max_output_tokens=draw(st.integers(1 + ((reasoning and reasoning.budget_tokens) or 0), 8_000)),
        temperature=temperature,
        top_k=draw(st.none() | st.integers(1, 50)) if is_gemini or (is_anthropic and reasoning is None) else None,
        stop=() if is_responses else tuple(draw(st.lists(NAME, max_size=2))),
        user=None if is_gemini else draw(st.none() | NAME),
        service_tier=draw(st.sampled_from([None, *tiers.get(dialect, [])])),
        logprobs=None if is_anthropic else draw(st.none() | st.integers(0, 5)),
        seed=None if is_anthropic or is_responses else draw(st.none() | st.integers(0, 99)),
    )


def traits(request: ChatRequest) -> ModelTraits:
    return ModelTraits(request.model, 8_000, server_tools=frozenset({"web_search", "code_execution"}))


@pytest.mark.parametrize("name", DIALECTS)
@THOROUGH
@given(st.data())
def test_a_request_comes_back_as_it_went_out(name: str, data: st.DataObject) -> None:
    dialect = DIALECTS[name]  # type: ignore[index]
    request = data.draw(requests(name))
    encoded = dialect.encode_request(request, traits(request))
    assert encoded.dropped == ()
    assert dialect.decode_request(dialect.open(encoded.body, InPath(request.model, request.stream))) == request


@pytest.mark.parametrize("name", DIALECTS)
@QUICK
@given(st.data())
def test_a_request_passes_on_with_its_own_bytes(name: str, data: st.DataObject) -> None:
    """Also where a message or a tool has a field called `model` as well."""
    dialect = DIALECTS[name]  # type: ignore[index]
    request = data.draw(requests(name))
    body = dialect.encode_request(request, traits(request)).body
    sent = json.loads(body) | {"other": {"model": request.model}}
    spaced = json.dumps(sent, indent=data.draw(st.none() | st.integers(0, 2))).encode()
    envelope = dialect.open(spaced, InPath(request.model, request.stream))
    forwarded = json.loads(dialect.forward(envelope, "another/model"))
    forwarded.pop("stream_options", None)
    sent.pop("stream_options", None)
    assert forwarded == (sent if name == "gemini" else sent | {"model": "another/model"})


# Plain and streamed

USAGE = st.builds(
    lambda read, write, fresh, said, thought: Usage(read + write + fresh, said + thought, read, write, thought),
    *[st.integers(0, 10_000)] * 5,
)


PAGES = st.builds(Citation, url=st.just("https://example.com/") | NAME.map("https://example.com/{}".format))
CALLS_OF_OWN_TOOLS = st.builds(
    ServerCall, id=NAME, tool=st.just("web_search"), input=NAME, sources=st.lists(PAGES, max_size=2).map(tuple)
) | st.builds(ServerCall, id=NAME, tool=st.just("code_execution"), input=TEXT, output=TEXT, is_error=st.booleans())
LOGPROBS = st.lists(
    st.builds(
        TokenLogprob,
        token=TEXT,
        logprob=st.floats(-9, 0),
        top=st.lists(st.builds(TokenLogprob, token=TEXT, logprob=st.floats(-9, 0)), max_size=2).map(tuple),
    ),
    max_size=2,
).map(tuple)


@st.composite
def cited_texts(draw: st.DrawFn) -> Text:
    text = draw(TEXT)
    stretch = st.lists(st.integers(0, len(text)), min_size=2, max_size=2).map(sorted)
    edges = draw(st.lists(stretch, max_size=2))
    citations = [Citation(url="https://example.com/a", title="A", start=start, end=end) for start, end in edges]
    whole = draw(st.lists(st.just(Citation(url="https://example.com/b")), max_size=1))
    return Text(text=text, citations=(*citations, *whole), logprobs=draw(LOGPROBS))


@st.composite
def responses(draw: st.DrawFn) -> ChatResponse:
    calls = draw(st.lists(CALL, max_size=3))
    parts: list[AnyPart] = [
        *draw(st.lists(st.builds(Reasoning, text=TEXT, signature=TEXT), max_size=1)),
        *draw(st.lists(CALLS_OF_OWN_TOOLS, max_size=2, unique_by=lambda call: call.id)),
        *draw(st.lists(cited_texts(), max_size=1)),
        *calls,
    ]
    finishes: list[FinishReason] = ["tool_calls"] if calls else ["stop", "length"]
    choice = Choice(parts=tuple(parts), finish=draw(st.sampled_from(finishes)))
    return ChatResponse(id=draw(NAME), model=draw(NAME), choices=(choice,), usage=draw(USAGE))


def events_of(response: ChatResponse, pieces: int) -> list[AnyEvent]:
    events: list[AnyEvent] = [Started(id=response.id, model=response.model)]
    calls = 0
    for part in response.choices[0].parts:
        match part:
            case Text(text=text, citations=citations, logprobs=logprobs):
                first, *rest = split(text, pieces)
                events += [TextDelta(first, logprobs=logprobs), *(TextDelta(piece) for piece in rest)]
                events += map(Cited, citations)
            case ServerCall():
                events.append(ServerCalled(part))
            case Reasoning(text=text, signature=signature):
                events += [ReasoningDelta(piece) for piece in split(text, pieces)]
                events.append(ReasoningSigned(signature or ""))
            case ToolCall(id=id_, name=name, arguments=arguments):
                events.append(ToolCallStarted(calls, id_, name))
                events += [ToolArgumentsDelta(calls, piece) for piece in split(arguments, pieces)]
                calls += 1
    usage = [] if response.usage is None else [UsageReported(response.usage)]
    return [*events, Finished(response.choices[0].finish), *usage, Ended()]


def split(text: str, pieces: int) -> list[str]:
    size = -(-len(text) // pieces)
    return [text[start : start + size] for start in range(0, len(text), size)]


@EACH_DIALECT
@THOROUGH
@given(responses(), st.integers(1, 4))
def test_plain_and_streamed_agree(dialect: Dialect, response: ChatResponse, pieces: int) -> None:
    streamed = collect(decode_stream(dialect, [encode_stream(dialect, events_of(response, pieces))]))
    assert streamed == dialect.decode_response(dialect.encode_response(response))
    assert streamed.usage == response.usage


# Any order of events


@st.composite
def event_orders(draw: st.DrawFn) -> list[AnyEvent]:
    """A whole answer whose parts alternate, and whose calls may grow side by side."""
    events: list[AnyEvent] = [Started("id", "model")]
    calls = 0
    for _ in range(draw(st.integers(0, 5))):
        match draw(st.sampled_from(["text", "thought", "sealed", "own", "calls"])):
            case "text":
                events += [TextDelta(piece) for piece in draw(st.lists(TEXT, min_size=1, max_size=3))]
                events += draw(st.lists(st.just(PartEnded()), max_size=1))
            case "thought":
                events += [ReasoningDelta(piece) for piece in draw(st.lists(TEXT, max_size=3))]
                events.append(ReasoningSigned(draw(TEXT)))
            case "own":
                call = draw(CALLS_OF_OWN_TOOLS)
                events.append(ServerCalled(msgspec.structs.replace(call, id=f"own_{len(events)}", is_error=False)))
            case "sealed":
                events.append(ReasoningRedacted(draw(TEXT)))
            case _:
                count = draw(st.integers(1, 3))
                rows = [[ToolCallStarted(calls + at, f"call_{calls + at}", "f")] for at in range(count)]
                for at, row in enumerate(rows):
                    row += [ToolArgumentsDelta(calls + at, piece) for piece in split(draw(ARGUMENTS), 3)]  # type: ignore[misc]
                # Calls begin in order, and then grow in any.
                turns = draw(st.permutations([at for at, row in enumerate(rows) for _ in row[1:]]))
                begun = 0
                for at in turns:
                    while begun <= at:
                        events.append(rows[begun].pop(0))
                        begun += 1
                    events.append(rows[at].pop(0))
                calls += count
    events.append(Finished("tool_calls" if calls else "stop"))
    return [*events, UsageReported(draw(USAGE)), Ended()]


@EACH_DIALECT
@THOROUGH
@given(event_orders())
def test_a_stream_in_any_order_is_one_that_its_dialect_reads(dialect: Dialect, events: list[AnyEvent]) -> None:
    decoded = decode_stream(dialect, [encode_stream(dialect, events)])
    sent, got = collect(events), collect(decoded)
    assert said(got) == said(sent)
    assert got.usage == sent.usage
    if dialect.name not in ("openai", "gemini"):  # which have no marks between two texts
        assert msgspec.structs.replace(got, created=None) == sent


def said(response: ChatResponse) -> tuple[str, list[ToolCall]]:
    parts = response.choices[0].parts
    return (
        "".join(part.text for part in parts if isinstance(part, Text)),
        [part for part in parts if isinstance(part, ToolCall)],
    )


@EACH_DIALECT
@THOROUGH
@given(event_orders(), st.integers(0, 50))
def test_no_end_mark_follows_a_failure(dialect: Dialect, events: list[AnyEvent], at: int) -> None:
    at = min(at, len(events) - 1)
    broken: list[AnyEvent] = [*events[:at], Failed(StreamStalled("nothing came for 20 s")), *events[at:]]
    sent = encode_stream(dialect, broken)
    decoded = decode_stream(dialect, [sent])
    assert isinstance(decoded[-1], Failed)
    assert not any(isinstance(event, Ended) for event in decoded)
    lines = sent.split(b"\n")  # a text that says the same stands inside a line
    assert not {b"event: message_stop", b"event: response.completed", b"data: [DONE]"} & set(lines)
    assert b"stream_stalled" in sent


# Whatever a peer sends

WIRE_WORDS = st.sampled_from(
    [
        "model", "max_tokens", "messages", "role", "content", "type", "text", "user", "assistant", "system", "tool",
        "tools", "function", "name", "input_schema", "tool_use", "tool_result", "id", "input", "source", "image", "url",
        "base64", "data", "document", "thinking", "signature", "output_config", "format", "json_schema", "schema",
        "choices", "message", "usage", "input_tokens", "output_tokens", "finish_reason", "stop_reason", "end_turn",
        "index", "delta", "stream", "metadata", "tool_calls", "arguments", "image_url", "response_format", "stop",
        "contents", "parts", "model", "functionCall", "functionResponse", "args", "response", "inlineData", "mimeType",
        "file_data", "fileUri", "thought", "thoughtSignature", "generationConfig", "thinkingConfig", "toolConfig",
        "functionDeclarations", "parameters", "candidates", "finishReason", "STOP", "usageMetadata", "promptFeedback",
        "blockReason", "thinkingBudget", "systemInstruction",
        "input_text", "output_text", "server_tool_use", "web_search_tool_result", "tool_use_id", "citations",
        "web_search",
        "annotations", "url_citation", "logprobs", "token", "web_search_call", "code_interpreter_call", "action",
        "executableCode", "codeExecutionResult", "code", "groundingMetadata", "groundingChunks", "groundingSupports",
        "segment", "logprobsResult", "chosenCandidates", "googleSearch", "web_search_options", "code_interpreter",
        "container", "bash_code_execution_tool_result", "response.output_text.annotation.added", "annotation",
        "output", "summary", "encrypted_content", "reasoning", "function_call", "function_call_output", "call_id",
        "item", "response", "status", "error", "response.output_item.added", "response.output_item.done",
        "response.completed", "response.output_text.delta", "response.function_call_arguments.delta", "output_index",
    ]
)  # fmt: skip
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | WIRE_WORDS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WIRE_WORDS, inner, max_size=5),
    max_leaves=20,
)
BODIES = st.binary(max_size=40) | ANY_JSON.map(json.dumps).map(str.encode)


@EACH_DIALECT
@THOROUGH
@given(ANY_JSON, ANY_JSON, BODIES)
def test_any_body_is_a_request_or_refused_as_malformed(
    dialect: Dialect, messages: object, extra: object, body: bytes
) -> None:
    more = extra if isinstance(extra, dict) else {}
    body_of = {"model": "m", "max_tokens": 1, "messages": [messages], "contents": [messages], "input": [messages]}
    near = json.dumps(more | body_of).encode()
    for sent in (body, near):
        with suppress(MalformedRequest, CannotCarry):
            dialect.decode_request(dialect.open(sent, InPath("m")))


@EACH_DIALECT
@THOROUGH
@given(ANY_JSON, BODIES)
def test_any_body_is_an_answer_or_refused_as_malformed(dialect: Dialect, content: object, body: bytes) -> None:
    usage = {"input_tokens": 1, "output_tokens": 1}
    head = {"type": "message", "id": "i", "model": "m", "stop_reason": "end_turn", "usage": usage}
    content_of = dict.fromkeys(("content", "choices", "candidates", "output"), content)
    near = json.dumps(head | content_of).encode()
    for sent in (body, near):
        for read in (dialect.read_answer, dialect.decode_response):
            with suppress(MalformedAnswer, ContentRefused):
                read(sent)


@EACH_DIALECT
@THOROUGH
@given(st.lists(BODIES, max_size=4))
def test_any_bytes_are_a_stream_that_ends_or_fails(dialect: Dialect, datas: list[bytes]) -> None:
    sent = b"".join(b"data: " + data + b"\n\n" for data in datas)
    events = decode_stream(dialect, [sent])
    assert isinstance(events[-1], Ended | Failed)
    assert not any(isinstance(event, Ended | Failed) for event in events[:-1])
    tap = dialect.new_tap(True, price)
    passed = tap.feed(sent) + tap.finish()
    assert tap.finished or tap.failed is not None
    assert tap.finished or sent.startswith(passed)


@EACH_DIALECT
@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"model":' * 50_000, b'{"a":"\xff"}', b'{"a":"\\ud800"}', b""])
def test_hostile_bodies_are_refused_as_malformed(dialect: Dialect, body: bytes) -> None:
    with pytest.raises(MalformedRequest):
        dialect.open(body, InPath("m"))
    with pytest.raises(MalformedAnswer):
        dialect.decode_response(body)
    assert msgspec.json.decode(dialect.encode_error(MalformedRequest("no"), "req_1"))
