"""Streamed answers: chunks to events and back, wherever the bytes were cut, and however the stream ends."""

import json
from collections.abc import Callable
from decimal import Decimal
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletionChunk

from schemas.record import Usage
from sidecar import sse
from sidecar.canonical.events import (
    AnyEvent,
    Ended,
    Failed,
    Finished,
    ReasoningDelta,
    ReasoningRedacted,
    ReasoningSigned,
    Started,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallStarted,
    UsageReported,
    collect,
)
from sidecar.canonical.request import Reasoning, Refusal, Text, ToolCall
from sidecar.dialects.openai_chat import OPENAI_CHAT
from sidecar.errors import MalformedAnswer, StreamCut, StreamFailed, UpstreamError
from sidecar.sse import SseDecoder

PriceOf = Callable[[Usage], Decimal | None]
Golden = Callable[[str, str], bytes]


def decode_all(pieces: list[bytes]) -> list[AnyEvent]:
    decoder = OPENAI_CHAT.new_decoder()
    return [event for piece in pieces for event in decoder.feed(piece)] + decoder.finish()


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(at % (len(data) + 1) for at in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


def chunk(delta: dict[str, object] | None = None, finish: str | None = None, **fields: object) -> bytes:
    body = {"id": "1", "model": "m", "created": 5, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
    return b"data: " + json.dumps(body | fields).encode() + b"\n\n"


def call(**fields: object) -> dict[str, object]:
    return {"tool_calls": [fields]}


FINISH = chunk({}, "stop")
DONE = b"data: [DONE]\n\n"


def test_a_golden_stream_reports_its_usage(stream_case: str, golden: Golden) -> None:
    expected = msgspec.json.decode(golden("streams", stream_case.replace(".sse", ".usage.json")), type=Usage | None)
    events = decode_all([golden("streams", stream_case)])
    assert collect(events).usage == expected
    assert isinstance(events[-1], Ended)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(0, 10_000), max_size=20))
def test_events_do_not_depend_on_where_the_bytes_were_cut(stream_case: str, golden: Golden, cuts: list[int]) -> None:
    data = golden("streams", stream_case)
    assert decode_all(cut(data, cuts)) == decode_all([data])


@pytest.mark.parametrize("case", ["text", "tool_calls", "refusal", "two_choices", "deepseek_reasoning", "llama_cpp"])
def test_a_stream_and_its_plain_answer_say_the_same(case: str, golden: Golden) -> None:
    whole = collect(decode_all([golden("streams", f"{case}.sse")]))
    assert OPENAI_CHAT.decode_response(OPENAI_CHAT.encode_response(whole)) == whole


def test_a_golden_stream_survives_the_way_there_and_back(stream_case: str, golden: Golden, price_of: PriceOf) -> None:
    events = decode_all([golden("streams", stream_case)])
    encoder = OPENAI_CHAT.new_encoder(True, price_of, 0)
    written = b"".join(encoder.encode([event]) for event in events)
    sent = collect(events)
    told_on = sent.usage and msgspec.structs.replace(sent.usage, service="")
    assert collect(decode_all([written])) == msgspec.structs.replace(sent, usage=told_on)
    for event in SseDecoder().feed(written)[:-1]:
        ChatCompletionChunk.model_validate_json(event.data, strict=True)


@pytest.mark.parametrize(
    ("case", "parts"),
    [
        (
            "tool_calls",
            (
                ToolCall(id="call_1", name="get_weather", arguments='{"city": "Paris"}'),
                ToolCall(id="call_2", name="get_weather", arguments='{"city": "Rome"}'),
            ),
        ),
        ("refusal", (Refusal(text="I cannot help."),)),
        ("deepseek_reasoning", (Reasoning(text="Six by seven."), Text(text="42"))),
        ("vllm_reasoning", (Reasoning(text="Six by seven."), Text(text="42"))),
        ("text", (Text(text='Hello, "usage":{'),)),
    ],
)
def test_a_golden_stream_adds_up_to_its_answer(case: str, parts: tuple[object, ...], golden: Golden) -> None:
    assert collect(decode_all([golden("streams", f"{case}.sse")])).choices[0].parts == parts


