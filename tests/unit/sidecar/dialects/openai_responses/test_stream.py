"""Streams: what a decoder forgives servers, and how an encoder numbers, orders and fails."""

import json
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import pytest

from schemas.record import Usage
from sidecar.canonical.events import (
    AnyEvent,
    Ended,
    Failed,
    Finished,
    PartEnded,
    ReasoningDelta,
    ReasoningSigned,
    Started,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallStarted,
    UsageReported,
    collect,
)
from sidecar.canonical.request import Reasoning, Refusal, Text, ToolCall
from sidecar.dialects.openai_responses import OPENAI_RESPONSES
from sidecar.errors import (
    ContextTooLong,
    MalformedAnswer,
    NotReady,
    Rejected,
    ServerFault,
    StreamFailed,
    StreamStalled,
    Throttled,
)

MESSAGE = {"type": "message", "id": "msg_1", "role": "assistant", "content": []}
CALL = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": ""}


def event(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


CREATED = event("response.created", response={"id": "resp_1", "model": "m", "created_at": 7, "output": []})


def completed(*output: dict[str, Any], **fields: Any) -> bytes:
    return event("response.completed", response={"id": "resp_1", "status": "completed", "output": output, **fields})


def decode(*sent: bytes) -> list[AnyEvent]:
    decoder = OPENAI_RESPONSES.new_decoder()
    return [found for piece in sent for found in decoder.feed(piece)] + decoder.finish()


def parts(*sent: bytes) -> tuple[object, ...]:
    return collect(decode(CREATED, *sent)).choices[0].parts


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        pytest.param(
            [event("response.output_text.done", output_index=0, text="whole"), completed()],
            (Text(text="whole"),),
            id="a text without deltas",
        ),
        pytest.param(
            [
                event("response.output_item.added", output_index=0, item=MESSAGE),
                event(
                    "response.output_item.done",
                    output_index=0,
                    item=MESSAGE
                    | {"content": [{"type": "output_text", "text": "a"}, {"type": "refusal", "refusal": "b"}]},
                ),
                completed(),
            ],
            (Text(text="a"), Refusal(text="b")),
            id="an item without any of its events",
        ),
        pytest.param(
            [completed(MESSAGE | {"content": [{"type": "output_text", "text": "a"}]}, CALL | {"arguments": "{}"})],
            (Text(text="a"), ToolCall(id="call_1", name="f", arguments="{}")),
            id="the whole and nothing before it",
        ),
        pytest.param(
            [
                event("response.output_item.added", item={name: CALL[name] for name in CALL if name != "id"}),
                event("response.function_call_arguments.delta", item_id="call_1", delta="{}"),
                event("response.output_item.done", item={**CALL, "id": None, "arguments": "{}"}),
                completed(),
            ],
            (ToolCall(id="call_1", name="f", arguments="{}"),),
            id="llama.cpp: no index, and a call named by its own id",
        ),
        pytest.param(
            [
                event("response.output_text.delta", output_index=0, item_id="a", delta="One "),
                event("response.output_text.delta", output_index=0, item_id="b", delta="text."),
                completed(),
            ],
            (Text(text="One text."),),
            id="a gateway that changes the id in every event",
        ),
        pytest.param(
            [
                event("response.reasoning_summary_text.delta", output_index=0, summary_index=0, delta="a"),
                event("response.reasoning_summary_text.delta", output_index=0, summary_index=1, delta="b"),
                event("response.reasoning_summary_text.delta", output_index=0, summary_index=1, delta="c"),
                event(
                    "response.output_item.done",
                    output_index=0,
                    item={"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "e"},
                ),
                completed(),
            ],
            (Reasoning(text="a\n\nbc", signature="openai-responses:rs_1:e"),),
            id="a thought in parts",
        ),
    ],
)
def test_what_a_server_did_not_stream_is_not_lost(sent: list[bytes], expected: tuple[object, ...]) -> None:
    assert parts(*sent) == expected


@pytest.mark.parametrize(
    ("sent", "kind"),
    [
        (event("error", code="rate_limit_exceeded", message="m"), Throttled),
        (event("error", error={"code": "context_length_exceeded", "message": "m"}), ContextTooLong),
        (event("error", error="overloaded"), StreamFailed),
        (event("error", code={}), MalformedAnswer),
        (b'data: {"error":{"message":"m","type":"server_error","code":500}}\n\n', ServerFault),
        (b'data: {"error":{"message":"m"}}\n\n', StreamFailed),
        (event("response.failed", response={"error": {"code": "invalid_prompt", "message": "m"}}), Rejected),
        (event("response.failed", response=None), StreamFailed),
        (event("response.output_item.added", output_index=0, item={"type": "file_search_call"}), MalformedAnswer),
        (event("response.function_call_arguments.delta", output_index=4, delta="{}"), MalformedAnswer),
        (event("response.output_item.done", output_index=0, item=7), MalformedAnswer),
        (b"data: [DONE]\n\n", None),
    ],
)
def test_a_failure_has_its_class(sent: bytes, kind: type[Exception] | None) -> None:
    last = decode(CREATED, sent, completed())[-1]
    assert isinstance(last, Failed)
    assert last.error.code == "stream_cut" if kind is None else type(last.error) is kind


