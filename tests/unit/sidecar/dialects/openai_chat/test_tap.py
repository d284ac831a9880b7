"""The tap: what passes through is what came, but for what we asked the provider for ourselves."""

import json
from collections.abc import Callable
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.record import Usage
from sidecar import sse
from sidecar.canonical.events import CONTENT_EVENTS, AnyEvent, Failed, UsageReported
from sidecar.dialects.base import Tap
from sidecar.dialects.openai_chat import OPENAI_CHAT
from sidecar.errors import MalformedAnswer, StreamCut, StreamFailed, UpstreamError

Golden = Callable[[str, str], bytes]

COST = Decimal("0.000123")


def price_of(usage: Usage) -> Decimal | None:
    return COST


def tapped(pieces: list[bytes], *, wants_usage: bool) -> tuple[Tap, bytes]:
    tap = OPENAI_CHAT.new_tap(wants_usage, price_of)
    out = b"".join(tap.feed(piece) for piece in pieces)
    return tap, out + tap.finish()


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(at % (len(data) + 1) for at in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


def decode_all(data: bytes) -> list[AnyEvent]:
    decoder = OPENAI_CHAT.new_decoder()
    return decoder.feed(data) + decoder.finish()


def chunk(delta: dict[str, object] | None = None, finish: str | None = None, **fields: object) -> bytes:
    body = {"id": "1", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
    return b"data: " + json.dumps(body | fields, separators=(",", ":")).encode() + b"\n\n"


TEXT = chunk({"content": "a"})
FINISH = chunk({}, "stop")
DONE = b"data: [DONE]\n\n"
USAGE = b'data: {"id":"1","choices":[],"usage":{"prompt_tokens":5,"completion_tokens":2}}\n\n'


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(0, 10_000), max_size=20), wants_usage=st.booleans())
def test_what_passes_does_not_depend_on_where_the_bytes_were_cut(
    stream_case: str, golden: Golden, cuts: list[int], wants_usage: bool
) -> None:
    data = golden("streams", stream_case)
    tap, out = tapped(cut(data, cuts), wants_usage=wants_usage)
    whole_tap, whole_out = tapped([data], wants_usage=wants_usage)
    assert out == whole_out
    assert (tap.usage, tap.ended, tap.finished) == (whole_tap.usage, whole_tap.ended, whole_tap.finished)


@pytest.mark.parametrize("wants_usage", [False, True])
def test_the_books_read_what_the_decoder_reads(stream_case: str, golden: Golden, wants_usage: bool) -> None:
    data = golden("streams", stream_case)
    tap, _ = tapped([data], wants_usage=wants_usage)
    reported = [event.usage for event in decode_all(data) if isinstance(event, UsageReported)]
    assert tap.usage == (reported[-1] if reported else None)
    assert (tap.content_seen, tap.finished, tap.ended, tap.failed) == (True, True, True, None)


def test_content_is_seen_when_the_decoder_sees_it(stream_case: str, golden: Golden) -> None:
    decoder = OPENAI_CHAT.new_decoder()
    tap = OPENAI_CHAT.new_tap(True, price_of)
    for piece in golden("streams", stream_case).replace(b"\r\n", b"\n").split(b"\n\n"):
        tap.feed(piece + b"\n\n")
        content = any(isinstance(event, CONTENT_EVENTS) for event in decoder.feed(piece + b"\n\n"))
        assert tap.content_seen >= content
        if content:
            return
        assert not tap.content_seen


def test_a_caller_that_asked_gets_the_cost_and_not_a_byte_else_differs(stream_case: str, golden: Golden) -> None:
    data = golden("streams", stream_case)
    _, out = tapped([data], wants_usage=True)
    assert out.replace(b'"cost_usd":0.000123,', b"") == data
    for event in sse.SseDecoder().feed(out)[:-1]:
        usage = json.loads(event.data).get("usage")
        assert usage is None or usage["cost_usd"] == 0.000123


def test_a_caller_that_did_not_ask_gets_no_trace_of_usage() -> None:
    asked = [chunk({"role": "assistant", "content": ""}, usage=None), chunk({"content": "a"}, usage=None)]
    asked += [chunk({}, "stop", usage=None), USAGE, DONE]
    plain = [chunk({"role": "assistant", "content": ""}), chunk({"content": "a"}), chunk({}, "stop"), DONE]
    for pieces in (asked, [b"".join(asked)]):
        tap, out = tapped(pieces, wants_usage=False)
        assert out == b"".join(plain)
        assert tap.usage == Usage(input_tokens=5, output_tokens=2)


def test_a_real_server_s_stream_passes_as_if_usage_had_not_been_asked_for(golden: Golden) -> None:
    data = golden("streams", "llama_cpp.sse")
    _, out = tapped([data], wants_usage=False)
    events = data.split(b"\n\n")
    assert out == b"\n\n".join(event for event in events if b'"usage"' not in event)


@pytest.mark.parametrize(
    "text",
    ['"usage":{"prompt_tokens":1}', ',"usage":null', '"error"', '"finish_reason":"stop"', "[DONE]", "data: x\n\n"],
)
def test_text_that_looks_like_a_mark_passes_unharmed(text: str) -> None:
    data = TEXT + chunk({"content": text})
    tap, out = tapped([data + FINISH + DONE], wants_usage=False)
    assert out == data + FINISH + DONE
    assert tap.failed is None
    tap, _ = tapped([data], wants_usage=False)
    assert not tap.finished
    assert isinstance(tap.failed, StreamCut)


