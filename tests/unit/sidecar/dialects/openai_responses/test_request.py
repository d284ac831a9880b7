"""Requests: what cannot cross, what is lost by name, and thinking that goes back to who thought it."""

import json
from typing import Any

import pytest

from sidecar.canonical.model import ModelTraits
from sidecar.canonical.request import (
    ChatRequest,
    Image,
    Message,
    Reasoning,
    ReasoningRequest,
    RedactedReasoning,
    Text,
    ToolCall,
)
from sidecar.dialects.anthropic import ANTHROPIC
from sidecar.dialects.openai_chat import OPENAI_CHAT
from sidecar.dialects.openai_responses import OPENAI_RESPONSES
from sidecar.dialects.signatures import mark_responses
from sidecar.errors import CannotCarry, MalformedRequest


def decode(**fields: Any) -> ChatRequest:
    body = json.dumps({"model": "m", "input": "Hi"} | fields).encode()
    return OPENAI_RESPONSES.decode_request(OPENAI_RESPONSES.open(body))


def encode(*messages: Message, **fields: Any) -> dict[str, Any]:
    request = ChatRequest(model="m", messages=messages, **fields)
    return dict(json.loads(OPENAI_RESPONSES.encode_request(request, ModelTraits("t", 100)).body))


USER = Message("user", (Text(text="Hi"),))


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"previous_response_id": "resp_1"}, "an earlier answer by its id"),
        ({"conversation": {"id": "conv_1"}}, "a conversation"),
        ({"prompt": {"id": "pmpt_1"}}, "a prompt"),
        ({"background": True}, "in the background"),
        ({"tools": [{"type": "mcp", "server_label": "x"}]}, "a tool of type `mcp`"),
        ({"tools": [{"type": "file_search", "vector_store_ids": ["v"]}]}, "a tool of type `file_search`"),
        ({"tool_choice": {"type": "web_search"}}, "a choice of a tool of type `web_search`"),
        ({"tool_choice": {"type": "custom", "name": "x"}}, "a choice of a tool of type `custom`"),
        ({"input": [{"type": "custom_tool_call", "name": "x", "input": {"not": "text"}}]}, "an item of type"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "an item of type `item_reference`"),
        ({"input": [{"role": "user", "content": [{"type": "input_audio"}]}]}, "a part of type `input_audio`"),
        ({"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]}, "an image that lives"),
    ],
)
def test_what_lives_at_the_provider_does_not_cross(fields: dict[str, Any], what: str) -> None:
    with pytest.raises(CannotCarry, match=what):
        decode(**fields)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"input": [{"role": "robot", "content": "x"}]}, r"`input\[0\].role` must be one of"),
        ({"input": [{"role": "user"}]}, r"`input\[0\].content` is missing"),
        ({"input": [{"role": "user", "content": 7}]}, r"`input\[0\].content`: Expected"),
        ({"input": [{"role": "user", "content": [{"type": "input_text"}]}]}, r"`input\[0\].content\[0\]`"),
        ({"input": [{"type": "function_call", "name": "f"}]}, r"`input\[0\]` must have a `call_id`"),
        ({"input": [{"type": "function_call_output", "output": "x"}]}, r"`input\[0\].call_id` is missing"),
        ({"input": [{"type": "function_call_output", "call_id": "c"}]}, r"`input\[0\].output` is missing"),
        ({"tools": [{"type": "function"}]}, "must have a `name`"),
        ({"tools": [{"type": "function", "name": 3}]}, r"`tools\[0\].name`: Expected `str"),
        ({"tool_choice": "always"}, "`tool_choice` must be"),
        ({"tool_choice": {"type": "function"}}, "`tool_choice` must be"),
        ({"text": {"format": {"type": "json_schema", "name": "a"}}}, "`text.format.schema` is missing"),
        ({"text": {"format": {"type": "yaml"}}}, "`text.format.type` must be"),
        ({"reasoning": {"effort": "endless"}}, "`reasoning.effort` must be one of"),
    ],
)
def test_what_is_malformed_is_named(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(MalformedRequest, match=said):
        decode(**fields)


@pytest.mark.parametrize(
    ("fields", "lost"),
    [
        ({}, []),
        ({"store": False}, []),
        ({"store": True}, ["store"]),
        ({"include": ["reasoning.encrypted_content"]}, []),
        ({"include": ["file_search_call.results"]}, ["include"]),
        ({"truncation": None}, []),
        ({"truncation": "auto"}, ["truncation"]),
        ({"reasoning": {"summary": "auto"}}, ["reasoning.summary"]),
        ({"text": {"verbosity": "low"}}, ["text.verbosity"]),
        ({"input": [{"role": "assistant", "content": "a", "phase": "commentary"}]}, ["input.phase"]),
        ({"tools": [{"type": "function", "name": "f", "defer_loading": True}]}, ["tools.defer_loading"]),
    ],
)
def test_a_knob_without_a_place_is_named(fields: dict[str, Any], lost: list[str]) -> None:
    assert list(decode(**fields).extra) == lost


def test_what_the_model_said_in_one_turn_is_one_message() -> None:
    request = decode(
        input=[
            {"role": "user", "content": "Hi"},
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "e"},
            {"role": "assistant", "content": "I look."},
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": "x"},
            {"role": "user", "content": "And?"},
            {"role": "user", "content": "Well?"},
        ]
    )
    assert [message.role for message in request.messages] == ["user", "assistant", "tool", "user", "user"]
    assert request.messages[1].parts == (
        Reasoning(text="", signature=mark_responses("rs_1", "e")),
        Text(text="I look."),
        ToolCall(id="c", name="f", arguments="{}"),
    )


