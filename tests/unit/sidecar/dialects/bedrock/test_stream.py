"""Event streams of Converse: cuts do not matter, no bytes raise what is not ours, plain and streamed agree."""

import json
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.canonical.events import (
    AnyEvent,
    Ended,
    Failed,
    Finished,
    PartEnded,
    Started,
    TextDelta,
    UsageReported,
    collect,
)
from sidecar.canonical.response import ChatResponse
from sidecar.dialects.bedrock import BEDROCK
from sidecar.errors import (
    ContextTooLong,
    CredentialRefused,
    MalformedAnswer,
    Overloaded,
    Rejected,
    ServerFault,
    StreamCut,
    StreamFailed,
    Throttled,
    UpstreamError,
)
from tests.fakes.eventstream import pack, wire_of

STREAMS = sorted((Path(__file__).parents[4] / "golden" / "streams" / "bedrock").glob("*.frames"))
QUICK = settings(max_examples=8, deadline=None)
THOROUGH = settings(max_examples=50, deadline=None)
START = 'messageStart {"role":"assistant"}\n'


def decode(pieces: Iterable[bytes]) -> list[AnyEvent]:
    decoder = BEDROCK.new_decoder()
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return events + decoder.finish()


def comparable(events: Iterable[AnyEvent]) -> list[object]:
    return [(type(event.error), event.error.message) if isinstance(event, Failed) else event for event in events]


@pytest.mark.parametrize("path", STREAMS, ids=lambda path: path.stem)
@QUICK
@given(st.lists(st.integers(0, 5_000), max_size=10))
def test_events_do_not_depend_on_where_the_bytes_were_cut(path: Path, cuts: list[int]) -> None:
    sent = wire_of(path)
    edges = [0, *sorted(cut % (len(sent) + 1) for cut in cuts), len(sent)]
    assert comparable(decode(sent[start:stop] for start, stop in pairwise(edges))) == comparable(decode([sent]))


WORDS = st.sampled_from(
    [
        "contentBlockIndex", "delta", "start", "text", "toolUse", "toolUseId", "name", "input", "reasoningContent",
        "signature", "redactedContent", "stopReason", "end_turn", "usage", "inputTokens", "outputTokens", "message",
        "output", "content", "type", "citation", "trace", "promptRouter", "additionalModelResponseFields",
    ]
)  # fmt: skip
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)
KINDS = st.sampled_from(
    [
        "messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata",
        "novelty", "exception throttlingException", "exception novelException", "error InternalFailure",
    ]
)  # fmt: skip


@THOROUGH
@given(st.lists(st.tuples(KINDS, ANY_JSON), max_size=6), st.booleans())
def test_any_frames_are_a_stream_that_ends_or_fails_once(frames: list[tuple[str, Any]], begins: bool) -> None:
    lines = "".join(f"{kind} {json.dumps(payload)}\n" for kind, payload in frames)
    events = decode([pack(START + lines if begins else lines)])
    assert isinstance(events[-1], Ended | Failed)
    assert not any(isinstance(event, Ended | Failed) for event in events[:-1])


@THOROUGH
@given(st.binary(max_size=100))
def test_any_bytes_are_a_stream_that_fails(sent: bytes) -> None:
    events = decode([sent])
    assert [type(event) for event in events] == [Failed]


@THOROUGH
@given(st.binary(max_size=60) | ANY_JSON.map(json.dumps).map(str.encode), ANY_JSON)
def test_any_body_is_an_answer_or_refused_as_malformed(body: bytes, content: Any) -> None:
    near = {"output": {"message": {"content": content}}, "stopReason": "end_turn", "usage": content}
    for sent in (body, json.dumps(near).encode(), json.dumps({**near, "usage": None, "trace": content}).encode()):
        try:
            assert isinstance(BEDROCK.decode_response(sent), ChatResponse)
        except MalformedAnswer:
            continue


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
BLOCKS = st.lists(
    st.one_of(
        st.builds(lambda text: {"text": text}, TEXTS),
        st.builds(
            lambda text, signature: {"reasoningContent": {"reasoningText": {"text": text, "signature": signature}}},
            TEXTS,
            TEXTS,
        ),
        st.just({"reasoningContent": {"redactedContent": "c2VjcmV0"}}),
        st.builds(
            lambda name, given: {"toolUse": {"toolUseId": name, "name": "f", "input": given}},
            st.from_regex(r"[a-z]{1,8}", fullmatch=True),
            st.dictionaries(TEXTS, TEXTS, max_size=2),
        ),
    ),
    max_size=5,
)