def test_usage_that_came_unasked_on_a_chunk_with_choices_stays() -> None:
    data = TEXT + chunk({}, "stop", usage={"prompt_tokens": 5, "completion_tokens": 2}) + DONE
    tap, out = tapped([data], wants_usage=False)
    assert out == data
    assert tap.usage == Usage(input_tokens=5, output_tokens=2)


@pytest.mark.parametrize(
    ("usage", "priced"),
    [
        (b'"usage":{"completion_tokens":2}', b'"usage":{"cost_usd":0.000123,"completion_tokens":2}'),
        (b'"usage" : { "completion_tokens":2}', b'"usage" : {"cost_usd":0.000123, "completion_tokens":2}'),
        (
            b'"x":{"usage":{"completion_tokens":2}},"usage":{"completion_tokens":2}',
            b'"x":{"usage":{"completion_tokens":2}},"usage":{"cost_usd":0.000123,"completion_tokens":2}',
        ),
        (b'"usage":{}', b'"usage":{}'),
    ],
)
def test_the_cost_stands_in_the_outer_usage_object(usage: bytes, priced: bytes) -> None:
    tail = b'data: {"choices":[],%b}\n\n'
    _, out = tapped([TEXT + FINISH + tail % usage + DONE], wants_usage=True)
    assert out == TEXT + FINISH + tail % priced + DONE


def test_an_unknown_price_is_left_out() -> None:
    tap = OPENAI_CHAT.new_tap(True, lambda usage: None)
    assert tap.feed(TEXT + FINISH + USAGE + DONE) == TEXT + FINISH + USAGE + DONE


@pytest.mark.parametrize(
    ("delta", "content_seen"),
    [
        ({"role": "assistant", "content": "", "refusal": None}, False),
        ({"content": "a"}, True),
        ({"reasoning_content": "a"}, True),
        ({"reasoning": "a"}, True),
        ({"refusal": "a"}, True),
        ({"tool_calls": [{"index": 0}]}, True),
        ({"tool_calls": []}, False),
        ({"function_call": {"name": "f"}}, True),
        ({"audio": {"id": "a"}}, True),
        ({}, False),
        (None, False),
    ],
)
def test_what_counts_as_content(delta: dict[str, object] | None, content_seen: bool) -> None:
    tap = OPENAI_CHAT.new_tap(True, price_of)
    tap.feed(chunk(delta))
    assert tap.content_seen is content_seen


@pytest.mark.parametrize(
    ("data", "passed", "error"),
    [
        (b"", b"", StreamCut),
        (b"<html>\n\n", b"<html>\n\n", MalformedAnswer),
        (TEXT, TEXT, StreamCut),
        (TEXT + b'data: {"choices', TEXT, StreamCut),
        (TEXT + DONE, TEXT, StreamCut),
        (TEXT + b"data: {broken]\n\n", TEXT + b"data: {broken]\n\n", StreamCut),
        (b"data: {broken]\n\n" + TEXT, b"", MalformedAnswer),
        (TEXT + b'data: {"error":{"message":"x"}}\n\n' + DONE, TEXT, StreamFailed),
        (b'data: {"error":{"message":"x"}}\n\n', b"", StreamFailed),
        (TEXT + chunk({}, "error") + DONE, TEXT, StreamFailed),
    ],
)
def test_a_stream_that_does_not_end_well_passes_up_to_there(
    data: bytes, passed: bytes, error: type[UpstreamError]
) -> None:
    tap, out = tapped([data], wants_usage=True)
    assert out == passed
    assert type(tap.failed) is error
    assert not tap.ended
    assert tap.feed(TEXT) == b""


def test_the_tap_and_the_decoder_fail_alike() -> None:
    for data in (b"", b"x", TEXT, TEXT + DONE, b'data: {"error":"x"}\n\n'):
        tap, _ = tapped([data], wants_usage=True)
        failed = decode_all(data)[-1]
        assert isinstance(failed, Failed)
        assert (type(tap.failed), str(tap.failed)) == (type(failed.error), str(failed.error))


def test_a_last_event_without_its_blank_line_is_handed_on_whole() -> None:
    tap, out = tapped([TEXT + FINISH + b"data: [DONE]\n"], wants_usage=True)
    assert out == TEXT + FINISH + DONE
    assert (tap.ended, tap.failed) == (True, None)


def test_a_finish_reason_makes_the_answer_whole_without_an_end_mark() -> None:
    tap, out = tapped([TEXT + FINISH], wants_usage=True)
    assert out == TEXT + FINISH
    assert (tap.finished, tap.ended, tap.failed) == (True, False, None)


def test_a_byte_order_mark_is_no_obstacle() -> None:
    tap, out = tapped([sse.BOM + TEXT + FINISH + DONE], wants_usage=True)
    assert out == sse.BOM + TEXT + FINISH + DONE
    assert tap.content_seen


def test_an_event_beyond_the_limit_is_not_the_dialect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 64)
    tap, out = tapped([b"data: " + b"x" * 64], wants_usage=True)
    assert out == b""
    assert isinstance(tap.failed, MalformedAnswer)
