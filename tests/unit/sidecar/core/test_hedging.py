"""A hedged call: the second target is asked late, the faster one answers, and both are on the record."""

import asyncio
from typing import Any

import pytest

from schemas.bundle import Hedge
from sidecar.core.call import PlainReply
from sidecar.errors import ConnectionLost, Unreachable
from tests.fakes import core_bundles as bundles
from tests.fakes import core_wire as wire
from tests.fakes.core import GOOD, STREAM, Core
from tests.fakes.ports import PARK, Agent, Script, at_rest

HANGS = Script((PARK,))
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]


def hedged(*scripts: Script, percent: float = 2.0, **rules: Any) -> Core:
    return Core(*scripts, hedge=Hedge(after=1.5, percent=percent), **rules)


def outcomes(core: Core) -> list[tuple[str, str, str]]:
    return [(attempt.model, attempt.reason, attempt.outcome) for attempt in core.sink.only.attempts]


async def test_a_first_target_that_is_late_is_overtaken_and_its_cost_is_wasted() -> None:
    core = hedged(HANGS, GOOD)
    reply = await core.run()
    assert isinstance(reply, PlainReply)
    assert reply.headers["x-pointsman-model"] == "beta"
    assert core.clock.slept == [1.5]
    assert outcomes(core) == [("alpha", "primary", "hedge_lost"), ("beta", "hedge", "ok")]
    record = core.sink.only
    assert (record.outcome, record.model, record.estimated) == ("ok", "beta", False)
    assert record.attempts[0].estimated
    assert record.wasted_usd == record.attempts[0].cost_usd
    assert record.wasted_usd > 0
    core.assert_nothing_left_open()


async def test_a_stream_is_raced_to_its_first_content() -> None:
    core = hedged(Script((wire.OPENING, PARK)), STREAM)
    assert (await core.stream()).endswith(wire.DONE)
    assert outcomes(core) == [("alpha", "primary", "hedge_lost"), ("beta", "hedge", "ok")]
    core.assert_nothing_left_open()


async def test_a_first_target_in_time_is_asked_alone() -> None:
    core = hedged(GOOD)
    await core.run()
    assert core.upstream.models == ["alpha@one"]
    assert outcomes(core) == [("alpha", "primary", "ok")]


async def test_a_call_with_tools_is_never_asked_twice() -> None:
    core = hedged(HANGS, GOOD)
    work = asyncio.ensure_future(core.pipeline.run(core.inbound(wire.request(tools=TOOLS))))
    await core.clock.turn(100.0)
    assert core.upstream.models == ["alpha@one"]
    work.cancel()
    await asyncio.wait([work])


async def test_no_more_calls_are_asked_twice_than_the_rule_allows() -> None:
    core = hedged(*[HANGS, GOOD] * 50, percent=2.0)
    twice = 0
    for _ in range(40):
        before = len(core.upstream.sent)
        work = await started(core)
        twice += len(core.upstream.sent) - before == 2
        work.cancel()
        await asyncio.wait([work])
    assert twice == 1, "forty calls save up 0.8 of a hedge on top of the first"


async def started(core: Core, **request: Any) -> "asyncio.Task[Any]":
    """A call whose first target is late: both are under way."""
    work = asyncio.ensure_future(core.pipeline.run(core.inbound(wire.request(**request))))
    await at_rest()
    await core.clock.turn(1.5)
    return work


@pytest.mark.parametrize("loser", [0, 1])
async def test_a_target_that_fails_in_a_race_leaves_it_to_the_other(loser: int) -> None:
    gates = [asyncio.Event(), asyncio.Event()]
    answers: list[Any] = [wire.chat_answer(), wire.chat_answer()]
    answers[loser] = ConnectionLost("gone")
    core = hedged(Script((gates[0], answers[0])), Script((gates[1], answers[1])))
    work = await started(core)
    gates[loser].set()
    await at_rest()
    assert not work.done()
    gates[1 - loser].set()
    await core.clock.run_out(work)
    models = ["alpha", "beta"]
    assert [(attempt.model, attempt.outcome) for attempt in core.sink.only.attempts] == [
        (models[loser], "connection_lost"),
        (models[1 - loser], "ok"),
    ]
    core.assert_nothing_left_open()


async def test_a_race_that_nobody_wins_goes_on_with_the_rest_of_the_chain() -> None:
    models = {name: bundles.model(name) for name in ("alpha", "beta", "gamma")}
    providers = {name: bundles.provider() for name in models}
    gate = asyncio.Event()
    lost = Script((gate, ConnectionLost("gone")))
    core = hedged(
        lost, Script(refusal=Unreachable("down")), Script(refusal=Unreachable("down")), GOOD,
        models=models, providers=providers, chain=list(models),
    )  # fmt: skip
    work = await started(core)
    gate.set()
    await core.clock.run_out(work)
    assert [(attempt.model, attempt.outcome) for attempt in core.sink.only.attempts] == [
        ("beta", "unreachable"),
        ("alpha", "connection_lost"),
        ("alpha", "unreachable"),
        ("gamma", "ok"),
    ]
    core.assert_nothing_left_open()


async def test_two_that_answer_at_once_are_one_answer() -> None:
    gate = asyncio.Event()
    core = hedged(Script((wire.OPENING, gate, *wire.STREAM[1:])), Script((wire.OPENING, gate, *wire.STREAM[1:])))
    work = await started(core, stream=True)
    gate.set()
    reply = await core.clock.run_out(work)
    await reply.pump(Agent().write)
    assert sorted(attempt.outcome for attempt in core.sink.only.attempts) == ["hedge_lost", "ok"]
    core.assert_nothing_left_open()


@pytest.mark.parametrize("await_number", range(1, 8))
@pytest.mark.parametrize("streamed", [False, True])
async def test_a_caller_that_leaves_a_race_at_any_await_is_booked_once_with_both(
    await_number: int, streamed: bool
) -> None:
    first = Script((wire.OPENING, PARK)) if streamed else HANGS
    core = hedged(first, STREAM if streamed else GOOD)
    core.upstream._park_at = await_number

    async def call() -> None:
        reply = await core.pipeline.run(core.inbound(wire.request(stream=streamed)))
        if not isinstance(reply, PlainReply):
            await reply.pump(Agent().write)

    work = asyncio.ensure_future(call())
    await core.clock.turn(2.0)
    if not work.done():
        work.cancel()
        await asyncio.wait([work])
    record = core.sink.only
    assert record.outcome in ("client_closed", "ok")
    assert record.usage is not None
    assert len(record.attempts) == len(core.upstream.sent)
    core.assert_nothing_left_open()
