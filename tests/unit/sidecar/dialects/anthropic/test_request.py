"""Requests of the Messages API: what is read of them for routing, refused, dropped by name, or put in its place."""

import json
from collections.abc import Mapping

import msgspec
import pytest

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
    Refusal,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from sidecar.dialects.anthropic import ANTHROPIC
from sidecar.errors import CannotCarry, MalformedRequest

HELLO = {"role": "user", "content": "Hello"}
MINIMAL = {"model": "customer-support", "max_tokens": 100, "messages": [HELLO]}
USER = Message("user", (Text(text="Hello"),))
TOOL = Tool(name="f", parameters={"type": "object"})


def encode(**fields: object) -> dict[str, object]:
    return encoded(**fields)[0]


def encoded(**fields: object) -> tuple[dict[str, object], tuple[str, ...]]:
    request = msgspec.structs.replace(ChatRequest(model="m", messages=(USER,)), **fields)
    out = ANTHROPIC.encode_request(request, ModelTraits("claude", 64_000))
    return json.loads(out.body), out.dropped


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": None}, "model: Expected `str`, got `null`"),
        ({"model": ""}, "model: must name a use case or a model"),
        ({"max_tokens": "many"}, "max_tokens: Expected `int`, got `str`"),
        ({"max_tokens": -1}, "max_tokens: must not be negative"),
        ({"messages": []}, "messages: must be an array with at least one message"),
        ({"messages": "Hello"}, "messages: must be an array with at least one message"),
        ({"stream": "yes"}, "stream: Expected `bool`, got `str`"),
        ({"thinking": {"type": "deep"}}, "thinking: Invalid value 'deep'"),
    ],
)
def test_a_field_of_the_wrong_kind_is_named(change: Mapping[str, object], message: str) -> None:
    with pytest.raises(MalformedRequest) as refused:
        ANTHROPIC.open(json.dumps(MINIMAL | change).encode())
    assert refused.value.message.startswith(message)


@pytest.mark.parametrize("name", ["model", "max_tokens", "messages"])
def test_a_missing_field_is_named(name: str) -> None:
    body = {field: value for field, value in MINIMAL.items() if field != name}
    with pytest.raises(MalformedRequest, match=f"^{name}: field required$"):
        ANTHROPIC.open(json.dumps(body).encode())


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"{", b'"text"', b"\xff\xfe"])
def test_a_body_that_is_no_object_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedRequest, match="not a JSON object"):
        ANTHROPIC.open(body)


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        ([{"role": "friend", "content": "Hi"}], "messages: Invalid enum value 'friend'"),
        ([{"role": "user"}], "messages: Object missing required field `content`"),
        (
            [{"role": "user", "content": [{"text": "Hi"}]}],
            "messages[0].content[0]: Object missing required field `type`",
        ),
        ([HELLO, {"role": "user", "content": [{"type": "text"}]}], "messages[1].content[0]: Object missing required"),
        ([{"role": "user", "content": 7}], "messages[0].content: Expected `array`, got `int`"),
    ],
)
def test_a_bad_message_is_named_by_its_place(messages: object, message: str) -> None:
    envelope = ANTHROPIC.open(json.dumps(MINIMAL | {"messages": messages}).encode())
    with pytest.raises(MalformedRequest) as refused:
        ANTHROPIC.decode_request(envelope)
    assert refused.value.message.startswith(message)


IMAGE = {"type": "image", "source": {"type": "url", "url": "https://example.com/ant.jpg"}}
DOCUMENT = {"type": "document", "source": {"type": "file", "file_id": "file_1"}}
RESULT = {"type": "tool_result", "tool_use_id": "t", "content": [IMAGE]}


