"""How a conversation begins: the same as it grows, another for another conversation, whatever the dialect."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.bundle import DialectName
from sidecar.dialects.base import InPath
from sidecar.dialects.registry import DIALECTS
from sidecar.errors import MalformedRequest

MARK = {"cache_control": {"type": "ephemeral"}}
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
FUNCTION = {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{}"}


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def said(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "content": text}


def gemini(*texts: str, **more: Any) -> dict[str, Any]:
    contents = [
        {"role": "model" if place % 2 else "user", "parts": [{"text": text}]} for place, text in enumerate(texts)
    ]
    return {"contents": contents, **more}


def beginning(dialect: DialectName, **fields: Any) -> bytes:
    made = DIALECTS[dialect]
    body = json.dumps({"model": "chat", "max_tokens": 9, **fields}).encode()
    return made.beginning(made.open(body, InPath(model="chat")))


ANSWER = [said("assistant", "Hello!"), said("user", "And now?")]

Turn = dict[str, Any]


@pytest.mark.parametrize(
    ("dialect", "first", "later"),
    [
        ("openai", {"messages": [said("user", "Hi")]}, {"messages": [said("user", "Hi"), *ANSWER]}),
        ("openai", {"messages": [said("system", "Be kind"), said("user", "Hi")]},
         {"messages": [said("system", "Be kind"), said("user", "Hi"), *ANSWER], "temperature": 1, "stream": True}),
        ("openai", {"messages": [user("Hi")], "prompt_cache_key": "a", "user": "u"},
         {"messages": [user([{"type": "text", "text": "Hi"}]), *ANSWER], "prompt_cache_key": "b", "user": "v"}),
        ("anthropic", {"system": "Be kind", "messages": [user([{"type": "text", "text": "Hi", **MARK}])]},
         {"system": [{"type": "text", "text": "Be kind", **MARK}],
          "messages": [user("Hi"), said("assistant", "Hello!"), user([{"type": "text", "text": "And?", **MARK}])]}),
        ("anthropic", {"messages": [user([{**IMAGE, **MARK}])], "metadata": {"user_id": "u"}},
         {"messages": [user([IMAGE]), *ANSWER]}),
        ("openai-responses", {"instructions": "Be kind", "input": "Hi"},
         {"instructions": "Be kind", "input": [user("Hi"), *ANSWER]}),
        ("openai-responses", {"input": [said("developer", "Be kind"), user([{"type": "input_text", "text": "Hi"}])]},
         {"input": [said("developer", "Be kind"), user("Hi"), FUNCTION, *ANSWER]}),
        ("openai-responses", {"input": "Hi", "conversation": "conv_1"}, {"input": "Else", "conversation": "conv_1"}),
        ("gemini", gemini("Hi", systemInstruction={"parts": [{"text": "Be kind"}]}),
         gemini("Hi", "Hello!", "And?", system_instruction={"parts": [{"text": "Be kind"}]})),
        ("gemini", {"contents": {"parts": {"text": "Hi"}}},
         {"contents": [{"parts": {"text": "Hi"}}, {"role": "model", "parts": {"text": "Hello!"}}]}),
    ],
)  # fmt: skip
def test_it_stays_the_same_as_turns_are_added(dialect: DialectName, first: Turn, later: Turn) -> None:
    assert beginning(dialect, **first) == beginning(dialect, **later) != b""


@pytest.mark.parametrize(
    ("dialect", "one", "other"),
    [
        ("openai", {"messages": [user("Hi")]}, {"messages": [user("Ho")]}),
        ("openai", {"messages": [said("system", "A"), user("Hi")]}, {"messages": [said("system", "B"), user("Hi")]}),
        ("openai", {"messages": [said("system", "Hi"), user("A")]}, {"messages": [said("assistant", "Hi"), user("A")]}),
        ("anthropic", {"system": "A", "messages": [user("Hi")]}, {"system": "B", "messages": [user("Hi")]}),
        ("anthropic", {"messages": [user([{"type": "text", "text": "What is this?"}, IMAGE])]},
         {"messages": [user([{"type": "text", "text": "What is this?"}, {**IMAGE, "source": {"data": "B"}}])]}),
        ("openai-responses", {"input": "Hi"}, {"input": "Ho"}),
        ("openai-responses", {"input": "Hi", "instructions": "A"}, {"input": "Hi", "instructions": "B"}),
        ("openai-responses", {"input": "Hi", "conversation": "conv_1"}, {"input": "Hi", "conversation": "conv_2"}),
        ("openai-responses", {"input": "Hi", "previous_response_id": "resp_1"}, {"input": "Hi"}),
        ("gemini", gemini("Hi"), gemini("Ho")),
    ],
)  # fmt: skip
def test_another_conversation_begins_otherwise(dialect: DialectName, one: Turn, other: Turn) -> None:
    assert beginning(dialect, **one) != beginning(dialect, **other)


@pytest.mark.parametrize(
    ("dialect", "fields"),
    [
        ("openai", {"messages": [7]}),
        ("openai", {"messages": [{"role": 7, "content": "Hi"}]}),
        ("openai", {"messages": [user([7])]}),
        ("anthropic", {"messages": ["Hi"]}),
        ("openai-responses", {"prompt": {"id": "pmpt_1"}}),
        ("openai-responses", {"input": [[]]}),
    ],
)
def test_what_cannot_be_read_tells_nothing_and_fails_nothing(dialect: DialectName, fields: Turn) -> None:
    assert beginning(dialect, **fields) == b""


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["user", "\ud800"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["role", "content", "parts", "text", "type", "\ud800"]), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(
    st.sampled_from(sorted(DIALECTS)),
    st.dictionaries(
        st.sampled_from(
            ["messages", "system", "input", "instructions", "conversation", "contents", "systemInstruction"]
        ),
        JSON,
    ),
)
def test_whatever_is_sent_it_is_told_or_refused(dialect: DialectName, fields: Turn) -> None:
    made = DIALECTS[dialect]
    body = json.dumps({"model": "chat", "max_tokens": 9, **fields}).encode()
    with suppress(MalformedRequest):
        assert isinstance(made.beginning(made.open(body, InPath(model="chat"))), bytes)


@given(st.lists(st.text(), min_size=1, max_size=6), st.integers(1, 6))
def test_a_conversation_of_any_texts_begins_as_its_first_turn_does(texts: list[str], length: int) -> None:
    turns = [said("assistant" if place % 2 else "user", text) for place, text in enumerate(texts)]
    for dialect, name in (("openai", "messages"), ("anthropic", "messages"), ("openai-responses", "input")):
        assert beginning(dialect, **{name: turns[:length]}) == beginning(dialect, **{name: turns})
    assert beginning("gemini", **gemini(*texts[:length])) == beginning("gemini", **gemini(*texts))