def test_a_function_is_strict_only_where_the_caller_said_so() -> None:
    """The API takes a function that does not say to be strict, and the other dialects do not."""
    tool = {"name": "f", "parameters": {"type": "object"}}
    chat = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "tools": [{"function": tool}]}
    request = OPENAI_CHAT.decode_request(OPENAI_CHAT.open(json.dumps(chat).encode()))
    sent = json.loads(OPENAI_RESPONSES.encode_request(request, ModelTraits("t", 100)).body)
    assert sent["tools"][0]["strict"] is False


@pytest.mark.parametrize(
    ("reasoning", "sent"),
    [
        (None, {}),
        (ReasoningRequest(), {"include": ["reasoning.encrypted_content"]}),
        (
            ReasoningRequest(effort="high", budget_tokens=2048),
            {"reasoning": {"effort": "high"}, "include": ["reasoning.encrypted_content"]},
        ),
        (ReasoningRequest(disabled=True), {"reasoning": {"effort": "none"}}),
        (ReasoningRequest(effort="none"), {"reasoning": {"effort": "none"}}),
    ],
)
def test_thinking_that_is_asked_for_comes_encrypted(reasoning: ReasoningRequest | None, sent: dict[str, Any]) -> None:
    body = encode(USER, reasoning=reasoning)
    assert body["store"] is False
    assert {name: body[name] for name in ("reasoning", "include") if name in body} == sent


def test_thinking_goes_back_to_who_thought_it_and_to_nobody_else() -> None:
    """A conversation that changes vendors twice, seen from both sides."""
    own = Reasoning(text="ours", signature=mark_responses("rs_9", "gAAA"))
    theirs = Reasoning(text="theirs", signature="EqQB")
    turn = Message("assistant", (own, theirs, RedactedReasoning(data="Emw"), Text(text="A")))
    request = ChatRequest(model="m", messages=(USER, turn, USER))

    there = OPENAI_RESPONSES.encode_request(request, ModelTraits("t", 100))
    assert there.dropped == ("thinking",)
    assert json.loads(there.body)["input"][1:3] == [
        {
            "type": "reasoning",
            "id": "rs_9",
            "summary": [{"type": "summary_text", "text": "ours"}],
            "encrypted_content": "gAAA",
        },
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "A"}]},
    ]

    here = ANTHROPIC.encode_request(request, ModelTraits("t", 100))
    assert here.dropped == ("messages.reasoning",)
    assert [block["type"] for block in json.loads(here.body)["messages"][1]["content"]] == [
        "thinking",
        "redacted_thinking",
        "text",
    ]


def test_thinking_of_openai_in_an_anthropic_conversation_stays_out_of_anthropics_sight() -> None:
    ours = {"type": "thinking", "thinking": "t", "signature": mark_responses("rs_1", "gAAA")}
    theirs = {"type": "thinking", "thinking": "t", "signature": "EqQB"}
    text = {"type": "text", "text": "A"}
    body = {
        "model": "m",
        "max_tokens": 5,
        "messages": [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": [ours, theirs, text]},
            {"role": "user", "content": "And?"},
        ],
    }
    forwarded = json.loads(ANTHROPIC.forward(ANTHROPIC.open(json.dumps(body).encode()), "t"))
    assert forwarded["messages"][1]["content"] == [theirs, text]


def test_a_system_text_alone_stays_in_the_input() -> None:
    body = encode(Message("system", (Text(text="Be brief."),)))
    assert body["input"] == [{"type": "message", "role": "system", "content": "Be brief."}]


@pytest.mark.parametrize(
    ("message", "what"),
    [
        (Message("system", (Image(url="https://example.com/a.png"),)), "an image where"),
        (Message("assistant", (Image(url="https://example.com/a.png"),)), "an image in an answer"),
    ],
)
def test_content_without_a_place_is_not_dropped(message: Message, what: str) -> None:
    with pytest.raises(CannotCarry, match=what):
        encode(message, USER)
