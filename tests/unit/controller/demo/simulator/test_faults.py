"""Each fault, as a raw client sees it, in both dialects."""

import asyncio
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import anthropic
import openai
import pytest

both = pytest.mark.parametrize("dialect", ["openai", "anthropic"])
END_MARKS = {"openai": b"[DONE]", "anthropic": b"message_stop"}
FINISH_MARKS = {"openai": b'"finish_reason":"stop"', "anthropic": b'"stop_reason":"end_turn"'}
CONTENT_MARKS = {"openai": b'"content":"', "anthropic": b'"text_delta"'}


@both
@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 503, 529])
async def test_status_comes_with_the_providers_own_body(simulator: Any, dialect: str, status: int) -> None:
    await simulator.fault({"status": status}, times=1)
    async with simulator.post(dialect, stream=True) as answer:
        body = await answer.json()
    assert answer.status == status
    assert body["error"]["message"]
    assert (body.get("type") == "error") == (dialect == "anthropic")
    assert ("code" in body["error"]) == (dialect == "openai")


@both
async def test_retry_after_in_its_three_forms(simulator: Any, dialect: str) -> None:
    seen = {}
    for form in ("seconds", "date", "ms"):
        await simulator.fault({"status": 429, "retry_after": 7, "retry_after_form": form}, times=1)
        async with simulator.post(dialect) as answer:
            seen[form] = answer.headers
    assert seen["seconds"]["retry-after"] == "7"
    wait = parsedate_to_datetime(seen["date"]["retry-after"]) - parsedate_to_datetime(seen["date"]["date"])
    assert 6 <= wait.total_seconds() <= 8
    assert seen["ms"]["retry-after-ms"] == "7000"


@both
@pytest.mark.parametrize("stream", [False, True])
async def test_close_sends_no_byte(simulator: Any, dialect: str, stream: bool) -> None:
    await simulator.fault({"close": True})
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await simulator.post(dialect, stream=stream)


@both
@pytest.mark.parametrize("fault", [{"hang": True}, {"stall": 0}, {"delay": 5}, {"first_token_delay": 5}])
async def test_what_waits_waits(simulator: Any, dialect: str, fault: dict[str, Any]) -> None:
    await simulator.fault(fault)
    heard = await simulator.hear(dialect, stream=True, patience_seconds=0.15)
    assert isinstance(heard.error, TimeoutError)
    # Headers come before a stall and before the first token, and nothing before a delay.
    assert heard.status == (None if {"hang", "delay"} & fault.keys() else 200)
    assert CONTENT_MARKS[dialect] not in heard.data.replace(b'"content":""', b"")


@both
async def test_a_stall_comes_after_so_many_chunks(simulator: Any, dialect: str) -> None:
    await simulator.fault({"stall": 3})
    heard = await simulator.hear(dialect, stream=True, patience_seconds=0.15)
    assert isinstance(heard.error, TimeoutError)
    assert heard.data.replace(b'"content":""', b"").count(CONTENT_MARKS[dialect]) == 3


@both
@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_cut_leaves_the_body_unfinished(simulator: Any, dialect: str, how: str, stream: bool) -> None:
    await simulator.fault({"cut": 2, "cut_how": how})
    heard = await simulator.hear(dialect, stream=stream)
    assert isinstance(heard.error, aiohttp.ClientPayloadError | aiohttp.ClientOSError)
    assert END_MARKS[dialect] not in heard.data


@both
async def test_a_clean_cut_ends_the_body_without_marks(simulator: Any, dialect: str) -> None:
    await simulator.fault({"cut": 2, "cut_how": "clean"})
    async with simulator.post(dialect, stream=True) as answer:
        received = await answer.read()
    assert CONTENT_MARKS[dialect] in received
    assert FINISH_MARKS[dialect] not in received
    assert END_MARKS[dialect] not in received


@both
async def test_no_done_finishes_without_the_end_mark(simulator: Any, dialect: str) -> None:
    await simulator.fault({"no_done": True})
    async with simulator.post(dialect, stream=True) as answer:
        received = await answer.read()
    assert FINISH_MARKS[dialect] in received
    assert END_MARKS[dialect] not in received