@pytest.mark.parametrize(
    ("change", "needs"),
    [
        ({}, set()),
        ({"tools": []}, set()),
        ({"tools": [{"name": "f", "input_schema": {"type": "object"}}]}, {"tools"}),
        ({"messages": [{"role": "user", "content": [IMAGE]}]}, {"vision"}),
        ({"messages": [{"role": "user", "content": [RESULT]}]}, {"vision"}),
        ({"messages": [{"role": "user", "content": [IMAGE, DOCUMENT]}]}, {"vision", "files"}),
        ({"messages": [{"role": "user", "content": 'What does "image" or {"type":"document"} mean?'}]}, set()),
        ({"metadata": {"image": "image"}}, set()),
        ({"output_config": {"format": {"type": "json_schema", "schema": {}}}}, {"json_schema"}),
        ({"output_format": {"type": "json_schema", "schema": {}}}, {"json_schema"}),
        ({"output_config": {"effort": "low"}}, set()),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, {"reasoning"}),
        ({"thinking": {"type": "adaptive"}}, {"reasoning"}),
        ({"thinking": {"type": "disabled"}}, set()),
    ],
)
def test_what_a_target_must_be_able_to_do(change: Mapping[str, object], needs: set[str]) -> None:
    assert ANTHROPIC.open(json.dumps(MINIMAL | change).encode()).needs == needs


def test_linked_media_count_as_input() -> None:
    linked = ANTHROPIC.open(json.dumps(MINIMAL | {"messages": [{"role": "user", "content": [IMAGE]}]}).encode())
    assert linked.input_tokens > ANTHROPIC.open(json.dumps(MINIMAL).encode()).input_tokens + 1_000


def test_metadata_is_what_has_text_values() -> None:
    body = MINIMAL | {"metadata": {"user_id": "u-1", "team": "a", "level": 3}}
    assert ANTHROPIC.open(json.dumps(body).encode()).metadata == {"user_id": "u-1", "team": "a"}


@pytest.mark.parametrize(
    "body",
    [
        b'{ "max_tokens" : 1,\n "model"\t:\n"a" , "messages": [ {"role":"user","content":"x"} ] }',
        b'{"messages":[{"role":"user","content":"\\"model\\":\\"a\\""}],"model":"a","max_tokens":1}',
    ],
)
def test_forward_changes_the_name_of_the_model_and_no_other_byte(body: bytes) -> None:
    expected = b'"claude-sonnet-4-6"'.join(body.rsplit(b'"a"', 1))
    assert ANTHROPIC.forward(ANTHROPIC.open(body), "claude-sonnet-4-6") == expected


def test_forward_finds_the_field_among_others_of_the_same_name() -> None:
    body = b'{"messages":[{"role":"user","content":[{"model":"a"}]}],"model":"a","max_tokens":1}'
    assert ANTHROPIC.forward(ANTHROPIC.open(body), "b") == body.replace(b',"model":"a"', b',"model":"b"')


def test_forward_leaves_out_thinking_that_another_vendor_left_unsigned() -> None:
    """Anthropic refuses it, and the caller only repeats what an earlier answer gave it."""
    signed = {"type": "thinking", "thinking": "hm", "signature": "EqQB"}
    unsigned = {"type": "thinking", "thinking": "hm", "signature": ""}
    text = {"type": "text", "text": 'It says "signature": "" there.'}
    turns = [HELLO, {"role": "assistant", "content": [unsigned, signed, text]}, HELLO]
    body = MINIMAL | {"messages": [*turns, {"role": "assistant", "content": [unsigned]}, HELLO]}
    forwarded = json.loads(ANTHROPIC.forward(ANTHROPIC.open(json.dumps(body).encode()), "claude"))
    kept = [HELLO, {"role": "assistant", "content": [signed, text]}, HELLO, HELLO]
    assert forwarded == MINIMAL | {"model": "claude", "messages": kept}


