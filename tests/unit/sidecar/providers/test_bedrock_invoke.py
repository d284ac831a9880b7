"""Claude at Bedrock: what a Messages request becomes there, and that its answers read as Anthropic's own."""

import base64
import json
from dataclasses import replace
from typing import Any

import pytest

from sidecar.errors import ConnectionLost, MalformedAnswer, Overloaded, Rejected, StreamCut, Throttled
from sidecar.providers.bedrock_invoke import CountAnswer, InvokeAnswer, invoke
from sidecar.routing.snapshot import Target
from tests.fakes import core_bundles as bundles
from tests.fakes.clouds import EVENTS, frame
from tests.fakes.eventstream import pack
from tests.fakes.ports import Script, ScriptedAnswer, ScriptedUpstream

HEADERS = {"x-a": "b"}
MESSAGES: dict[str, Any] = {"model": "one-name", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}]}
COUNT = "/v1/messages/count_tokens"
FRAMES = [pack(frame(event)) for event in EVENTS]


def target() -> Target:
    provider = bundles.provider("https://host.example", dialect="anthropic", layout="bedrock-invoke")
    snapshot = bundles.snapshot(providers={"one": provider}, models={"a": bundles.model("one")}, chain=["a"])
    found: Target = snapshot.targets["a"][0]
    return found


def as_bytes(document: dict[str, Any]) -> bytes:
    return json.dumps(document).encode()


def scripted(*steps: bytes | Exception, status: int = 200, **headers: str) -> ScriptedAnswer:
    return ScriptedAnswer(Script(steps, status, headers), ScriptedUpstream())


@pytest.mark.parametrize(("more", "method"), [({}, "invoke"), ({"stream": True}, "invoke-with-response-stream")])
def test_claude_at_bedrock_has_model_and_stream_in_the_path_and_version_and_betas_in_the_body(
    more: dict[str, bool], method: str
) -> None:
    headers = HEADERS | {"anthropic-beta": "context-1m-2025-08-07, other"}
    there = invoke(target(), "/v1/messages", headers, as_bytes(MESSAGES | more))
    assert (there.path, there.headers) == (f"/model/one-name/{method}", {"x-a": "b"})
    kept = {name: value for name, value in MESSAGES.items() if name != "model"}
    named = {"anthropic_version": "bedrock-2023-05-31", "anthropic_beta": ["context-1m-2025-08-07", "other"]}
    assert json.loads(there.body) == kept | named


def test_a_count_at_bedrock_is_asked_with_the_body_that_would_be_sent() -> None:
    asked = {name: value for name, value in MESSAGES.items() if name != "max_tokens"}
    there = invoke(target(), COUNT, HEADERS, as_bytes(asked))
    assert there.path == "/model/one-name/count-tokens"
    inner = json.loads(base64.b64decode(json.loads(there.body)["input"]["invokeModel"]["body"]))
    assert inner == {"max_tokens": 1, "messages": MESSAGES["messages"], "anthropic_version": "bedrock-2023-05-31"}


@pytest.mark.parametrize(
    ("name", "segment"),
    [
        ("us.anthropic.claude-sonnet-4-6-v1:0", "us.anthropic.claude-sonnet-4-6-v1:0"),
        (
            "arn:aws:bedrock:us-east-1:1:application-inference-profile/a",
            "arn:aws:bedrock:us-east-1:1:application-inference-profile%2Fa",
        ),
    ],
)
def test_a_bedrock_model_is_one_segment_of_the_path(name: str, segment: str) -> None:
    where = replace(target(), name=name)
    assert invoke(where, "/v1/messages", {}, as_bytes(MESSAGES)).path == f"/model/{segment}/invoke"


async def test_a_stream_is_read_as_anthropics_however_it_arrives() -> None:
    whole = b"".join(FRAMES)
    answer = InvokeAnswer(scripted(whole[:7], whole[7:300], whole[300:]))
    heard = b""
    while data := await answer.chunk():
        heard += data
    assert heard.count(b"event: ") == len(EVENTS)
    assert heard.endswith(b"\n\n")


async def test_an_exception_comes_after_what_was_said_before_it() -> None:
    broken = FRAMES[0] + pack('exception throttlingException {"message":"no"}\n')
    answer = InvokeAnswer(scripted(broken))
    assert (await answer.chunk()).startswith(b"event: message_start")
    with pytest.raises(Throttled):
        await answer.chunk()


async def test_a_broken_connection_stays_one_and_is_closed() -> None:
    inner = scripted(FRAMES[0], StreamCut("gone"))
    answer = InvokeAnswer(inner)
    await answer.chunk()
    with pytest.raises(StreamCut):
        await answer.chunk()
    answer.close()
    assert inner.times_closed == 1


async def test_what_is_failed_from_outside_is_raised_by_the_next_read() -> None:
    answer = InvokeAnswer(scripted(FRAMES[0]))
    answer.fail(ConnectionLost("from outside"))
    with pytest.raises(ConnectionLost, match="from outside"):
        await answer.chunk()


@pytest.mark.parametrize(
    ("status", "name", "kind"),
    [
        (400, "ValidationException", Rejected),
        (400, "ServiceQuotaExceededException", Throttled),
        (503, "ServiceUnavailableException", Overloaded),
    ],
)
async def test_a_refusal_is_read_in_aws_words(status: int, name: str, kind: type[Exception]) -> None:
    answer = InvokeAnswer(scripted(b'{"message":"no"}', status=status, **{"x-amzn-errortype": name}))
    with pytest.raises(kind):
        await answer.read()


async def test_a_plain_answer_keeps_its_bytes() -> None:
    assert await InvokeAnswer(scripted(b'{ "id": 1 }')).read() == b'{ "id": 1 }'


async def test_a_count_is_translated_and_one_that_is_none_is_malformed() -> None:
    assert json.loads(await CountAnswer(scripted(b'{"inputTokens":17}')).read()) == {"input_tokens": 17}
    with pytest.raises(MalformedAnswer):
        await CountAnswer(scripted(b"<html>")).read()