def deltas_of(index: int, block: dict[str, Any], size: int) -> list[tuple[str, Any]]:
    def delta(said: Any) -> tuple[str, Any]:
        return "contentBlockDelta", {"contentBlockIndex": index, "delta": said}

    def split(text: str) -> list[str]:
        return [text[at : at + size] for at in range(0, len(text), size)]

    frames: list[tuple[str, Any]] = []
    if "text" in block:
        frames += [delta({"text": piece}) for piece in split(block["text"])]
    elif "toolUse" in block:
        use = block["toolUse"]
        start = {"toolUse": {"toolUseId": use["toolUseId"], "name": use["name"]}}
        frames.append(("contentBlockStart", {"contentBlockIndex": index, "start": start}))
        if use["input"]:
            frames += [delta({"toolUse": {"input": piece}}) for piece in split(json.dumps(use["input"]))]
    elif "reasoningText" in block["reasoningContent"]:
        thought = block["reasoningContent"]["reasoningText"]
        frames += [delta({"reasoningContent": {"text": piece}}) for piece in split(thought["text"])]
        frames.append(delta({"reasoningContent": {"signature": thought["signature"]}}))
    else:
        frames.append(delta(block))
    return [*frames, ("contentBlockStop", {"contentBlockIndex": index})]


@THOROUGH
@given(BLOCKS, st.integers(1, 5), st.sampled_from(["end_turn", "tool_use", "max_tokens", "guardrail_intervened"]))
def test_plain_and_streamed_agree(blocks: list[dict[str, Any]], size: int, reason: str) -> None:
    usage = {"inputTokens": 3, "outputTokens": 5, "totalTokens": 15, "cacheReadInputTokens": 7}
    plain = {"output": {"message": {"role": "assistant", "content": blocks}}, "stopReason": reason, "usage": usage}
    frames = [frame for index, block in enumerate(blocks) for frame in deltas_of(index, block, size)]
    frames += [("messageStop", {"stopReason": reason}), ("metadata", {"usage": usage})]
    lines = "".join(f"{kind} {json.dumps(payload)}\n" for kind, payload in frames)
    streamed = collect(decode([pack(START + lines)]))
    answer = BEDROCK.decode_response(json.dumps(plain).encode())
    assert streamed == answer
    assert answer.usage is not None
    assert (answer.usage.input_tokens, answer.usage.cache_read_tokens) == (10, 7)


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ('exception throttlingException {"message":"Slow down."}', Throttled),
        ('exception serviceUnavailableException {"message":"no"}', Overloaded),
        ('exception internalServerException {"message":"no"}', ServerFault),
        ('exception modelStreamErrorException {"message":"no"}', StreamFailed),
        ('exception modelTimeoutException {"message":"no"}', ServerFault),
        ('exception validationException {"message":"toolConfig must be given"}', Rejected),
        ('exception validationException {"message":"Input is too long for requested model."}', ContextTooLong),
        ('exception accessDeniedException {"message":"no"}', CredentialRefused),
        ('exception exceptionOfTomorrow {"message":"no"}', StreamFailed),
        ("error InternalFailure went wrong", ServerFault),
        ("error NobodyKnows went wrong", StreamFailed),
        ("contentBlockDelta not json", MalformedAnswer),
        ('contentBlockDelta {"contentBlockIndex":0,"delta":{"image":{}}}', MalformedAnswer),
        ('contentBlockDelta {"contentBlockIndex":0,"delta":{"toolUse":{"input":"{}"}}}', MalformedAnswer),
        ('contentBlockStart {"contentBlockIndex":0,"start":{"image":{"format":"png"}}}', MalformedAnswer),
        ('messageStop {"stopReason":"malformed_model_output"}', MalformedAnswer),
    ],
)
def test_what_goes_wrong_in_a_stream_has_its_class(line: str, error: type[UpstreamError]) -> None:
    events = decode([pack(f"{START}{line}\n")])
    assert isinstance(events[0], Started)
    assert isinstance(events[-1], Failed)
    assert type(events[-1].error) is error


def test_a_message_that_speaks_of_our_account_is_not_shown() -> None:
    events = decode([pack('exception throttlingException {"message":"account 111122223333 has spent its quota"}\n')])
    assert isinstance(events[-1], Failed)
    assert "1111" not in events[-1].error.message


@pytest.mark.parametrize(
    ("sent", "error"),
    [(b"<html><body>Bad Gateway</body></html>", MalformedAnswer), (b"<h", MalformedAnswer), (b"", StreamCut)],
)
def test_a_page_is_no_event_stream_and_silence_is_a_cut(sent: bytes, error: type[UpstreamError]) -> None:
    (failed,) = decode([sent])
    assert isinstance(failed, Failed)
    assert type(failed.error) is error


def test_a_stream_without_its_start_is_malformed() -> None:
    (failed,) = decode([pack('contentBlockDelta {"contentBlockIndex":0,"delta":{"text":"Hi"}}\n')])
    assert isinstance(failed, Failed)
    assert type(failed.error) is MalformedAnswer


def test_the_answer_ends_with_its_metadata_and_not_with_the_connection() -> None:
    decoder = BEDROCK.new_decoder()
    text = 'contentBlockDelta {"contentBlockIndex":0,"delta":{"text":"Hi"}}\nmessageStop {"stopReason":"end_turn"}\n'
    usage = 'metadata {"usage":{"inputTokens":1,"outputTokens":1,"totalTokens":2}}\n'
    events = decoder.feed(pack(START + text + usage))
    assert [type(event) for event in events] == [Started, TextDelta, PartEnded, Finished, UsageReported, Ended]
    assert decoder.feed(pack(START)) == []
    assert decoder.finish() == []