@pytest.mark.parametrize(
    ("fields", "dropped"),
    [
        ({"seed": 1}, ("seed",)),
        ({"presence_penalty": 0.5, "frequency_penalty": -0.5}, ("presence_penalty", "frequency_penalty")),
        ({"presence_penalty": 0.0}, ()),
        ({"logprobs": 0}, ("logprobs",)),
        ({"logprobs": 3}, ("logprobs",)),
        ({"metadata": {"team": "a"}}, ("metadata",)),
        ({"extra": {"prompt_cache_key": "k"}}, ("prompt_cache_key",)),
        ({"temperature": 1.0}, ()),
        ({"temperature": 1.5}, ("temperature",)),
        ({"temperature": 0.5, "top_p": 0.9}, ("top_p",)),
        ({"temperature": 1.5, "top_p": 0.9}, ("temperature",)),
        ({"temperature": 0.5, "reasoning": ReasoningRequest(effort="low")}, ("temperature",)),
        ({"top_p": 0.9, "top_k": 5, "reasoning": ReasoningRequest()}, ("top_p", "top_k")),
        ({"top_p": 0.95, "reasoning": ReasoningRequest()}, ()),
        ({"top_p": 0.9, "top_k": 5, "reasoning": ReasoningRequest(disabled=True)}, ()),
        ({"stop": ("END", " \n")}, ("stop",)),
        ({"service_tier": "flex"}, ("service_tier",)),
        ({"service_tier": "default"}, ()),
        ({"output": OutputFormat(mode="json")}, ("response_format",)),
        ({"max_output_tokens": 128_000}, ("max_tokens",)),
        ({"tool_choice": ToolChoice("required")}, ("tool_choice",)),
        ({"messages": (Message("user", (Text(text="Hi"),), name="Ann"),)}, ("messages.name",)),
        (
            {"messages": (Message("user", (Image(url="https://e/x.png", detail="high"),)),)},
            ("messages.image_url.detail",),
        ),
        ({"messages": (USER, Message("assistant", (Reasoning(text="hm"), Text(text="Hi"))))}, ("messages.reasoning",)),
    ],
)
def test_a_knob_without_a_place_is_dropped_by_name(fields: Mapping[str, object], dropped: tuple[str, ...]) -> None:
    assert encoded(**fields)[1] == dropped


@pytest.mark.parametrize(
    "fields",
    [
        {"choices": 2},
        {"messages": (Message("user", (Audio(data="UklGRg==", format="wav"),)),)},
        {"messages": (Message("user", (Image(data="Qk0=", media_type="image/bmp"),)),)},
        {"messages": (Message("user", (File(file_id="file-1"),)),)},
        {"messages": (Message("user", (File(data="UEs=", media_type="application/zip"),)),)},
        {"messages": (Message("user", (File(data="/w==", media_type="text/plain"),)),)},
        {"messages": (Message("system", (Text(text="Be brief."),)),)},
    ],
)
def test_content_without_a_place_is_refused(fields: Mapping[str, object]) -> None:
    with pytest.raises(CannotCarry):
        encode(**fields)


def test_max_tokens_is_the_models_largest_where_the_caller_names_none() -> None:
    assert encode()["max_tokens"] == 64_000
    assert encode(max_output_tokens=10)["max_tokens"] == 10


def test_results_of_parallel_calls_and_what_the_user_says_next_are_one_message() -> None:
    messages = (
        USER,
        Message("assistant", (ToolCall(id="1", name="f", arguments="{}"), ToolCall(id="2", name="f", arguments="{}"))),
        Message("tool", (ToolResult(call_id="1", parts=(Text(text="one"),)),)),
        Message("tool", (ToolResult(call_id="2", parts=(Text(text="two"),), is_error=True),)),
        Message("user", (Text(text="Go on."),)),
    )
    assert encode(messages=messages, tools=(TOOL,))["messages"][2:] == [
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "1", "content": "one"},
                {"type": "tool_result", "tool_use_id": "2", "content": "two", "is_error": True},
                {"type": "text", "text": "Go on."},
            ],
        }
    ]


def test_results_stand_before_the_answer_they_led_to() -> None:
    messages = (
        USER,
        Message("assistant", (ToolCall(id="1", name="f", arguments="{}"),)),
        Message("tool", (ToolResult(call_id="1", parts=(Text(text="one"),)),)),
        Message("assistant", (Text(text="Done."),)),
    )
    roles = [message["role"] for message in encode(messages=messages)["messages"]]
    assert roles == ["user", "assistant", "user", "assistant"]