@pytest.mark.parametrize(
    ("deltas", "calls"),
    [
        # no index, as some servers leave it out: a name begins a call, the rest goes on with the last
        (
            [
                call(id="a", function={"name": "f", "arguments": "{"}),
                call(function={"arguments": "}"}),
                call(id="b", function={"name": "g", "arguments": "1"}),
            ],
            [("a", "f", "{}"), ("b", "g", "1")],
        ),
        # the same index for every call
        (
            [
                call(index=0, id="a", function={"name": "f", "arguments": "{}"}),
                call(index=0, id="b", function={"name": "f", "arguments": "[]"}),
            ],
            [("a", "f", "{}"), ("b", "f", "[]")],
        ),
        # no id
        ([call(index=0, function={"name": "f", "arguments": "{}"})], [("call_0", "f", "{}")]),
        # the name repeated on every piece
        (
            [
                call(index=0, id="a", function={"name": "f", "arguments": "{"}),
                call(index=0, id="a", function={"name": "f", "arguments": "}"}),
            ],
            [("a", "f", "{}")],
        ),
        # an index that does not begin at 0
        ([call(index=1, id="a", function={"name": "f", "arguments": "{}"})], [("a", "f", "{}")]),
    ],
)
def test_tool_calls_are_told_apart(deltas: list[dict[str, object]], calls: list[tuple[str, str, str]]) -> None:
    whole = collect(decode_all([*(chunk(delta) for delta in deltas), chunk({}, "tool_calls"), DONE]))
    assert whole.choices[0].parts == tuple(
        ToolCall(id=id_, name=name, arguments=arguments) for id_, name, arguments in calls
    )


@pytest.mark.parametrize(
    ("data", "error", "said"),
    [
        (b"", StreamCut, "without a finish reason"),
        (b": ping\n\n", MalformedAnswer, "not an event stream"),
        (b"<html>\n\n</html>", MalformedAnswer, "not an event stream"),
        (b'{"error": {"message": "x"}}', MalformedAnswer, "not an event stream"),
        (chunk({"content": "a"}), StreamCut, "without a finish reason"),
        (chunk({"content": "a"}) + DONE, StreamCut, "without a finish reason"),
        (DONE, StreamCut, "without a finish reason"),
        (chunk({"content": "a"}) + b'data: {"choices": [', StreamCut, "without a finish reason"),
        (chunk({"content": "a"}) + b"data: {broken}\n\n" + FINISH, MalformedAnswer, "not a chat completion chunk"),
        (chunk({"content": 5}), MalformedAnswer, "not a chat completion chunk"),
        (b"data: \xff\n\n", MalformedAnswer, "not a chat completion chunk"),
        (chunk(call(index=0, id="a")), MalformedAnswer, "without a name"),
        (
            chunk({"content": "a"}) + b'data: {"error": {"message": "slot sk-abcdefgh gone"}}\n\n' + DONE,
            StreamFailed,
            "slot [masked] gone",
        ),
        (b'event: error\ndata: {"error": "overloaded"}\n\n', StreamFailed, "overloaded"),
        (chunk({"content": "a"}, "error") + DONE, StreamFailed, "finish reason error"),
    ],
)
def test_a_stream_that_does_not_end_well_says_so_once_and_last(
    data: bytes, error: type[UpstreamError], said: str
) -> None:
    events = decode_all([data])
    failures = [event for event in events if isinstance(event, Failed)]
    assert [type(failure.error) for failure in failures] == [error]
    assert said in failures[0].error.message
    assert events[-1] is failures[0]
    assert not any(isinstance(event, Ended) for event in events)


def test_an_event_beyond_the_limit_is_not_the_dialect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 64)
    (failed,) = decode_all([b"data: " + b"x" * 64])
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, MalformedAnswer)


