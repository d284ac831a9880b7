"""Anthropic's events inside AWS' frames, and counts: read by our code and by Anthropic's own Bedrock client alike."""

import base64
import itertools
import json

import pytest
from anthropic.lib.bedrock._stream_decoder import AWSEventStreamDecoder
from hypothesis import given
from hypothesis import strategies as st

from sidecar.dialects.bedrock.invoke import InvokeStream, count_answer, decode_count_error
from sidecar.errors import MalformedAnswer, ModelGone, Overloaded, Rejected, ServerFault, StreamFailed, Throttled
from sidecar.sse import parse_events
from tests.fakes.eventstream import pack

DATA = (
    {"type": "message_start", "message": {"id": "msg_1", "usage": {"input_tokens": 9}}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "The train: é\n"}},
    {"type": "message_stop", "amazon-bedrock-invocationMetrics": {"inputTokenCount": 9}},
)


def chunk(data: object) -> str:
    said = data if isinstance(data, bytes) else json.dumps(data).encode()
    return f"chunk {json.dumps({'bytes': base64.b64encode(said).decode(), 'p': 'abcdef'})}"


TRANSCRIPT = pack("".join(f"{chunk(data)}\n" for data in DATA))


@given(st.lists(st.integers(0, len(TRANSCRIPT))))
def test_the_events_are_those_of_anthropics_own_client_wherever_the_bytes_were_cut(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(TRANSCRIPT)]
    stream = InvokeStream()
    out = b"".join(stream.feed(TRANSCRIPT[start:end]) for start, end in itertools.pairwise(places))
    ours = [(event.event, event.data.decode()) for event in parse_events(out)]
    assert ours == [(sse.event, sse.data) for sse in AWSEventStreamDecoder().iter_bytes(iter([TRANSCRIPT]))]
    assert [json.loads(data) for _, data in ours] == list(DATA)
    assert stream.failed is None


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ('exception throttlingException {"message":"slow down"}', Throttled),
        ('exception modelStreamErrorException {"message":"no","originalStatusCode":500}', StreamFailed),
        ('exception internalServerException {"message":"no"}', ServerFault),
        ('exception serviceUnavailableException {"message":"no"}', Overloaded),
        ('exception validationException {"message":"messages: too few"}', Rejected),
        ("error InternalFailure text", ServerFault),
        ('chunk {"bytes":"not base64!"}', MalformedAnswer),
        (chunk(b"[]"), MalformedAnswer),
        (chunk(b"half"), MalformedAnswer),
        ('chunk {"other":1}', MalformedAnswer),
    ],
)
def test_a_stream_that_fails_has_given_what_came_before(line: str, kind: type[Exception]) -> None:
    stream = InvokeStream()
    out = stream.feed(pack(f"{chunk(DATA[0])}\n{line}\n{chunk(DATA[1])}\n"))
    assert [event.event for event in parse_events(out)] == ["message_start"]
    assert type(stream.failed) is kind


def test_bytes_that_are_no_frames_are_a_malformed_answer() -> None:
    stream = InvokeStream()
    assert stream.feed(b'{"message": "a plain answer"}') == b""
    assert isinstance(stream.failed, MalformedAnswer)


def test_kinds_that_were_added_later_are_passed_over() -> None:
    stream = InvokeStream()
    assert stream.feed(pack(f"later {{}}\n{chunk({'no': 'type'})}\n")) == b""
    assert stream.failed is None


def test_a_count_is_said_as_anthropic_says_it() -> None:
    assert json.loads(count_answer(b'{"inputTokens": 17}')) == {"input_tokens": 17}
    with pytest.raises(MalformedAnswer):
        count_answer(b"{}")


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("The provided model doesn't support counting tokens.", ModelGone),
        ("messages: roles must alternate", Rejected),
    ],
)
def test_a_model_that_cannot_be_counted_is_no_fault_of_the_request(message: str, kind: type[Exception]) -> None:
    body = json.dumps({"message": message}).encode()
    assert type(decode_count_error(400, {"x-amzn-errortype": "ValidationException"}, body)) is kind
