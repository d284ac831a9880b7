"""A target whose dialect has no place for the call's content is skipped with the reason: nothing is sent to it."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from schemas.bundle import Hedge, Limits, Provider, Retry
from schemas.record import SkippedTarget
from sidecar.core.call import CallFailed
from sidecar.core.refusals import status_of
from sidecar.errors import ConnectionLost
from tests.fakes import core_bundles as bundles
from tests.fakes import core_wire as wire
from tests.fakes.agent_port import Port
from tests.fakes.core import GOOD, Core, lost, status
from tests.fakes.ports import PARK, Script, at_rest

TWO_CHOICES = wire.request(n=2)
"""What Anthropic's and Converse's dialects have no place for."""
SKIPPED = SkippedTarget("narrow", "anthropic", "cannot_carry.choices")


MODELS = {"narrow": bundles.model("anthropic"), "alpha": bundles.model("one"), "beta": bundles.model("two")}


def providers(limits: Limits | None = None) -> dict[str, Provider]:
    narrow = bundles.provider(dialect="anthropic", limits=limits)
    return {"anthropic": narrow, "one": bundles.provider(), "two": bundles.provider()}


def core(
    *scripts: Script, chain: tuple[str, ...] = ("narrow", "alpha"), limits: Limits | None = None, **rules: Any
) -> Core:
    return Core(*scripts, providers=providers(limits), models=MODELS, chain=chain, **rules)


async def test_a_target_that_cannot_carry_the_call_is_no_attempt_and_the_next_one_answers() -> None:
    made = core(GOOD)
    reply = await made.run(TWO_CHOICES)
    assert made.upstream.models == ["alpha@one"]
    assert reply.headers["x-pointsman-attempts"] == "1"
    assert reply.headers["x-pointsman-reason"] == SKIPPED.reason
    record = made.sink.only
    assert (record.outcome, record.skipped) == ("ok", (SKIPPED,))
    assert [attempt.model for attempt in record.attempts] == ["alpha"]
    assert record.wasted_usd == 0


async def test_it_does_not_count_against_the_attempts_that_the_rules_allow() -> None:
    made = core(
        lost(ConnectionLost("gone")),
        GOOD,
        chain=("narrow", "alpha", "beta"),
        retry=Retry(max_attempts=2, same_target=0),
    )
    await made.run(TWO_CHOICES)
    assert made.upstream.models == ["alpha@one", "beta@two"]


async def test_it_takes_nothing_of_its_provider_s_limit() -> None:
    """One call a minute: had the first call taken it, the second would be skipped for the limit."""
    made = core(GOOD, limits=Limits(requests_per_minute=1))
    await made.run(TWO_CHOICES)
    await made.run(TWO_CHOICES)
    assert [record.skipped for record in made.sink.booked] == [(SKIPPED,)] * 2


async def test_where_it_was_the_last_one_the_caller_reads_of_the_failure_before_it() -> None:
    made = core(status(404), chain=("alpha", "narrow"))
    with pytest.raises(CallFailed) as failed:
        await made.run(TWO_CHOICES)
    assert status_of(failed.value.error) == 502
    assert "alpha@one: provider_model, narrow@anthropic: cannot_carry.choices" in failed.value.error.message
    assert made.sink.only.skipped == (SKIPPED,)


@pytest.mark.parametrize("stream", [False, True])
async def test_where_nobody_can_carry_it_the_caller_reads_what_stands_in_the_way(stream: bool) -> None:
    made = core(chain=("narrow",))
    with pytest.raises(CallFailed, match="a wish for 2 choices") as failed:
        await made.run(wire.request(n=2, stream=stream))
    assert (failed.value.error.code, status_of(failed.value.error)) == ("cannot_carry", 422)
    assert failed.value.headers["x-pointsman-attempts"] == "0"
    record = made.sink.only
    assert (record.outcome, record.status, record.attempts, record.skipped) == ("cannot_carry", 422, (), (SKIPPED,))
    assert made.upstream.sent == []


async def test_where_one_that_could_carry_it_rests_the_caller_may_come_again() -> None:
    throttled = Script((b"{}",), status=429, headers={"retry-after": "30"})
    made = core(throttled, chain=("alpha", "narrow"))
    for _ in range(2):
        with pytest.raises(CallFailed) as failed:
            await made.run(TWO_CHOICES)
    assert status_of(failed.value.error) == 503


async def test_a_hedge_that_cannot_carry_the_call_is_not_begun() -> None:
    made = core(Script((PARK, wire.chat_answer())), chain=("alpha", "narrow"), hedge=Hedge(after=1.0, percent=100))
    work = asyncio.ensure_future(made.pipeline.run(made.inbound(TWO_CHOICES)))
    await at_rest()
    await made.clock.turn(1.0)
    await at_rest()
    assert made.upstream.models == ["alpha@one"]
    assert not work.done()
    work.cancel()
    await asyncio.wait([work])


async def test_a_malformed_request_that_only_translation_shows_is_refused_and_nobody_is_asked() -> None:
    made = core(GOOD)
    with pytest.raises(CallFailed) as failed:
        await made.run(wire.request(messages=[{"role": "user", "content": [{"type": "text", "text": 3}]}]))
    assert status_of(failed.value.error) == 400
    assert made.upstream.sent == []
    assert made.sink.only.attempts == ()


async def test_explain_shows_the_same_skips_and_calls_nobody(tmp_path: Path) -> None:
    made = core()
    asked = {"path": "/v1/chat/completions", "body": {"model": "chat", "messages": wire.MESSAGES, "n": 2}}
    async with Port(tmp_path, made, providers=providers(), models=MODELS, chain=("narrow", "alpha")) as client:
        explained = await (await client.post("/pointsman/explain", json=asked)).json()
    assert [(step["model"], step["provider"]) for step in explained["plan"]] == [("alpha", "one")]
    assert explained["skipped"] == [{"model": "narrow", "provider": "anthropic", "reason": "cannot_carry.choices"}]
    assert made.upstream.sent == []
