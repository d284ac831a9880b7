"""The tap: what passes through is what came, but for the cost in the final usage."""

import json
from decimal import Decimal
from typing import Any

import pytest

from schemas.record import Usage
from sidecar import sse
from sidecar.dialects.gemini import GEMINI
from sidecar.errors import ContentRefused, MalformedAnswer, StreamCut, StreamFailed, UpstreamError

COST = Decimal("0.000123")
TEXT = b'data: {"candidates": [{"content": {"parts": [{"text": "a \\"usageMetadata\\": {"}]}}], "usageMetadata": {"promptTokenCount": 3}}\r\n\r\n'  # noqa: E501
FINISH = b'data: {"candidates": [{"finishReason": "STOP", "content": {"parts": [{"text": "b"}]}}], "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2,"more": [1.0]}, "modelVersion": "m"}\r\n\r\n'  # noqa: E501
LATE = b'data: {"usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 4}}\r\n\r\n'


def tapped(*pieces: bytes, cost: Decimal | None = COST) -> tuple[Any, bytes]:
    tap = GEMINI.new_tap(True, lambda _: cost)
    out = b"".join(tap.feed(piece) for piece in pieces)
    return tap, out + tap.finish()


def usages(out: bytes) -> list[dict[str, Any]]:
    documents = [json.loads(event.data) for event in sse.parse_events(out)]
    return [document["usageMetadata"] for document in documents if "usageMetadata" in document]


def test_the_cost_stands_in_the_final_usage_alone_and_every_other_field_keeps_its_bytes() -> None:
    tap, out = tapped(TEXT, FINISH)
    assert out.startswith(TEXT)
    assert usages(out)[1] == {"promptTokenCount": 3, "candidatesTokenCount": 2, "more": [1.0], "cost_usd": 0.000123}
    assert b'[{"finishReason": "STOP", "content": {"parts": [{"text": "b"}]}}]' in out
    assert (tap.finished, tap.failed, tap.usage) == (True, None, Usage(input_tokens=3, output_tokens=2))


def test_usage_after_the_finish_reason_is_the_one_that_counts() -> None:
    tap, out = tapped(TEXT, FINISH, LATE)
    assert tap.usage == Usage(input_tokens=3, output_tokens=4)
    assert usages(out)[-1] == {"promptTokenCount": 3, "candidatesTokenCount": 4, "cost_usd": 0.000123}


def test_without_a_price_not_a_byte_differs() -> None:
    assert tapped(TEXT, FINISH, LATE, cost=None)[1] == TEXT + FINISH + LATE


@pytest.mark.parametrize(
    ("part", "is_content"),
    [
        ({"text": "a"}, True),
        ({"text": "a", "thought": True}, True),
        ({"text": ""}, False),
        ({"text": "", "thoughtSignature": "AA=="}, False),
        ({"functionCall": {"name": "f"}}, True),
        ({"inlineData": {"mimeType": "image/png", "data": "AA=="}}, True),
        ({"executableCode": {"code": "1"}}, True),
    ],
)
def test_what_commits_a_call(part: dict[str, Any], is_content: bool) -> None:
    tap = GEMINI.new_tap(True, lambda _: COST)
    tap.feed(b"data: " + json.dumps({"candidates": [{"content": {"parts": [part]}}]}).encode() + b"\n\n")
    assert tap.content_seen is is_content


def test_an_answer_of_several_candidates_is_whole_when_all_are() -> None:
    def finish(index: int) -> bytes:
        return b'data: {"candidates":[{"index":%d,"finishReason":"STOP"}]}\n\n' % index

    begun = b'data: {"candidates":[{"index":0,"content":{}},{"index":1,"content":{}}]}\n\n'
    assert isinstance(tapped(begun, finish(0))[0].failed, StreamCut)
    assert tapped(begun, finish(0), finish(1))[0].finished


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        (TEXT, StreamCut),
        (TEXT + FINISH[:-30], StreamCut),
        (b"<html>", MalformedAnswer),
        (TEXT + b"data: {\n\n", MalformedAnswer),
        (TEXT + b'data: {"error":{"code":503,"message":"m","status":"UNAVAILABLE"}}\n\n', StreamFailed),
        (b'data: {"promptFeedback":{"blockReason":"SAFETY"}}\n\n', ContentRefused),
    ],
)
def test_how_a_stream_fails(sent: bytes, error: type[UpstreamError]) -> None:
    tap, out = tapped(sent)
    assert type(tap.failed) is error
    assert sent.startswith(out)
    assert not tap.finished


def test_a_stream_without_its_last_blank_line_is_whole() -> None:
    tap, out = tapped(TEXT, FINISH[:-2])
    assert tap.finished
    assert usages(out)[-1]["cost_usd"] == 0.000123


def test_an_event_without_end_is_a_failure_and_not_a_memory() -> None:
    tap = GEMINI.new_tap(True, lambda _: COST)
    tap.feed(b"data: ")
    assert tap.feed(b"x" * (sse.MAX_EVENT_BYTES + 1)) == b""
    assert isinstance(tap.failed, MalformedAnswer)
