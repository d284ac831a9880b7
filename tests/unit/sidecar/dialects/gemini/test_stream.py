"""Streams: calls come whole, the finish comes last with usage and cost, and no end mark is made up."""

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from schemas.record import Usage
from sidecar.canonical.events import (
    AnyEvent,
    Ended,
    Failed,
    Finished,
    RefusalDelta,
    Started,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallStarted,
    UsageReported,
)
from sidecar.canonical.response import FinishReason
from sidecar.dialects.gemini import GEMINI
from sidecar.dialects.translator import Translator
from sidecar.errors import ContentRefused, MalformedAnswer, StreamCut, StreamFailed, UpstreamError

COST = Decimal("0.0000012")
STARTED = Started("id", "m")
USAGE = UsageReported(Usage(input_tokens=3, output_tokens=2, reasoning_tokens=1))


def written(events: Sequence[AnyEvent]) -> list[list[dict[str, Any]]]:
    """The documents that each event is answered by."""
    encoder = GEMINI.new_encoder(True, lambda _: COST, 10)
    return [
        [json.loads(line[6:]) for line in encoder.encode([event]).split(b"\n\n") if line.startswith(b"data: ")]
        for event in events
    ]


def parts(documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [part for document in documents for part in document["candidates"][0]["content"]["parts"]]


def test_a_call_is_sent_as_soon_as_its_arguments_are_whole() -> None:
    events = [
        STARTED,
        ToolCallStarted(0, "a", "f"),
        ToolArgumentsDelta(0, '{"x": {}'),
        ToolArgumentsDelta(0, "}"),
        ToolCallStarted(1, "b", "g"),
        TextDelta("Wait."),
        Finished("tool_calls"),
    ]
    sent = [parts(documents) for documents in written(events)]
    skip = {"thoughtSignature": "skip_thought_signature_validator"}
    assert sent == [
        [],
        [],
        [],
        [{"functionCall": {"id": "a", "name": "f", "args": {"x": {}}}} | skip],
        [],
        [{"text": "Wait."}],
        [{"functionCall": {"id": "b", "name": "g", "args": {}}}],
    ]


def test_calls_that_grow_side_by_side_are_sent_in_their_order() -> None:
    events = [
        STARTED,
        ToolCallStarted(0, "a", "f"),
        ToolCallStarted(1, "b", "g"),
        ToolArgumentsDelta(1, "{}"),
        ToolArgumentsDelta(0, "{"),
        ToolArgumentsDelta(0, "}"),
    ]
    assert [part["functionCall"]["id"] for part in parts(written(events)[-1])] == ["a", "b"]


def test_the_last_document_says_finish_usage_and_cost() -> None:
    *before, last = written([STARTED, TextDelta("Hi"), Finished("length"), USAGE, Ended()])
    (document,) = last
    assert document["candidates"][0]["finishReason"] == "MAX_TOKENS"
    assert document["usageMetadata"] == {
        "promptTokenCount": 3,
        "candidatesTokenCount": 1,
        "totalTokenCount": 5,
        "thoughtsTokenCount": 1,
        "cost_usd": 0.0000012,
    }
    assert (document["modelVersion"], document["responseId"]) == ("m", "id")
    assert not any("finishReason" in json.dumps(documents) for documents in before)


@pytest.mark.parametrize(
    ("finish", "word"),
    [
        ("stop", "STOP"),
        ("stop_sequence", "STOP"),
        ("tool_calls", "STOP"),
        ("length", "MAX_TOKENS"),
        ("pause", "MAX_TOKENS"),
        ("content_filter", "SAFETY"),
        ("refusal", "SAFETY"),
    ],
)
def test_finish_reasons_on_the_way_out(finish: FinishReason, word: str) -> None:
    (document,) = written([STARTED, Finished(finish), Ended()])[-1]
    assert document["candidates"][0]["finishReason"] == word


def test_a_refusal_says_so_in_its_finish_reason() -> None:
    (document,) = written([STARTED, RefusalDelta("No."), Finished("stop"), Ended()])[-1]
    assert document["candidates"][0]["finishReason"] == "SAFETY"


def test_an_end_without_a_finish_reason_is_no_end() -> None:
    assert written([STARTED, TextDelta("Hi"), Ended()])[-1] == []


def document(parts: list[dict[str, Any]] | None = None, finish: str | None = None, **more: Any) -> bytes:
    candidate: dict[str, Any] = {"content": {"parts": parts or [], "role": "model"}}
    if finish is not None:
        candidate["finishReason"] = finish
    return b"data: " + json.dumps({"candidates": [candidate]} | more).encode() + b"\r\n\r\n"


def decoded(sent: bytes) -> list[AnyEvent]:
    decoder = GEMINI.new_decoder()
    return decoder.feed(sent) + decoder.finish()


@pytest.mark.parametrize(
    ("word", "finish"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("CONTINUATION", "pause"),
        ("SAFETY", "content_filter"),
        ("RECITATION", "content_filter"),
        ("LANGUAGE", "content_filter"),
        ("BLOCKLIST", "content_filter"),
        ("PROHIBITED_CONTENT", "content_filter"),
        ("SPII", "content_filter"),
        ("IMAGE_SAFETY", "content_filter"),
        ("A_WORD_OF_TOMORROW", "stop"),
    ],
)
def test_finish_reasons_on_the_way_in(word: str, finish: FinishReason) -> None:
    assert decoded(document([{"text": "Hi"}], word))[-2:] == [Finished(finish), Ended()]


@pytest.mark.parametrize(
    "word",
    ["OTHER", "MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "MALFORMED_RESPONSE", "MISSING_THOUGHT_SIGNATURE"],
)
def test_an_answer_that_the_provider_gave_up_is_a_failure_plain_and_streamed(word: str) -> None:
    (*_, last) = decoded(document([], word))
    assert isinstance(last, Failed)
    assert isinstance(last.error, StreamFailed)
    body = json.dumps({"candidates": [{"finishReason": word}]}).encode()
    for read in (GEMINI.read_answer, GEMINI.decode_response):
        with pytest.raises(MalformedAnswer, match=word):
            read(body)


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        (b"", StreamCut),
        (b"<html>", MalformedAnswer),
        (b"data: nothing\n\n", MalformedAnswer),
        (document([{"text": "Hi"}]), StreamCut),
        (document([{"text": "Hi"}], "FINISH_REASON_UNSPECIFIED"), StreamCut),
        (document([{"functionCall": {}}]), MalformedAnswer),
        (document([{"executableCode": {"code": 1}}]), MalformedAnswer),
        (b'data: {"promptFeedback":{"blockReason":"SAFETY"}}\n\n', ContentRefused),
        (b'data: {"error":{"code":503,"message":"m","status":"UNAVAILABLE"}}\n\n', StreamFailed),
    ],
)
def test_how_a_stream_fails(sent: bytes, error: type[UpstreamError]) -> None:
    (*_, last) = decoded(sent)
    assert isinstance(last, Failed)
    assert type(last.error) is error