@both
@pytest.mark.parametrize("stream", [False, True])
async def test_no_usage(simulator: Any, dialect: str, stream: bool) -> None:
    await simulator.fault({"no_usage": True})
    async with simulator.post(dialect, stream=stream, stream_options={"include_usage": True}) as answer:
        assert b"usage" not in await answer.read()


@both
async def test_garbage(simulator: Any, dialect: str) -> None:
    received = {}
    for kind in ("html", "json", "sse"):
        await simulator.fault({"garbage": kind}, times=1)
        async with simulator.post(dialect, stream=True) as answer:
            assert answer.status == 200
            received[kind] = (answer.content_type, await answer.read())
    assert received["html"][0] == "text/html"
    assert received["json"] == ("application/json", received["json"][1].rstrip(b"}"))
    assert received["sse"][0] == "text/event-stream"
    assert END_MARKS[dialect] not in received["sse"][1]


async def test_an_error_in_the_stream_reaches_the_sdks_as_their_own_error(
    simulator: Any, openai_client: openai.AsyncOpenAI, anthropic_client: anthropic.AsyncAnthropic
) -> None:
    await simulator.fault({"error_event": 2})
    hello: list[Any] = [{"role": "user", "content": "Hello"}]
    with pytest.raises(openai.APIError, match="The server had an error"):
        async for _ in await openai_client.chat.completions.create(model="m", messages=hello, stream=True):
            pass
    with pytest.raises(anthropic.APIStatusError, match="Overloaded"):
        async for _ in await anthropic_client.messages.create(model="m", max_tokens=50, messages=hello, stream=True):
            pass


async def test_a_scripted_model_says_what_it_is_told(
    simulator: Any, openai_client: openai.AsyncOpenAI, anthropic_client: anthropic.AsyncAnthropic
) -> None:
    hello: list[Any] = [{"role": "user", "content": "Hello"}]
    await simulator.fault({"text": "forty-two"}, model="gpt-*", times=1)
    told = await openai_client.chat.completions.create(model="gpt-5", messages=hello)
    assert told.choices[0].message.content == "forty-two"

    await simulator.fault({"refusal": True})
    refused = await openai_client.chat.completions.create(model="gpt-5", messages=hello)
    assert refused.choices[0].message.refusal
    assert refused.choices[0].message.content is None
    declined = await anthropic_client.messages.create(model="claude", max_tokens=50, messages=hello)
    assert declined.stop_reason == "refusal"


async def test_rules_count_per_model_and_then_end(simulator: Any) -> None:
    await simulator.fault({"status": 500}, model="a*", times=2, after=1)

    async def status(model: str) -> int:
        async with simulator.post("openai", model=model) as answer:
            return int(answer.status)

    assert [await status(model) for model in ("a1", "b", "a1", "a2", "a1")] == [200, 200, 500, 500, 200]


async def test_faults_end_when_deleted(simulator: Any) -> None:
    await simulator.fault({"status": 500})
    async with simulator.http.delete(f"{simulator.url}/_sim/faults") as deleted:
        assert deleted.status == 204
    async with simulator.post("openai") as answer:
        assert answer.status == 200


@pytest.mark.parametrize("rule", [{"fault": {"sttaus": 500}}, {"fault": {"status": 200}}, {"fault": {}, "times": 0}])
async def test_a_wrong_rule_is_refused(simulator: Any, rule: dict[str, Any]) -> None:
    async with simulator.http.post(f"{simulator.url}/_sim/faults", json=rule) as answer:
        assert answer.status == 400
        assert (await answer.json())["error"]


@both
async def test_malformed_json_is_the_providers_400(simulator: Any, dialect: str) -> None:
    path = "/v1/messages" if dialect == "anthropic" else "/v1/chat/completions"
    async with simulator.http.post(simulator.url + path, data=b'{"model": ') as answer:
        assert answer.status == 400
        assert (await answer.json())["error"]["type"] == "invalid_request_error"


@both
async def test_many_streams_at_once(simulator: Any, dialect: str) -> None:
    async def ended() -> bool:
        async with simulator.post(dialect, stream=True) as answer:
            return END_MARKS[dialect] in await answer.read()

    assert all(await asyncio.gather(*(ended() for _ in range(64))))
