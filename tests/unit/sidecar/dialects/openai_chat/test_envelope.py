"""What routing reads of a body, what it refuses, and that a body passes through as it came."""

import contextlib
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.dialects.estimate import MEDIA_TOKENS
from sidecar.dialects.openai_chat import OPENAI_CHAT
from sidecar.errors import CannotCarry, MalformedRequest

HELLO = [{"role": "user", "content": "Hello"}]
PICTURE = "data:image/png;base64," + "iVBORw0KGgo" * 100


def body(**fields: object) -> bytes:
    return json.dumps({"model": "support", "messages": HELLO, **fields}).encode()


def parts(*content: dict[str, object]) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": list(content)}]}


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "the body is empty"),
        (b"[]", "must be a JSON object"),
        (b"hello", "not valid JSON"),
        (b'{"model": "a", "messages": [}', r"not valid JSON: .*\(byte \d+\)"),
        (b'{"model": "a"', "not valid JSON"),
        (b'{"\xff": 1}', "not valid JSON"),
        (b"[" * 100_000, "JSON object"),
        (b'{"model":' + b"[" * 100_000, "nested too deeply"),
        (b'{"messages": [{}]}', "`model` is missing"),
        (b'{"model": "", "messages": [{}]}', "`model` is missing"),
        (b'{"model": 5, "messages": [{}]}', "`model` must be a string"),
        (b'{"model": "a"}', "`messages` is missing"),
        (b'{"model": "a", "messages": {}}', "`messages` must be an array"),
        (b'{"model": "a", "messages": "hi"}', "`messages` must be an array"),
        (b'{"model": "a", "messages": []}', "`messages` is empty"),
        (b'{"model": "a", "messages": [ \n ]}', "`messages` is empty"),
        (b'{"model": "a", "messages": [' + b" " * 80 + b"]}", "`messages` is empty"),
        (body(stream="yes"), "`stream` must be true or false"),
        (body(stream_options=[]), "`stream_options` must be an object"),
        (body(max_tokens="many"), "`max_tokens` must be a whole number"),
        (body(max_completion_tokens=0), "`max_completion_tokens` must be at least 1"),
        (body(response_format="json"), "`response_format` must be an object"),
        (body(metadata=["a"]), "`metadata` must be an object"),
        (body(messages=[{"content": [{"type": "image_url"}, 5]}]), r"`messages`.*\$\[0\].content\[1\]"),
    ],
)
def test_a_body_that_cannot_be_routed_is_refused_with_what_would_be_right(raw: bytes, said: str) -> None:
    with pytest.raises(MalformedRequest, match=said):
        OPENAI_CHAT.open(raw)


