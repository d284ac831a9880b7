"""A count is the provider's own where it speaks the caller's dialect, and else an estimate."""

import json
from typing import Any

import pytest
from msgspec.structs import replace

from schemas.bundle import DialectName
from sidecar.core.call import PlainReply
from sidecar.core.counting import TokenCounter
from sidecar.dialects.base import InPath
from sidecar.dialects.counting import ANTHROPIC_COUNT, GEMINI_COUNT, Counting
from sidecar.errors import MalformedRequest, Rejected, Unreachable
from tests.fakes import core_bundles as bundles
from tests.fakes.core import Core
from tests.fakes.ports import Script

ASKED = b'{"model":"chat","messages":[{"role":"user","content":"Where is the station, and when does it open?"}]}'
CONTENTS = b'{"contents":[{"parts":[{"text":"Where is the station?"}]}]}'
WHOLE = (
    b'{"generateContentRequest":{"model":"models/chat","contents":[{"parts":[{"text":"Hi"}]}],'
    b'"systemInstruction":{"parts":[{"text":"Be brief."}]}}}'
)


def counting_core(*scripts: Script, dialect: DialectName = "anthropic", **rules: Any) -> Core:
    return Core(*scripts, providers={"one": bundles.provider(dialect=dialect), "two": bundles.provider()}, **rules)


async def count(core: Core, body: bytes = ASKED, counting: Counting = ANTHROPIC_COUNT) -> PlainReply:
    inbound = replace(core.inbound(body), dialect=counting.dialect, in_path=InPath("chat"))
    return await TokenCounter(core.pipeline, core.upstream).count(inbound, counting)


async def test_the_providers_own_count_is_passed_on_as_it_came() -> None:
    core = counting_core(Script((b'{ "input_tokens": 17 }',)))
    reply = await count(core)
    assert reply.body == b'{ "input_tokens": 17 }'
    assert "x-pointsman-estimated" not in reply.headers
    assert reply.headers["x-pointsman-model"] == "alpha"
    (sent,) = core.upstream.sent
    assert sent.path == "/v1/messages/count_tokens"
    assert json.loads(sent.body)["model"] == "one-name"
    core.assert_nothing_left_open()


@pytest.mark.parametrize(
    ("body", "sent"), [(CONTENTS, CONTENTS), (WHOLE, WHOLE.replace(b"models/chat", b"models/one-name"))]
)
async def test_gemini_is_asked_with_either_of_its_bodies(body: bytes, sent: bytes) -> None:
    core = counting_core(Script((b'{"totalTokens":31}',)), dialect="gemini")
    reply = await count(core, body, GEMINI_COUNT)
    assert reply.body == b'{"totalTokens":31}'
    assert core.upstream.sent[0].path == "/v1beta/models/one-name:countTokens"
    assert json.loads(core.upstream.sent[0].body) == json.loads(sent)


@pytest.mark.parametrize(
    ("counting", "body", "field"),
    [
        (ANTHROPIC_COUNT, ASKED, "input_tokens"),
        (GEMINI_COUNT, CONTENTS, "totalTokens"),
        (GEMINI_COUNT, WHOLE, "totalTokens"),
    ],
)
async def test_for_a_target_of_another_dialect_it_is_an_estimate_and_nobody_is_asked(
    counting: Counting, body: bytes, field: str
) -> None:
    core = counting_core(dialect="openai")
    reply = await count(core, body, counting)
    assert set(json.loads(reply.body)) == {field}
    assert json.loads(reply.body)[field] == pytest.approx(len(body) / 4, abs=30)
    assert reply.headers["x-pointsman-estimated"] == "true"
    assert core.upstream.sent == []


@pytest.mark.parametrize(
    ("script", "why"),
    [(Script(refusal=Unreachable("down")), "unreachable"), (Script((b"{}",), status=529), "overloaded")],
)
async def test_a_provider_that_cannot_count_now_is_stood_in_for(script: Script, why: str) -> None:
    reply = await count(counting_core(script))
    assert json.loads(reply.body)["input_tokens"] > 0
    assert (reply.headers["x-pointsman-estimated"], reply.headers["x-pointsman-reason"]) == ("true", why)


async def test_a_request_that_the_provider_finds_wrong_is_not_counted() -> None:
    refused = b'{"type":"error","error":{"type":"invalid_request_error","message":"messages: roles must alternate"}}'
    with pytest.raises(Rejected, match="roles must alternate"):
        await count(counting_core(Script((refused,), status=400)))


@pytest.mark.parametrize("body", [b"[]", b'{"model":"chat"}', b'{"messages":[]}'])
async def test_a_request_that_is_none_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedRequest):
        await count(counting_core(), body)


async def test_nothing_is_booked() -> None:
    core = counting_core(Script((b'{"input_tokens":17}',)))
    await count(core)
    assert (core.sink.begun, core.sink.booked) == ([], [])
