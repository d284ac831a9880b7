"""Chat requests to canonical and back: nothing lost in silence."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.canonical.model import ModelTraits
from sidecar.canonical.request import (
    AnyPart,
    Audio,
    ChatRequest,
    File,
    Image,
    Message,
    OutputFormat,
    Reasoning,
    ReasoningRequest,
    RedactedReasoning,
    Refusal,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from sidecar.dialects.base import Encoded
from sidecar.dialects.openai_chat import OPENAI_CHAT
from sidecar.errors import CannotCarry, MalformedRequest

MAX_OUTPUT = 64_000


def decode(body: bytes) -> ChatRequest:
    return OPENAI_CHAT.decode_request(OPENAI_CHAT.open(body))


def decoded(**fields: object) -> ChatRequest:
    body = {"model": "support", "messages": [{"role": "user", "content": "Hello"}], **fields}
    return decode(json.dumps(body).encode())


def encode(request: ChatRequest) -> Encoded:
    return OPENAI_CHAT.encode_request(
        request, ModelTraits(request.model, MAX_OUTPUT, server_tools=frozenset({"web_search"}))
    )


def encoded(request: ChatRequest) -> dict[str, Any]:
    body = json.loads(encode(request).body)
    assert isinstance(body, dict)
    return body


def asking(*messages: Message, **fields: Any) -> ChatRequest:
    return ChatRequest(model="gpt-5", messages=messages or (Message("user", (Text(text="Hello"),)),), **fields)


def test_a_golden_request_survives_the_way_there_and_back(
    request_case: str, golden: Callable[[str, str], bytes]
) -> None:
    request = decode(golden("requests", request_case))
    there = encode(request)
    assert there.dropped == ()
    back = decode(there.body)
    if request_case == "developer.json":  # sent as `system`, which every server knows
        assert [message.role for message in back.messages] == ["system", "user"]
        assert back.messages[0].parts == request.messages[0].parts
    else:
        assert back == request


def test_a_golden_request_in_its_plainest_form_is_written_as_it_was_read(golden: Callable[[str, str], bytes]) -> None:
    for case in ("tools.json", "json_schema.json", "image_inline.json", "file_inline.json", "knobs.json", "audio.json"):
        body = golden("requests", case)
        assert encoded(decode(body)) == json.loads(body), case


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"role": "user", "content": ""}, Message("user", (Text(text=""),))),
        ({"role": "assistant", "content": None, "tool_calls": []}, Message("assistant", ())),
        (
            {"role": "assistant", "content": "", "tool_calls": [{"id": "c", "function": {"name": "f"}}]},
            Message("assistant", (ToolCall(id="c", name="f", arguments=""),)),
        ),
        (
            {"role": "assistant", "content": "42", "reasoning_content": "6 × 7"},
            Message("assistant", (Reasoning(text="6 × 7"), Text(text="42"))),
        ),
        (
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
            Message("assistant", (Refusal(text="No."),)),
        ),
        (
            {"role": "tool", "tool_call_id": "c", "content": "12"},
            Message("tool", (ToolResult(call_id="c", parts=(Text(text="12"),)),)),
        ),
        (
            {"role": "user", "content": [{"type": "file", "file": {"file_id": "file-1", "filename": "a.pdf"}}]},
            Message("user", (File(file_id="file-1", name="a.pdf"),)),
        ),
        (
            {"role": "user", "content": [{"type": "file", "file": {"file_data": "JVBE"}}]},
            Message("user", (File(data="JVBE"),)),
        ),
        (
            {"role": "user", "content": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}]},
            Message("user", (Text(text="a", cache_ttl="5m"),)),
        ),
        (
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "30m"}}
                ],
            },
            Message("user", (Text(text="a", cache_ttl="1h"),)),
        ),
    ],
)
def test_messages_are_read_for_what_they_mean(message: dict[str, object], expected: Message) -> None:
    assert decoded(messages=[message]).messages == (expected,)


@pytest.mark.parametrize(
    ("fields", "name", "value"),
    [
        ({"max_tokens": 5}, "max_output_tokens", 5),
        ({"max_tokens": 5, "max_completion_tokens": 7}, "max_output_tokens", 7),
        ({"stop": "END"}, "stop", ("END",)),
        ({"stop": ["A", "B"]}, "stop", ("A", "B")),
        ({"stop": None}, "stop", ()),
        ({"n": None}, "choices", 1),
        ({"logprobs": True}, "logprobs", 0),
        ({"logprobs": True, "top_logprobs": 2}, "logprobs", 2),
        ({"logprobs": False}, "logprobs", None),
        ({"response_format": {"type": "text"}}, "output", None),
        (
            {"response_format": {"type": "json_object", "schema": {"type": "object"}}},
            "output",
            OutputFormat(mode="json_schema", schema={"type": "object"}),
        ),
        ({"reasoning_effort": "none"}, "reasoning", ReasoningRequest(effort="none")),
        ({"tool_choice": "none"}, "tool_choice", ToolChoice("none")),
        ({"verbosity": "low", "store": True}, "extra", {"verbosity": "low", "store": True}),
        (
            {"tools": [{"type": "function", "function": {"name": "f"}}]},
            "tools",
            (Tool(name="f", parameters={"type": "object", "properties": {}}),),
        ),
    ],
)
def test_knobs_are_read_for_what_they_mean(fields: dict[str, object], name: str, value: object) -> None:
    assert getattr(decoded(**fields), name) == value


def test_allowed_tools_narrow_the_tools_down() -> None:
    tools = [{"type": "function", "function": {"name": name}} for name in ("a", "b", "c")]
    allowed = {"mode": "required", "tools": [{"type": "function", "function": {"name": name}} for name in ("a", "c")]}
    request = decoded(tools=tools, tool_choice={"type": "allowed_tools", "allowed_tools": allowed})
    assert [tool.name for tool in request.tools] == ["a", "c"]
    assert request.tool_choice == ToolChoice("required")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"messages": [{"role": "robot", "content": "x"}]}, r"`messages\[0\].role` must be one of"),
        ({"messages": [{"content": "x"}]}, r"`messages\[0\]`: Object missing required field `role`"),
        ({"messages": [{"role": "user"}]}, r"`messages\[0\].content` is missing"),
        ({"messages": [{"role": "user", "content": 5}]}, r"`messages\[0\].content`: Expected"),
        ({"messages": [{"role": "user", "content": [{"type": "video"}]}]}, r"content\[0\].type` must be one of text"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, r"content\[0\].text` is missing"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,x"}}]}]},
            r"image_url` is missing or cannot be read",
        ),
        ({"messages": [{"role": "tool", "content": "x"}]}, r"tool_call_id` is missing"),
        ({"temperature": "hot"}, "`temperature`: Expected `float"),
        ({"n": 0}, "`n` must be at least 1"),
        ({"reasoning_effort": "extreme"}, "`reasoning_effort` must be one of none, minimal"),
        ({"response_format": {"type": "yaml"}}, "`response_format.type` must be"),
        ({"response_format": {"type": "json_schema"}}, "`response_format.json_schema` is missing"),
        ({"tool_choice": "maybe"}, "`tool_choice` must be"),
        ({"metadata": {"a": 1}}, "`metadata"),
    ],
)
def test_a_wrong_field_is_named_with_what_would_be_right(fields: dict[str, object], said: str) -> None:
    with pytest.raises(MalformedRequest, match=said):
        decoded(**fields)


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"tools": [{"type": "custom", "custom": {"name": "f"}}]}, "a tool of type `custom`"),
        ({"tool_choice": {"type": "custom", "custom": {"name": "f"}}}, "a choice of a custom tool"),
        ({"functions": [{"name": "f"}]}, "deprecated `functions`"),
        ({"modalities": ["text", "audio"]}, "audio output"),
        ({"messages": [{"role": "function", "name": "f", "content": "1"}]}, "deprecated function messages"),
        ({"messages": [{"role": "assistant", "audio": {"id": "a"}}]}, "an earlier audio answer"),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"id": "c", "type": "custom", "custom": {}}]}]},
            "a tool call of type `custom`",
        ),
    ],
)
def test_what_only_this_dialect_can_say_is_refused_to_others(fields: dict[str, object], what: str) -> None:
    with pytest.raises(CannotCarry, match=what):
        decoded(**fields)


@pytest.mark.parametrize(
    ("request_", "dropped"),
    [
        (asking(top_k=5), ("top_k",)),
        (asking(service_tier="standard_only"), ("service_tier",)),
        (asking(reasoning=ReasoningRequest(disabled=True)), ("thinking",)),
        (asking(reasoning=ReasoningRequest()), ()),
        (asking(Message("assistant", (Reasoning(text="a", signature="s"), Text(text="b")))), ("thinking",)),
        (asking(Message("assistant", (RedactedReasoning(data="x"),))), ("thinking",)),
        (asking(Message("user", (Text(text="a", cache_ttl="5m"),))), ("cache_control",)),
        (asking(tools=(Tool(name="f", parameters={}, cache_ttl="1h"),)), ("cache_control",)),
        (asking(Message("tool", (ToolResult(call_id="c", parts=(), is_error=True),))), ("is_error",)),
        (asking(tool_choice=ToolChoice("auto"), parallel_tool_calls=True), ("tool_choice", "parallel_tool_calls")),
        (asking(extra={"container": "c", "mcp_servers": []}), ("container", "mcp_servers")),
    ],
)
def test_a_knob_that_chat_lacks_is_dropped_and_named(request_: ChatRequest, dropped: tuple[str, ...]) -> None:
    there = encode(request_)
    assert there.dropped == dropped
    assert not {"top_k", "thinking", "cache_control", "container", "tool_choice"} & json.loads(there.body).keys()


@pytest.mark.parametrize(
    ("role", "part"),
    [
        ("user", File(url="https://example.com/a.pdf")),
        ("user", File(file_id="file-1")),
        ("user", Audio(data="AAAA", format="flac")),
        ("system", Image(url="https://example.com/a.png")),
        ("assistant", Image(data="AAAA", media_type="image/png")),
        ("tool", ToolResult(call_id="c", parts=(Image(url="https://example.com/a.png"),))),
        ("user", ToolResult(call_id="c", parts=())),
    ],
)
def test_content_that_chat_has_no_place_for_is_never_dropped(role: Any, part: AnyPart) -> None:
    with pytest.raises(CannotCarry):
        encode(asking(Message(role, (part,))))


def test_a_document_of_text_is_sent_as_text() -> None:
    body = encoded(asking(Message("user", (File(text="Terms.", name="terms.txt"),))))
    assert body["messages"] == [{"role": "user", "content": "terms.txt\n\nTerms."}]


def test_a_turn_with_several_results_becomes_a_message_each() -> None:
    results = tuple(ToolResult(call_id=id_, parts=(Text(text=id_),)) for id_ in ("a", "b"))
    body = encoded(asking(Message("tool", results)))
    assert body["messages"] == [{"role": "tool", "tool_call_id": id_, "content": id_} for id_ in ("a", "b")]


def test_a_stream_asks_for_usage() -> None:
    assert encoded(asking(stream=True))["stream_options"] == {"include_usage": True}
    assert "stream_options" not in encoded(asking())


def test_the_model_is_the_target_s_own_name() -> None:
    there = OPENAI_CHAT.encode_request(asking(), ModelTraits("gpt-5-2025-08-07", MAX_OUTPUT))
    assert json.loads(there.body)["model"] == "gpt-5-2025-08-07"


TEXT = st.text(min_size=1, max_size=12).filter(lambda text: text.isprintable())
NAME = st.from_regex(r"[a-z_]{1,8}", fullmatch=True)
USER_PART = st.one_of(
    st.builds(Text, text=TEXT),
    st.builds(Image, url=NAME.map("https://example.com/{}".format), detail=st.none() | st.just("low")),
    st.builds(Image, data=st.just("AAAA"), media_type=st.just("image/png")),
    st.builds(File, data=st.just("JVBE"), media_type=st.just("application/pdf"), name=st.none() | NAME),
    st.builds(Audio, data=st.just("AAAA"), format=st.sampled_from(["wav", "mp3"])),
)
ASSISTANT_PARTS = st.builds(
    lambda texts, refusal, calls: (*texts, *refusal, *calls),
    st.lists(st.builds(Text, text=TEXT), max_size=2),
    st.lists(st.builds(Refusal, text=TEXT), max_size=1),
    st.lists(st.builds(ToolCall, id=NAME, name=NAME, arguments=TEXT), max_size=2),
)
MESSAGE = st.one_of(
    st.builds(Message, st.just("user"), st.lists(USER_PART, min_size=1, max_size=3).map(tuple), name=st.none() | NAME),
    st.builds(Message, st.just("system"), st.lists(st.builds(Text, text=TEXT), min_size=1, max_size=2).map(tuple)),
    st.builds(Message, st.just("assistant"), ASSISTANT_PARTS),
    st.builds(lambda id_, text: Message("tool", (ToolResult(call_id=id_, parts=(Text(text=text),)),)), NAME, TEXT),
)
TOOL = st.builds(
    Tool,
    name=NAME,
    description=st.none() | TEXT,
    parameters=st.just({"type": "object", "properties": {"a": {"minimum": 1.5}}}),
    strict=st.none() | st.booleans(),
)
NUMBER = st.none() | st.floats(-2, 2)
REQUEST = st.builds(
    ChatRequest,
    model=NAME,
    messages=st.lists(MESSAGE, min_size=1, max_size=4).map(tuple),
    tools=st.lists(TOOL, min_size=1, max_size=2).map(tuple),
    tool_choice=st.none()
    | st.sampled_from([ToolChoice("auto"), ToolChoice("none"), ToolChoice("required"), ToolChoice("one", "f")]),
    parallel_tool_calls=st.none() | st.booleans(),
    output=st.none()
    | st.just(OutputFormat(mode="json"))
    | st.builds(OutputFormat, mode=st.just("json_schema"), schema=st.just({"type": "object"}), name=NAME),
    reasoning=st.none() | st.builds(ReasoningRequest, effort=st.sampled_from(["none", "low", "max"])),
    stream=st.booleans(),
    max_output_tokens=st.none() | st.integers(1, 10**6),
    temperature=NUMBER,
    top_p=NUMBER,
    stop=st.lists(TEXT, max_size=2).map(tuple),
    seed=st.none() | st.integers(),
    presence_penalty=NUMBER,
    frequency_penalty=NUMBER,
    logprobs=st.none() | st.integers(0, 5),
    choices=st.integers(1, 3),
    user=st.none() | TEXT,
    metadata=st.dictionaries(NAME, TEXT, max_size=2),
    service_tier=st.none() | st.just("flex"),
)


@given(REQUEST)
def test_what_chat_can_say_survives_the_way_there_and_back(request_: ChatRequest) -> None:
    there = encode(request_)
    assert there.dropped == ()
    assert decode(there.body) == request_