def test_a_calls_id_is_its_own_or_one_that_no_other_call_has_and_the_same_each_time() -> None:
    call = {"functionCall": {"name": "f", "args": {"x": 1}}}
    sent = document([call, call, {"functionCall": {"id": "own", "name": "f"}}], "STOP", responseId="r")
    ids = [event.id for event in decoded(sent) if isinstance(event, ToolCallStarted)]
    assert len(set(ids)) == 3
    assert ids[2] == "own"
    assert ids == [event.id for event in decoded(sent) if isinstance(event, ToolCallStarted)]
    other = decoded(document([call], "STOP", responseId="another"))
    assert ids[0] not in [event.id for event in other if isinstance(event, ToolCallStarted)]


def test_usage_that_comes_after_the_finish_reason_is_in_what_the_caller_gets() -> None:
    usage = b'data: {"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":2}}\n\n'
    translator = Translator(
        GEMINI.new_decoder(), GEMINI.new_encoder(True, lambda _: COST, 0), Started("id", "model", 1)
    )
    out = translator.feed(document([{"text": "Hi"}], "STOP")) + translator.feed(usage) + translator.finish()
    assert translator.usage == Usage(input_tokens=3, output_tokens=2)
    assert b'"cost_usd":0.0000012' in out
    assert out.index(b"Hi") < out.index(b"finishReason")