def test_a_later_system_turn_joins_the_first_and_its_place_is_named_as_lost() -> None:
    messages = (
        Message("system", (Text(text="Be brief."),)),
        USER,
        Message("developer", (Text(text="Answer in French."),)),
    )
    body, dropped = encoded(messages=messages)
    assert [block["text"] for block in body["system"]] == ["Be brief.", "Answer in French."]
    assert len(body["messages"]) == 1
    assert dropped == ("messages.system_position",)


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        ('{"a": 1}', {"a": 1}),
        ("", {}),
        ("  ", {}),
        ('{"a": ', {"malformed_arguments": '{"a": '}),
        ("[1]", {"malformed_arguments": "[1]"}),
        ("null", {"malformed_arguments": "null"}),
        ("[" * 50_000, {"malformed_arguments": "[" * 50_000}),
    ],
)
def test_arguments_that_are_no_object_are_carried_as_text(arguments: str, sent: object) -> None:
    messages = (USER, Message("assistant", (ToolCall(id="1", name="f", arguments=arguments),)))
    assert encode(messages=messages)["messages"][1]["content"][0]["input"] == sent


@pytest.mark.parametrize(
    ("part", "block"),
    [
        (Image(url="https://e/x.png"), {"type": "image", "source": {"type": "url", "url": "https://e/x.png"}}),
        (
            File(data="aGk=", media_type="text/plain", name="a.txt"),
            {
                "type": "document",
                "source": {"type": "text", "media_type": "text/plain", "data": "hi"},
                "title": "a.txt",
            },
        ),
        (Text(text="hi", cache_ttl="5m"), {"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}}),
        (
            Text(text="hi", cache_ttl="1h"),
            {"type": "text", "text": "hi", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        ),
    ],
)
def test_a_part_in_its_block(part: AnyPart, block: Mapping[str, object]) -> None:
    assert encode(messages=(Message("user", (part,)),))["messages"][0]["content"] == [block]


def test_an_empty_text_is_left_out_and_a_refusal_is_what_was_said() -> None:
    said = Message("assistant", (Text(text=""), Refusal(text="I won't.")))
    assert encode(messages=(USER, said, USER))["messages"][1] == {"role": "assistant", "content": "I won't."}


@pytest.mark.parametrize(
    ("reasoning", "thinking", "effort"),
    [
        (ReasoningRequest(), {"type": "adaptive"}, None),
        (ReasoningRequest(effort="high"), {"type": "adaptive"}, "high"),
        (ReasoningRequest(effort="minimal"), {"type": "adaptive"}, "low"),
        (ReasoningRequest(effort="none"), {"type": "disabled"}, None),
        (ReasoningRequest(disabled=True), {"type": "disabled"}, None),
        (ReasoningRequest(budget_tokens=2048), {"type": "enabled", "budget_tokens": 2048}, None),
    ],
)
def test_reasoning_in_the_apis_words(reasoning: ReasoningRequest, thinking: object, effort: str | None) -> None:
    body, dropped = encoded(reasoning=reasoning)
    assert body["thinking"] == thinking
    assert body.get("output_config", {}).get("effort") == effort
    assert dropped == ()


def test_thinking_gives_way_to_a_forced_tool() -> None:
    choice = ToolChoice("one", "f")
    body, dropped = encoded(tools=(TOOL,), tool_choice=choice, reasoning=ReasoningRequest(budget_tokens=2048))
    assert "thinking" not in body
    assert dropped == ("thinking",)


@pytest.mark.parametrize(
    ("choice", "parallel", "sent"),
    [
        (None, None, None),
        (None, True, None),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
        (ToolChoice("required"), False, {"type": "any", "disable_parallel_tool_use": True}),
        (ToolChoice("one", "f"), None, {"type": "tool", "name": "f"}),
        (ToolChoice("none"), False, {"type": "none"}),
    ],
)
def test_tool_choice(choice: ToolChoice | None, parallel: bool | None, sent: object) -> None:
    assert encode(tools=(TOOL,), tool_choice=choice, parallel_tool_calls=parallel).get("tool_choice") == sent


def test_a_tool_without_parameters_has_an_objects_schema() -> None:
    assert encode(tools=(Tool(name="f", parameters={}),))["tools"] == [
        {"name": "f", "input_schema": {"type": "object"}}
    ]