@pytest.mark.parametrize(
    ("fields", "needs"),
    [
        ({}, set()),
        ({"tools": [{"type": "function"}]}, {"tools"}),
        ({"tools": []}, set()),
        ({"tools": None}, set()),
        ({"functions": [{"name": "f"}]}, {"tools"}),
        ({"response_format": {"type": "json_schema"}}, {"json_schema"}),
        ({"response_format": {"type": "json_object"}}, set()),
        ({"reasoning_effort": "high"}, {"reasoning"}),
        ({"reasoning_effort": "none"}, set()),
        ({"reasoning_effort": None}, set()),
        ({"modalities": ["text", "audio"]}, {"audio"}),
        (parts({"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}), {"vision"}),
        (parts({"type": "file", "file": {"file_id": "file-1"}}), {"files"}),
        (parts({"type": "input_audio", "input_audio": {"data": "UklG", "format": "wav"}}), {"audio"}),
        (parts({"type": "text", "text": 'say "image_url" and "file"'}), set()),
        ({"messages": [{"role": "user", "content": 'the words "file" and "image_url"'}]}, set()),
    ],
)
def test_what_a_request_needs_of_a_model_is_seen(fields: dict[str, object], needs: set[str]) -> None:
    assert OPENAI_CHAT.open(body(**fields)).needs == needs


def test_what_routing_reads() -> None:
    envelope = OPENAI_CHAT.open(
        body(
            stream=True,
            stream_options={"include_usage": True},
            max_tokens=5,
            max_completion_tokens=9,
            metadata={"team": "a", "n": 1},
        )
    )
    assert (envelope.model, envelope.stream, envelope.wants_usage) == ("support", True, True)
    assert envelope.max_output_tokens == 9
    assert envelope.metadata == {"team": "a"}


def test_the_estimate_counts_what_the_model_reads_and_media_at_a_fixed_cost() -> None:
    plain = OPENAI_CHAT.open(body()).input_tokens
    assert OPENAI_CHAT.open(body(user="x" * 4_000)).input_tokens == plain
    assert OPENAI_CHAT.open(body(tools=[{"name": "x" * 4_000}])).input_tokens > plain + 750
    inline = parts({"type": "image_url", "image_url": {"url": PICTURE}})
    linked = parts({"type": "image_url", "image_url": {"url": "https://example.com/a.png"}})
    for image in (inline, linked):
        assert MEDIA_TOKENS < OPENAI_CHAT.open(body(**image)).input_tokens < MEDIA_TOKENS + 50


EXACT = (
    b'{"z":1.0,"model" : "support","big":123456789012345678901234567890,"e":1e5,"neg":-0.0,'
    b'"messages":[ {"role":"user","content":"\\u00e9 \xc3\xa9 \\/ \\n","x":{"b":1,"a":2}} ],'
    b'"unknown":{"deep":[1.10,null]},"a":true}'
)


def test_forward_changes_the_model_and_not_a_byte_of_any_other_value() -> None:
    envelope = OPENAI_CHAT.open(EXACT)
    sent = OPENAI_CHAT.forward(envelope, "gpt-5")
    before = msgspec.json.decode(EXACT, type=dict[str, msgspec.Raw])
    after = msgspec.json.decode(sent, type=dict[str, msgspec.Raw])
    assert list(after) == list(before)
    assert {name: bytes(raw) for name, raw in after.items()} == {name: bytes(raw) for name, raw in before.items()} | {
        "model": b'"gpt-5"'
    }


@pytest.mark.parametrize(
    ("fields", "options"),
    [
        ({"stream": True}, {"include_usage": True}),
        ({"stream": True, "stream_options": None}, {"include_usage": True}),
        ({"stream": True, "stream_options": {"include_usage": False}}, {"include_usage": True}),
        (
            {"stream": True, "stream_options": {"include_obfuscation": False}},
            {"include_obfuscation": False, "include_usage": True},
        ),
        ({"stream": False}, None),
        ({}, None),
    ],
)
def test_a_forwarded_stream_always_asks_for_usage(fields: dict[str, object], options: object) -> None:
    sent = json.loads(OPENAI_CHAT.forward(OPENAI_CHAT.open(body(**fields)), "gpt-5"))
    assert sent.get("stream_options") == options


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)
FIELDS = st.sampled_from(
    [
        "tools",
        "stop",
        "n",
        "stream",
        "stream_options",
        "response_format",
        "tool_choice",
        "metadata",
        "reasoning_effort",
        "max_tokens",
        "temperature",
        "logprobs",
        "service_tier",
        "user",
        "modalities",
        "functions",
        "unknown",
    ]
)
MESSAGE = st.dictionaries(
    st.sampled_from(["role", "content", "tool_calls", "tool_call_id", "name", "refusal", "audio"]),
    JSON | st.sampled_from(["user", "assistant", "tool", "system"]),
)


@given(JSON | st.fixed_dictionaries({"model": st.text(), "messages": st.lists(MESSAGE)}) | JSON)
def test_any_json_gives_a_request_or_says_what_is_wrong(document: object) -> None:
    _open_and_decode(json.dumps(document).encode())


@given(st.dictionaries(FIELDS, JSON, max_size=4))
def test_any_value_in_a_known_field_gives_a_request_or_says_what_is_wrong(fields: dict[str, object]) -> None:
    _open_and_decode(body(**fields))


@given(st.binary(max_size=64))
def test_any_bytes_give_a_request_or_say_what_is_wrong(raw: bytes) -> None:
    _open_and_decode(raw)
    _open_and_decode(b'{"model":"a","messages":[' + raw + b"]}")


def _open_and_decode(raw: bytes) -> None:
    with contextlib.suppress(MalformedRequest, CannotCarry):
        envelope = OPENAI_CHAT.open(raw)
        OPENAI_CHAT.forward(envelope, "gpt-5")
        OPENAI_CHAT.decode_request(envelope)
