"""The tap of a stream that passes through: when content is seen, what it adds, and what it holds back."""

import json
from decimal import Decimal
from pathlib import Path

import pytest

from sidecar.dialects.anthropic import ANTHROPIC
from sidecar.dialects.base import Tap
from sidecar.errors import MalformedAnswer, StreamCut, StreamFailed

GOLDEN = Path(__file__).parents[4] / "golden"


def tap(price: Decimal | None = Decimal("0.0105")) -> Tap:
    return ANTHROPIC.new_tap(True, lambda usage: price)


def event(kind: str, **fields: object) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


START = event("message_start", message={"id": "i", "model": "m", "usage": {"input_tokens": 3, "output_tokens": 1}})
TEXT = event("content_block_start", index=0, content_block={"type": "text", "text": ""})
DELTA = event("content_block_delta", index=0, delta={"type": "text_delta", "text": "Hi"})
END = event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 2})
STOP = event("message_stop")
STREAMS = sorted(path for path in (GOLDEN / "streams" / "anthropic").glob("*.sse") if path.name.count(".") == 1)


@pytest.mark.parametrize("path", STREAMS, ids=lambda path: path.stem)
def test_what_passes_is_what_came_but_for_the_cost(path: Path) -> None:
    it, sent = tap(), path.read_bytes()
    unpriced = (it.feed(sent) + it.finish()).replace(b',"cost_usd":0.0105', b"")
    assert unpriced == sent if it.failed is None else sent.startswith(unpriced)


@pytest.mark.parametrize(
    ("sent", "is_content"),
    [
        (TEXT, False),
        (event("ping"), False),
        (event("content_block_start", index=0, content_block={"type": "thinking", "thinking": ""}), False),
        (event("content_block_delta", index=0, delta={"type": "signature_delta", "signature": "s"}), False),
        (DELTA, True),
        (event("content_block_delta", index=0, delta={"type": "thinking_delta", "thinking": "hm"}), True),
        (event("content_block_start", index=0, content_block={"type": "tool_use", "id": "t", "name": "f"}), True),
        (event("content_block_start", index=0, content_block={"type": "server_tool_use", "id": "t"}), True),
        (END, True),
    ],
)
def test_content_is_what_commits_a_call(sent: bytes, is_content: bool) -> None:
    it = tap()
    assert it.feed(START) == START
    it.feed(sent)
    assert it.content_seen is is_content


def test_cost_is_added_to_the_usage_and_no_other_byte_changes() -> None:
    it = tap()
    passed = it.feed(START + TEXT + DELTA + END + STOP) + it.finish()
    priced = END.replace(b'{"output_tokens": 2}', b'{"output_tokens": 2,"cost_usd":0.0105}')
    assert passed == START + TEXT + DELTA + priced + STOP
    assert (it.finished, it.ended, it.failed) == (True, True, None)


def test_an_unknown_price_adds_nothing() -> None:
    assert tap(None).feed(START + END) == START + END


def test_usage_over_several_data_lines_is_priced_all_the_same() -> None:
    folded = b'data: {"type":"message_delta","delta":{},"usage":{\ndata: "output_tokens":2}}\n\n'
    passed = tap().feed(START + folded)
    data = json.loads(passed.removeprefix(START).split(b"data: ")[1], parse_float=Decimal)
    assert data["usage"] == {"output_tokens": 2, "cost_usd": Decimal("0.0105")}


def test_the_error_event_is_held_back_and_what_came_before_is_not() -> None:
    it = tap()
    error = event("error", error={"type": "overloaded_error", "message": "Overloaded"})
    assert it.feed(START + TEXT + DELTA + error + STOP) == START + TEXT + DELTA
    assert isinstance(it.failed, StreamFailed)
    assert it.feed(STOP) + it.finish() == b""


def test_text_that_speaks_of_errors_is_only_text() -> None:
    it = tap()
    delta = event("content_block_delta", index=0, delta={"type": "text_delta", "text": '"type":"error" message_stop'})
    assert it.feed(START + TEXT + DELTA + delta) == START + TEXT + DELTA + delta
    assert (it.failed, it.ended) == (None, False)


def test_a_stream_that_ends_early_is_cut_and_half_an_event_is_not_passed_on() -> None:
    it = tap()
    it.feed(START + TEXT + DELTA + b'event: content_block_delta\ndata: {"ty')
    assert it.finish() == b""
    assert isinstance(it.failed, StreamCut)


def test_a_stream_without_its_beginning_is_held_back() -> None:
    """So llama.cpp sends one whose first token is half a character; Anthropic's SDK breaks on it."""
    it = tap()
    assert it.feed(TEXT + DELTA) == b""
    assert str(it.failed) == "the provider's stream begins with content_block_start"


def test_a_page_is_not_a_stream() -> None:
    it = tap()
    it.feed(b"<html>\n\n</html>")
    it.finish()
    assert isinstance(it.failed, MalformedAnswer)
    assert not it.content_seen