def test_nothing_follows_the_end() -> None:
    assert isinstance(decode(CREATED, completed(), b"data: [DONE]\n\n", event("error", message="late"))[-1], Ended)


# The encoder


def encode(events: Iterable[AnyEvent]) -> list[dict[str, Any]]:
    encoder = OPENAI_RESPONSES.new_encoder(True, lambda usage: Decimal("0.5"), 10)
    sent = b"".join(encoder.encode([one]) for one in events)
    blocks = [block.split(b"\n") for block in sent.split(b"\n\n")[:-1]]
    read = [json.loads(data.removeprefix(b"data: ")) for _, data in blocks]
    assert [name.removeprefix(b"event: ").decode() for name, _ in blocks] == [one["type"] for one in read]
    assert [one["sequence_number"] for one in read] == list(range(len(read)))
    return read


STARTED = Started("resp_1", "m", 7)
ANSWER: list[AnyEvent] = [
    STARTED,
    ReasoningDelta("think"),
    ReasoningSigned("EqQB"),
    TextDelta("One"),
    PartEnded(),
    TextDelta("Two"),
    ToolCallStarted(0, "call_a", "f"),
    ToolCallStarted(1, "call_b", "g"),
    ToolArgumentsDelta(1, "{}"),
    ToolArgumentsDelta(0, '{"a":'),
    ToolArgumentsDelta(0, "1}"),
    Finished("tool_calls"),
    UsageReported(Usage(3, 4)),
    Ended(),
]


def test_the_order_of_events() -> None:
    order = [(one["type"].removeprefix("response."), one.get("output_index")) for one in encode(ANSWER)]
    assert order == [
        ("created", None),
        ("in_progress", None),
        ("output_item.added", 0),
        ("reasoning_summary_part.added", 0),
        ("reasoning_summary_text.delta", 0),
        ("reasoning_summary_text.done", 0),
        ("reasoning_summary_part.done", 0),
        ("output_item.done", 0),
        ("output_item.added", 1),
        ("content_part.added", 1),
        ("output_text.delta", 1),
        ("output_text.done", 1),
        ("content_part.done", 1),
        ("content_part.added", 1),
        ("output_text.delta", 1),
        ("output_text.done", 1),
        ("content_part.done", 1),
        ("output_item.done", 1),
        ("output_item.added", 2),
        ("output_item.added", 3),
        ("function_call_arguments.delta", 3),
        ("function_call_arguments.delta", 2),
        ("function_call_arguments.delta", 2),
        ("function_call_arguments.done", 2),
        ("output_item.done", 2),
        ("function_call_arguments.done", 3),
        ("output_item.done", 3),
        ("completed", None),
    ]


def test_the_end_holds_what_was_said_on_the_way() -> None:
    events = encode(ANSWER)
    whole = events[-1]["response"]
    done = [one["item"] for one in events if one["type"] == "response.output_item.done"]
    assert whole["output"] == done
    assert whole["usage"]["cost_usd"] == 0.5
    added = [one["item"]["id"] for one in events if one["type"] == "response.output_item.added"]
    assert [item["id"] for item in done] == added == ["rs_0_resp_1", "msg_1_resp_1", "fc_2_resp_1", "fc_3_resp_1"]
    assert [part["text"] for part in done[1]["content"]] == ["One", "Two"]
    assert [(call["call_id"], call["arguments"]) for call in done[2:]] == [("call_a", '{"a":1}'), ("call_b", "{}")]


def test_it_fails_as_the_api_does() -> None:
    """`response.failed` once a response exists, else `error`."""
    begun = encode([STARTED, TextDelta("a"), Failed(StreamStalled("silence"))])[-1]
    assert begun["type"] == "response.failed"
    assert begun["response"]["status"] == "failed"
    assert (begun["response"]["id"], begun["response"]["model"]) == ("resp_1", "m")
    assert begun["response"]["error"] == {"code": "stream_stalled", "message": "silence"}
    (first,) = encode([Failed(StreamStalled("silence"))])
    assert (first["type"], first["code"], first["message"]) == ("error", "stream_stalled", "silence")


def test_our_own_error_ends_it_with_the_request_id() -> None:
    encoder = OPENAI_RESPONSES.new_encoder(True, lambda usage: None, 10)
    before = encoder.encode([STARTED, TextDelta("a")])
    failed = json.loads(encoder.encode_failure(NotReady("going"), "req-1").split(b"data: ")[1])
    assert failed["sequence_number"] == before.count(b"event: ")
    assert failed["response"]["error"] == {"code": "not_ready", "message": "going", "request_id": "req-1"}
    assert encoder.encode([Finished("stop"), Ended()]) == b""


def test_an_end_without_a_finish_reason_is_no_end() -> None:
    assert [one["type"] for one in encode([STARTED, Ended()])] == ["response.created", "response.in_progress"]
