"""Calls under limits and budgets: what is refused, what goes elsewhere, and that every way out gives back its hold."""

import asyncio
import contextlib
from decimal import Decimal
from typing import Any

import pytest

from schemas.bundle import Caller, Ceiling, HardCeiling, Hedge, Limits
from sidecar.core.call import CallFailed, PlainReply
from sidecar.core.refusals import status_of
from sidecar.errors import StreamCut, Unreachable, code_of
from tests.fakes import core_bundles as bundles
from tests.fakes import core_wire as wire
from tests.fakes.core import GOOD, STREAM, Core, lost, status
from tests.fakes.ports import PARK, Script, at_rest

ONE_AT_A_TIME = Limits(concurrency=1)
ONE_A_MINUTE = Limits(requests_per_minute=1)
A_CALL_USD = Decimal("0.001")
"""Room for what is reserved for one call, and not for two."""


def limited(*scripts: Script, at: str = "use_case", limits: Limits = ONE_A_MINUTE, **rules: Any) -> Core:
    """`at`: whose limit it is."""
    if at == "use_case":
        return Core(*scripts, limits=limits, **rules)
    if at == "provider":
        return Core(*scripts, providers={"one": bundles.provider(limits=limits), "two": bundles.provider()}, **rules)
    alpha = bundles.model("one", limits=limits)
    return Core(*scripts, models={"alpha": alpha, "beta": bundles.model("two")}, **rules)


async def refused(core: Core, **inbound: Any) -> CallFailed:
    with pytest.raises(CallFailed) as failed:
        await core.run(**inbound)
    return failed.value


async def spent(core: Core, **inbound: Any) -> CallFailed:
    """How the first call ends that there is no money for."""
    for _ in range(20):
        try:
            await core.run(**inbound)
        except CallFailed as failed:
            return failed
    raise AssertionError("twenty calls, and no end of the money")


async def test_a_use_case_at_its_limit_is_told_when_to_come_again() -> None:
    core = limited()
    reply = await core.run()
    assert reply.headers["x-ratelimit-limit-requests"] == "1"
    assert reply.headers["x-ratelimit-remaining-requests"] == "0"
    failed = await refused(core)
    assert (failed.error.status, failed.error.code) == (429, "limit_reached")
    assert "limit.use_case.chat.requests_per_minute" in failed.error.message
    assert 1 <= int(failed.headers["retry-after"]) <= 60
    assert "x-should-retry" not in failed.headers, "a limit passes: SDKs may come again"
    assert failed.headers["x-pointsman-reason"] == "limit.use_case.chat.requests_per_minute"
    record = core.sink.booked[-1]
    assert (record.outcome, record.status, record.usage) == ("limit_reached", 429, None)
    assert len(core.upstream.sent) == 1
    await core.clock.turn(60)
    await core.run()


async def test_a_caller_s_own_limit_is_its_own() -> None:
    callers = tuple(Caller(name=name, key_sha256=name, limits=ONE_A_MINUTE) for name in ("bot", "other"))
    core = Core(callers=callers)
    await core.run(caller=callers[0])
    assert "limit.caller.bot." in (await refused(core, caller=callers[0])).error.message
    await core.run(caller=callers[1])


@pytest.mark.parametrize("at", ["provider", "model"])
async def test_a_provider_or_model_at_its_limit_leaves_the_call_to_the_next(at: str) -> None:
    core = limited(at=at)
    await core.run()
    await core.run()
    assert core.upstream.models == ["alpha@one", "beta@two"]
    record = core.sink.booked[-1]
    name = {"provider": "one", "model": "alpha"}[at]
    assert record.skipped[0].reason == f"limit.{at}.requests_per_minute"
    assert record.reason == f"limit.{at}.requests_per_minute", name


@pytest.mark.parametrize("at", ["provider", "model"])
async def test_where_everybody_is_at_a_limit_the_caller_may_come_again(at: str) -> None:
    core = limited(at=at, chain=["alpha"])
    await core.run()
    failed = await refused(core)
    assert status_of(failed.error) == 429
    assert code_of(failed.error) == f"limit.{at}.requests_per_minute"
    assert "x-should-retry" not in failed.headers


async def test_a_limit_in_the_shadow_counts_and_refuses_nothing() -> None:
    core = limited(limits=Limits(requests_per_minute=1, enforce=False))
    await core.run()
    await core.run()
    assert core.sink.limits["limit.use_case.chat.requests_per_minute", "shadow_refused"] == 1


async def test_tokens_are_reserved_before_and_settled_after() -> None:
    """Each reserves 50 output tokens and uses 12 in all: six such calls fit where two reservations would not."""
    core = limited(limits=Limits(tokens_per_minute=100))
    for _ in range(2):
        await core.run()
        await core.clock.turn(12.0)
    await core.run()


WAYS_OUT: list[tuple[str, list[Script], bool]] = [
    ("answered", [GOOD], False),
    ("streamed", [STREAM], True),
    ("cut", [Script((wire.CONTENT, StreamCut("cut")))], True),
    ("refused", [status(400)], False),
    ("spent", [lost(Unreachable("x"))], False),
    ("a bug", [Script((RuntimeError("a bug"),))], False),
]


