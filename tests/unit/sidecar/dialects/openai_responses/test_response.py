"""Plain answers: which of them are none, who may go on from them, and whose fault a failed one is."""

import json
from typing import Any

import pytest

from sidecar.canonical.request import Reasoning, RedactedReasoning, Text
from sidecar.canonical.response import ChatResponse, Choice, FinishReason
from sidecar.dialects.openai_responses import OPENAI_RESPONSES
from sidecar.errors import (
    ContentRefused,
    MalformedAnswer,
    Rejected,
    ServerFault,
    StreamFailed,
    Throttled,
    UpstreamError,
)


def answer(**fields: Any) -> bytes:
    return json.dumps({"id": "resp_1", "model": "m", "status": "completed", "output": []} | fields).encode()


@pytest.mark.parametrize(("fields", "state_id"), [({}, "resp_1"), ({"store": True}, "resp_1"), ({"store": False}, "")])
def test_an_answer_that_its_provider_keeps_may_be_continued(fields: dict[str, Any], state_id: str) -> None:
    assert OPENAI_RESPONSES.read_answer(answer(**fields)).state_id == state_id


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"code": "rate_limit_exceeded", "message": "m"}, Throttled),
        ({"code": "server_error", "message": "m"}, ServerFault),
        ({"code": "invalid_prompt", "message": "m"}, Rejected),
        ({"code": "image_content_policy_violation", "message": "m"}, ContentRefused),
        ({"code": "some_word_of_tomorrow", "message": "m"}, StreamFailed),
        ({}, StreamFailed),
    ],
)
def test_a_failed_answer_says_whose_fault_it_is(error: dict[str, str], kind: type[UpstreamError]) -> None:
    for read in (OPENAI_RESPONSES.read_answer, OPENAI_RESPONSES.decode_response):
        with pytest.raises(UpstreamError) as caught:
            read(answer(status="failed", error=error))
        assert type(caught.value) is kind


@pytest.mark.parametrize(
    "body", [b"", b"  ", b"<html>", b"[]", b"{", b"{}", b'{"output":7}', answer(output=None), b'{"choices":[]}']
)
def test_what_is_no_answer_is_malformed(body: bytes) -> None:
    for read in (OPENAI_RESPONSES.read_answer, OPENAI_RESPONSES.decode_response):
        with pytest.raises(MalformedAnswer):
            read(body)


def test_an_answer_in_the_background_passes_and_does_not_cross() -> None:
    queued = answer(status="queued")
    assert OPENAI_RESPONSES.read_answer(queued).usage is None
    with pytest.raises(MalformedAnswer, match="its status is queued"):
        OPENAI_RESPONSES.decode_response(queued)


@pytest.mark.parametrize(
    ("finish", "status", "reason"),
    [
        ("stop", "completed", None),
        ("tool_calls", "completed", None),
        ("stop_sequence", "completed", None),
        ("length", "incomplete", "max_output_tokens"),
        ("pause", "incomplete", "max_output_tokens"),
        ("content_filter", "incomplete", "content_filter"),
        ("refusal", "incomplete", "content_filter"),
    ],
)
def test_finish_and_status(finish: FinishReason, status: str, reason: str | None) -> None:
    response = ChatResponse(
        id="i", model="m", choices=(Choice(parts=(Text(text="a"), Text(text="b")), finish=finish),), usage=None
    )
    sent = json.loads(OPENAI_RESPONSES.encode_response(response))
    assert sent["status"] == status
    assert sent["incomplete_details"] == (reason and {"reason": reason})
    assert [item["status"] for item in sent["output"]] == [status]


def test_thinking_of_another_vendor_comes_back_as_it_went() -> None:
    parts = (
        Reasoning(text="t", signature="EqQB"),
        Reasoning(text="unsigned"),
        RedactedReasoning(data="Emw"),
        Text(text="A"),
    )
    sent = OPENAI_RESPONSES.encode_response(
        ChatResponse(id="i", model="m", choices=(Choice(parts=parts, finish="stop"),), usage=None)
    )
    assert OPENAI_RESPONSES.decode_response(sent).choices[0].parts == parts
    body = json.dumps({"model": "m", "input": json.loads(sent)["output"]}).encode()
    again = OPENAI_RESPONSES.decode_request(OPENAI_RESPONSES.open(body))
    assert again.messages[0].parts == parts


def test_ids_are_no_longer_than_the_api_takes_them_back() -> None:
    response = ChatResponse(
        id="chatcmpl-" + "x" * 90, model="m", choices=(Choice(parts=(Text(text="a"),), finish="stop"),), usage=None
    )
    (item,) = json.loads(OPENAI_RESPONSES.encode_response(response))["output"]
    assert item["id"].startswith("msg_0_")
    assert len(item["id"]) == 64
