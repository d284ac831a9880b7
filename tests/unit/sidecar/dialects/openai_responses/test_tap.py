"""The tap: what passes through is what came, with its cost; and a failure goes on from where the stream was."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from schemas.record import Usage
from sidecar.dialects.base import Tap
from sidecar.dialects.openai_responses import OPENAI_RESPONSES
from sidecar.errors import StreamCut, StreamStalled, Throttled

GOLDEN = Path(__file__).parents[4] / "golden" / "streams" / "openai-responses"
TEXT = (GOLDEN / "text.sse").read_bytes()


def new_tap(cost: str | None = "0.000123") -> Tap:
    return OPENAI_RESPONSES.new_tap(True, lambda usage: None if cost is None else Decimal(cost))


def pass_on(sent: bytes, cost: str | None = "0.000123") -> tuple[Tap, bytes]:
    tap = new_tap(cost)
    return tap, tap.feed(sent) + tap.finish()


def test_only_the_cost_is_added() -> None:
    _, out = pass_on(TEXT)
    assert out.replace(b',"cost_usd":0.000123', b"") == TEXT
    assert out.count(b"cost_usd") == 1
    assert json.loads(out.split(b"data: ")[-1])["response"]["usage"]["cost_usd"] == 0.000123
    assert pass_on(TEXT, None)[1] == TEXT


def test_the_cost_stands_in_the_answers_usage_and_nowhere_else() -> None:
    """The same bytes may stand in what the answer repeats."""
    usage = {"input_tokens": 1, "output_tokens": 1}
    response = {"id": "r", "output": [], "usage": usage, "tool_usage": {"usage": usage}, "metadata": {"a": '"usage"'}}
    for whole in (response, dict(reversed(response.items()))):
        data = json.dumps({"type": "response.completed", "response": whole})
        for sent in (data, json.dumps(json.loads(data), indent=1).replace("\n", "\ndata: ")):
            _, out = pass_on(f"data: {sent}\n\n".encode())
            lines = out.decode().rstrip("\n").split("\n")
            read = json.loads("\n".join(line.removeprefix("data: ") for line in lines if line.startswith("data: ")))
            assert read["response"]["usage"].pop("cost_usd") == 0.000123
            assert read["response"] == response


def test_who_may_go_on_from_it_is_known_before_the_first_word() -> None:
    tap = new_tap()
    first, _, _ = TEXT.partition(b"event: response.output_item.added")
    tap.feed(first)
    assert tap.state_id == "resp_1"
    assert not tap.content_seen
    hidden = (GOLDEN / "reasoning_hidden.sse").read_bytes()
    assert pass_on(hidden)[0].state_id == ""


@pytest.mark.parametrize(
    ("kind", "fields", "content"),
    [
        ("response.output_item.added", {"item": {"type": "message"}}, False),
        ("response.output_item.added", {"item": {"type": "reasoning"}}, False),
        ("response.output_item.added", {"item": {"type": "function_call"}}, True),
        ("response.output_item.added", {"item": {"type": "web_search_call", "summary": 7}}, True),
        ("response.content_part.added", {"part": {}}, False),
        ("response.output_text.delta", {"delta": ""}, False),
        ("response.output_text.delta", {"delta": "a"}, True),
        ("response.reasoning_summary_text.delta", {"delta": "a"}, True),
        ("response.refusal.delta", {"delta": "a"}, True),
        ("response.tool_of_tomorrow.delta", {"delta": {"a": 1}, "arguments": {"b": 2}}, False),
    ],
)
def test_what_commits_a_call_to_its_target(kind: str, fields: dict[str, Any], content: bool) -> None:
    tap = new_tap()
    tap.feed(f"data: {json.dumps({'type': kind, **fields})}\n\n".encode())
    assert tap.failed is None
    assert tap.content_seen is content


def fed_up_to(mark: bytes) -> tuple[Tap, bytes]:
    tap = new_tap()
    return tap, tap.feed(TEXT[: TEXT.index(mark)])


def test_a_failure_goes_on_from_what_has_passed() -> None:
    tap, passed = fed_up_to(b"event: response.output_text.done")
    assert tap.feed(b"event: response.outp") == b""
    failed = json.loads(tap.encode_failure(StreamStalled("silence"), "req-1").split(b"data: ")[1])
    assert failed["type"] == "response.failed"
    assert failed["sequence_number"] == passed.count(b"event: ")
    assert failed["response"]["id"] == "resp_1"
    assert failed["response"]["error"] == {"code": "stream_stalled", "message": "silence", "request_id": "req-1"}


def test_before_a_response_it_is_an_error() -> None:
    failed = json.loads(new_tap().encode_failure(StreamCut("cut"), "").split(b"data: ")[1])
    assert failed == {"type": "error", "sequence_number": 0, "param": None, "code": "stream_cut", "message": "cut"}


@pytest.mark.parametrize(
    "sent",
    [
        b'event: error\ndata: {"type":"error","code":"rate_limit_exceeded","message":"m"}\n\n',
        b'data: {"type":"response.failed","response":{"error":{"code":"rate_limit_exceeded","message":"m"}}}\n\n',
    ],
)
def test_the_providers_own_failure_does_not_pass(sent: bytes) -> None:
    tap, _ = fed_up_to(b"event: response.output_text.done")
    assert tap.content_seen
    assert tap.feed(sent + b"data: {}\n\n") == b""
    assert isinstance(tap.failed, Throttled)


def test_text_that_looks_like_an_end_is_none() -> None:
    said = json.dumps({"type": "response.output_text.delta", "delta": 'data: "response.completed" "error" [DONE]'})
    tap, _ = fed_up_to(b"event: response.output_text.done")
    sent = f"data: {said}\n\n".encode()
    assert tap.feed(sent) == sent
    assert (tap.finished, tap.failed) == (False, None)


def test_a_flood_is_not_read_event_by_event() -> None:
    """After the first content only events that the books need are parsed. What is not parsed passes whatever it is."""
    delta = b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"word"}\n\n'
    unread = b"data: {no json at all\n\n"
    tap, _ = fed_up_to(b"event: response.output_text.done")
    assert tap.feed((delta + unread) * 100) == (delta + unread) * 100
    tap.feed(TEXT[TEXT.index(b"event: response.output_text.done") :])
    assert (tap.failed, tap.usage) == (None, Usage(40, 12, 24))