def test_one_of_two_choices_that_never_finished_is_a_cut() -> None:
    second = json.dumps({"choices": [{"index": 1, "delta": {"content": "b"}}]}).encode()
    events = decode_all([FINISH, b"data: " + second + b"\n\n"])
    assert isinstance(events[-1], Failed)
    assert isinstance(events[-1].error, StreamCut)


def test_a_finish_reason_makes_the_answer_whole_without_an_end_mark() -> None:
    assert isinstance(decode_all([FINISH])[-1], Ended)


def test_a_finish_reason_that_is_repeated_counts_once() -> None:
    events = decode_all([FINISH, chunk({"content": ""}, "stop"), DONE])
    assert [type(event) for event in events] == [Started, Finished, Ended]


EVENTS: list[AnyEvent] = [
    Started(id="msg_1", model="claude"),
    ReasoningDelta("hm"),
    ReasoningSigned("sig"),
    ReasoningRedacted("xx"),
    TextDelta("é\n"),
    ToolCallStarted(0, "c", "f"),
    ToolArgumentsDelta(0, "{}"),
    Finished("tool_calls"),
    UsageReported(Usage(input_tokens=5, output_tokens=3)),
    Ended(),
]


def encode(events: list[AnyEvent], *, wants_usage: bool, price: Decimal | None = Decimal("1E-7")) -> list[Any]:
    written = OPENAI_CHAT.new_encoder(wants_usage, lambda usage: price, 0).encode(events)
    return [
        event.data.decode() if event.data == b"[DONE]" else json.loads(event.data)
        for event in SseDecoder().feed(written)
    ]


def test_every_chunk_names_the_same_answer_and_the_role_comes_first() -> None:
    *chunks, done = encode(EVENTS, wants_usage=False)
    assert done == "[DONE]"
    assert {(chunk["id"], chunk["model"], chunk["created"], chunk["object"]) for chunk in chunks} == {
        ("msg_1", "claude", 0, "chat.completion.chunk")
    }
    assert [chunk["choices"][0]["delta"] for chunk in chunks] == [
        {"role": "assistant", "content": "", "refusal": None},
        {"reasoning_content": "hm"},
        {"content": "é\n"},
        {"tool_calls": [{"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": ""}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]},
        {},
    ]
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None] * 5 + ["tool_calls"]
    assert all("usage" not in chunk for chunk in chunks)


def test_usage_comes_last_with_its_cost_to_a_caller_that_asked() -> None:
    *chunks, last, _ = encode(EVENTS, wants_usage=True)
    assert all(chunk["usage"] is None for chunk in chunks)
    assert last["choices"] == []
    assert last["usage"]["prompt_tokens"] == 5
    assert last["usage"]["completion_tokens"] == 3
    assert last["usage"]["cost_usd"] == 1e-7


def test_an_unknown_price_is_left_out_and_never_zero() -> None:
    assert "cost_usd" not in encode(EVENTS, wants_usage=True, price=None)[-2]["usage"]


def test_unknown_usage_is_left_out_and_never_zero() -> None:
    events = [event for event in EVENTS if not isinstance(event, UsageReported)]
    *chunks, done = encode(events, wants_usage=True)
    assert done == "[DONE]"
    assert all(chunk["usage"] is None for chunk in chunks)


def test_no_end_mark_follows_a_failure() -> None:
    failed = Failed(StreamCut("the provider's stream ended without a finish reason"))
    *_, last = encode([*EVENTS[:5], failed, *EVENTS[7:]], wants_usage=True)
    assert last["error"]["code"] == "stream_cut"


def test_no_end_mark_without_a_finish_reason() -> None:
    assert "[DONE]" not in encode([*EVENTS[:5], Ended()], wants_usage=True)


def test_each_choice_has_its_own_role() -> None:
    chunks = encode([EVENTS[0], TextDelta("b", 1), TextDelta("a", 0), TextDelta("c", 1)], wants_usage=False)
    assert [(chunk["choices"][0]["index"], chunk["choices"][0]["delta"].get("role")) for chunk in chunks] == [
        (0, "assistant"),
        (1, "assistant"),
        (1, None),
        (0, None),
        (1, None),
    ]
