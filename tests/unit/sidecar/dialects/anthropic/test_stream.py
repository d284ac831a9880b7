"""Streams of the Messages API: blocks in order, usage as a running total, no end mark on half an answer."""

import json
from decimal import Decimal

import pytest

from schemas.record import Usage
from sidecar.canonical.events import (
    AnyEvent,
    Ended,
    Failed,
    Finished,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallStarted,
    UsageReported,
)
from sidecar.dialects.anthropic import ANTHROPIC
from sidecar.errors import MalformedAnswer, StreamFailed, Throttled

START = Started("msg_1", "claude")
USAGE = Usage(input_tokens=100, output_tokens=7, cache_read_tokens=60, cache_write_tokens=10, reasoning_tokens=3)


def free(usage: Usage) -> Decimal | None:
    return None


def encode(*events: AnyEvent, price: Decimal | None = None) -> list[dict[str, object]]:
    encoder = ANTHROPIC.new_encoder(True, lambda usage: price, 50)
    sent = encoder.encode(events).decode()
    chunks = []
    for block in sent.removesuffix("\n\n").split("\n\n"):
        name, data = block.split("\n")
        chunk = json.loads(data.removeprefix("data: "), parse_float=Decimal)
        assert name == f"event: {chunk['type']}"
        chunks.append(chunk)
    return chunks


def outline(chunks: list[dict[str, object]]) -> list[object]:
    return [(chunk["type"], chunk["index"]) if "index" in chunk else chunk["type"] for chunk in chunks]


def sse(*chunks: object) -> bytes:
    return b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks)


def test_a_later_call_waits_until_the_earlier_is_whole() -> None:
    chunks = encode(
        START,
        ToolCallStarted(0, "a", "f"),
        ToolArgumentsDelta(0, '{"x":'),
        ToolCallStarted(1, "b", "g"),
        ToolArgumentsDelta(1, '{"y":'),
        ToolArgumentsDelta(0, "1}"),
        ToolArgumentsDelta(1, "2}"),
        Finished("tool_calls"),
        UsageReported(USAGE),
        Ended(),
    )
    assert outline(chunks) == [
        "message_start",
        ("content_block_start", 0),
        ("content_block_delta", 0),
        ("content_block_delta", 0),
        ("content_block_stop", 0),
        ("content_block_start", 1),
        ("content_block_delta", 1),
        ("content_block_delta", 1),
        ("content_block_stop", 1),
        "message_delta",
        "message_stop",
    ]


def test_the_first_call_is_not_held_back() -> None:
    encoder = ANTHROPIC.new_encoder(True, free, 50)
    encoder.encode([START, ToolCallStarted(0, "a", "f")])
    assert b'"partial_json":"{}"' in encoder.encode([ToolArgumentsDelta(0, "{}")])


def test_blocks_alternate_with_their_own_indices() -> None:
    events = [
        START,
        ReasoningDelta("hm"),
        TextDelta("a"),
        TextDelta("b"),
        ReasoningDelta("hm"),
        Finished("stop"),
        Ended(),
    ]
    starts = [chunk for chunk in encode(*events) if chunk["type"] == "content_block_start"]
    assert [(chunk["index"], chunk["content_block"]["type"]) for chunk in starts] == [
        (0, "thinking"),
        (1, "text"),
        (2, "thinking"),
    ]


def test_the_last_usage_is_whole_and_priced() -> None:
    chunks = encode(
        START, TextDelta("a"), Finished("stop"), UsageReported(USAGE), Ended(), price=Decimal("0.000000123")
    )
    assert chunks[0]["message"]["usage"]["input_tokens"] == 50
    assert chunks[-2] == {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": {
            "input_tokens": 30,
            "cache_creation_input_tokens": 10,
            "cache_read_input_tokens": 60,
            "output_tokens": 7,
            "output_tokens_details": {"thinking_tokens": 3},
            "cost_usd": Decimal("0.000000123"),
        },
    }


def test_unknown_usage_is_null_and_not_zero() -> None:
    usage = encode(START, Finished("stop"), Ended())[-2]["usage"]
    assert set(usage.values()) == {None}


def test_a_refusal_is_text_with_its_own_stop_reason() -> None:
    chunks = encode(START, RefusalDelta("I won't."), Finished("stop"), Ended())
    assert chunks[2]["delta"] == {"type": "text_delta", "text": "I won't."}
    assert chunks[-2]["delta"]["stop_reason"] == "refusal"


def test_a_failure_is_the_last_thing_said() -> None:
    encoder = ANTHROPIC.new_encoder(True, free, 50)
    sent = encoder.encode([START, TextDelta("a"), Finished("stop"), Failed(Throttled("slow down"))])
    event, data = sent.decode().split("\n\n")[-2].split("\n")
    assert event == "event: error"
    error = json.loads(data.removeprefix("data: "))["error"]
    assert (error["type"], error["message"], error["code"]) == ("overloaded_error", "slow down", "throttled")
    assert encoder.encode([Ended(), TextDelta("b")]) == b""


def test_no_end_mark_without_a_finish_reason() -> None:
    assert outline(encode(START, TextDelta("a"), Ended()))[-1] == ("content_block_delta", 0)


def test_an_error_event_names_its_type_and_hides_keys() -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "no room for sk-ant-api03-AbCdEf012345"}}
    [failed] = ANTHROPIC.new_decoder().feed(sse(error))
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, StreamFailed)
    assert failed.error.message == "the provider broke the stream off: overloaded_error: no room for [masked]"


@pytest.mark.parametrize(
    "chunks",
    [
        [{"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "a"}}],
        [{"type": "message_start"}],
        [
            {"type": "message_start", "message": {"id": "i", "model": "m"}},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "server_tool_use", "id": "s"}},
        ],
        [
            {"type": "message_start", "message": {"id": "i", "model": "m"}},
            {"type": "content_block_delta", "index": 3, "delta": {"type": "input_json_delta", "partial_json": "{"}},
        ],
        [["no", "chunk"]],
    ],
)
def test_what_is_not_a_stream_of_this_api_is_malformed(chunks: list[object]) -> None:
    decoder = ANTHROPIC.new_decoder()
    events = decoder.feed(sse(*chunks))
    assert isinstance(events[-1], Failed)
    assert isinstance(events[-1].error, MalformedAnswer)
    assert decoder.feed(sse({"type": "message_stop"})) + decoder.finish() == []


def test_usage_of_the_delta_updates_that_of_the_start() -> None:
    decoder = ANTHROPIC.new_decoder()
    start = {"input_tokens": 10, "cache_read_input_tokens": 5, "output_tokens": 1}
    events = decoder.feed(
        sse(
            {"type": "message_start", "message": {"id": "i", "model": "m", "usage": start}},
            {"type": "message_delta", "delta": {"stop_reason": None}, "usage": {"output_tokens": 4}},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9}},
        )
    )
    totals = [event.usage for event in events if isinstance(event, UsageReported)]
    assert [total.output_tokens for total in totals] == [1, 4, 9]
    assert {total.input_tokens for total in totals} == {15}
    assert sum(isinstance(event, Finished) for event in events) == 1