@pytest.mark.parametrize("at", ["use_case", "provider", "model"])
@pytest.mark.parametrize(("scripts", "streamed"), [row[1:] for row in WAYS_OUT], ids=[row[0] for row in WAYS_OUT])
async def test_every_way_out_gives_its_place_back(at: str, scripts: list[Script], streamed: bool) -> None:
    core = limited(*scripts, at=at, limits=ONE_AT_A_TIME, chain=["alpha"])
    for _ in range(3):
        with contextlib.suppress(CallFailed, RuntimeError):
            await (core.stream() if streamed else core.run())
    assert len({sent.headers["x-pointsman-request-id"].split(".")[0] for sent in core.upstream.sent}) == 3


@pytest.mark.parametrize("at", ["use_case", "provider"])
async def test_a_caller_that_leaves_gives_its_place_back(at: str) -> None:
    core = limited(Script((PARK,)), GOOD, at=at, limits=ONE_AT_A_TIME, chain=["alpha"])
    work = asyncio.ensure_future(core.pipeline.run(core.inbound()))
    await at_rest()
    work.cancel()
    await asyncio.wait([work])
    assert isinstance(await core.run(), PlainReply)


async def test_a_call_waits_in_line_for_a_place_and_one_that_leaves_the_line_is_booked() -> None:
    gate = asyncio.Event()
    core = limited(Script((gate, wire.chat_answer())), GOOD, limits=ONE_AT_A_TIME)
    first = asyncio.ensure_future(core.pipeline.run(core.inbound()))
    await at_rest()
    leaves = asyncio.ensure_future(core.pipeline.run(core.inbound()))
    await at_rest()
    assert len(core.upstream.sent) == 1
    leaves.cancel()
    await asyncio.wait([leaves])
    assert [record.outcome for record in core.sink.booked] == ["client_closed"]
    waits = asyncio.ensure_future(core.pipeline.run(core.inbound()))
    await at_rest()
    gate.set()
    await core.clock.run_out(first)
    await core.clock.run_out(waits)
    assert [record.outcome for record in core.sink.booked] == ["client_closed", "ok", "ok"]


async def test_both_attempts_of_a_hedged_call_give_their_places_back() -> None:
    both = {name: bundles.provider(limits=ONE_AT_A_TIME) for name in ("one", "two")}
    core = Core(Script((PARK,)), GOOD, providers=both, hedge=Hedge(after=1.0, percent=20.0))
    await core.run()
    assert [attempt.outcome for attempt in core.sink.only.attempts] == ["hedge_lost", "ok"]
    for model in ("alpha", "beta"):
        await core.run(headers={"x-pointsman-target": model})


async def test_money_is_reserved_so_that_calls_in_flight_cannot_pass_a_hard_ceiling_together() -> None:
    gate = asyncio.Event()
    ceiling = Ceiling(per_day=A_CALL_USD / 2, then=("beta",), hard=HardCeiling(per_day=A_CALL_USD))
    core = Core(Script((gate, wire.chat_answer())), ceiling=ceiling)
    calls = [asyncio.ensure_future(core.pipeline.run(core.inbound())) for _ in range(5)]
    await at_rest()
    assert len(core.upstream.sent) == 1
    gate.set()
    await asyncio.wait(calls)
    failures = [call.exception() for call in calls if call.exception() is not None]
    assert len(failures) == 4
    for failed in failures:
        assert isinstance(failed, CallFailed)
        assert (failed.error.status, failed.headers["x-should-retry"]) == (402, "false")
        assert failed.headers["x-pointsman-reason"] == "cost_ceiling.hard.per_day"
    await core.run()  # what was reserved and not used is free again


async def test_over_the_soft_ceiling_it_goes_to_the_cheaper_model_and_over_the_hard_one_nowhere() -> None:
    ceiling = Ceiling(per_day=Decimal("0.00005"), then=("beta",), hard=HardCeiling(per_day=Decimal("0.00095")))
    core = Core(ceiling=ceiling)
    reasons = []
    for _ in range(4):
        try:
            reasons.append((await core.run()).headers["x-pointsman-reason"])
        except CallFailed as failed:
            reasons.append(failed.headers["x-pointsman-reason"])
    assert reasons == ["primary", "cost_ceiling.per_day", "cost_ceiling.per_day", "cost_ceiling.hard.per_day"]


async def test_a_caller_has_a_budget_of_its_own() -> None:
    callers = tuple(Caller(name=name, key_sha256=name, per_month=A_CALL_USD) for name in ("bot", "other"))
    core = Core(callers=callers)
    failed = await spent(core, caller=callers[0])
    assert (failed.error.status, failed.error.code) == (402, "ceiling_spent")
    assert "bot" in failed.error.message
    assert 1 < len(core.sink.booked) < 20
    await core.run(caller=callers[1])


async def test_what_embeddings_and_pinned_calls_spend_is_held_to_the_same_ceiling() -> None:
    core = Core(ceiling=Ceiling(per_day=A_CALL_USD))
    failed = await spent(core, headers={"x-pointsman-target": "beta"})
    assert failed.error.code == "ceiling_spent"
    assert {record.model for record in core.sink.booked[:-1]} == {"beta"}


async def test_a_reload_neither_forgets_nor_doubles_what_is_counted() -> None:
    core = limited()
    await core.run()
    core.snapshot = bundles.snapshot(limits=ONE_A_MINUTE, revision="rev-2")
    await refused(core)
    core.snapshot = bundles.snapshot(limits=Limits(requests_per_minute=6_000), revision="rev-3")
    await core.run()
