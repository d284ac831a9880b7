"""Which target is tried after which error, how often, and when not again."""

import asyncio

import pytest

from schemas.bundle import Retry, Timeouts
from schemas.record import SkippedTarget
from sidecar.core.call import CallFailed
from sidecar.core.refusals import status_of
from sidecar.errors import (
    ConnectionLost,
    Unreachable,
)
from tests.fakes import core_bundles as bundles
from tests.fakes.core import GOOD, Core, lost, status
from tests.fakes.ports import Script, at_rest


@pytest.mark.parametrize(
    ("first", "models", "outcomes", "waits"),
    [
        (lost(Unreachable("down")), ["alpha@one", "beta@two"], ["unreachable", "ok"], []),
        (lost(ConnectionLost("gone")), ["alpha@one", "beta@two"], ["connection_lost", "ok"], [0.25]),
        (status(500), ["alpha@one", "beta@two"], ["server_fault", "ok"], [0.25]),
        (status(503), ["alpha@one", "beta@two"], ["overloaded", "ok"], [0.25]),
        (status(429), ["alpha@one", "beta@two"], ["throttled", "ok"], []),
        (status(401), ["alpha@one", "beta@two"], ["provider_auth", "ok"], []),
        (status(404), ["alpha@one", "beta@two"], ["provider_model", "ok"], []),
        (status(302), ["alpha@one", "beta@two"], ["malformed_answer", "ok"], []),
        (Script((b"<html>",)), ["alpha@one", "beta@two"], ["malformed_answer", "ok"], []),
        (Script(()), ["alpha@one", "beta@two"], ["malformed_answer", "ok"], []),
        (Script((ConnectionLost("cut"),)), ["alpha@one", "beta@two"], ["connection_lost", "ok"], [0.25]),
    ],
)
async def test_the_next_step_after_an_error(
    first: Script, models: list[str], outcomes: list[str], waits: list[float]
) -> None:
    """Where the same target is tried again it fails again, and the next one answers."""
    again = bool(waits)
    core = Core(*([first] * (2 if again else 1)), GOOD)
    reply = await core.run()
    expected = [models[0], *models] if again else models
    assert core.upstream.models == expected
    assert [attempt.outcome for attempt in core.sink.only.attempts] == [outcomes[0]] * again + outcomes
    assert core.clock.slept == waits
    assert reply.headers["x-pointsman-attempts"] == str(len(expected))
    assert reply.headers["x-pointsman-reason"] == outcomes[0]
    core.assert_nothing_left_open()


@pytest.mark.parametrize("code", [400, 413, 422])
async def test_what_the_next_provider_would_refuse_too_goes_to_the_caller_with_the_provider_s_words(code: int) -> None:
    core = Core(status(code, "temperature: out of range"), GOOD)
    with pytest.raises(CallFailed) as failed:
        await core.run()
    assert core.upstream.models == ["alpha@one"]
    assert "temperature: out of range" in failed.value.error.message
    assert status_of(failed.value.error) == code
    assert failed.value.headers["x-should-retry"] == "false"
    assert (core.sink.only.outcome, core.sink.only.status) == ("rejected", code)
    core.assert_nothing_left_open()


@pytest.mark.parametrize("most", [1, 2, 3, 4])
async def test_there_are_never_more_attempts_than_the_rules_allow_and_no_wait_before_giving_up(most: int) -> None:
    core = Core(status(500), retry=Retry(max_attempts=most, same_target=1))
    with pytest.raises(CallFailed):
        await core.run()
    assert len(core.upstream.sent) == most
    assert len(core.clock.slept) == most // 2  # each wait is followed by a try


async def test_a_short_retry_after_is_waited_out_on_the_same_target() -> None:
    throttled = Script((b"{}",), status=429, headers={"retry-after": "1.5"})
    core = Core(throttled, GOOD)
    await core.run()
    assert core.upstream.models == ["alpha@one", "alpha@one"]
    assert core.clock.slept == [1.5]


async def test_a_wait_that_the_deadline_does_not_leave_is_not_waited() -> None:
    core = Core(status(500), GOOD, timeouts=Timeouts(deadline=0.2))
    await core.run()
    assert core.upstream.models == ["alpha@one", "beta@two"]
    assert core.clock.slept == []


async def test_five_failures_in_a_row_open_the_breaker_and_the_chain_goes_on_without_it() -> None:
    core = Core(lost(Unreachable("down")), GOOD, retry=Retry(max_attempts=4, same_target=0))
    core.upstream._scripts = [lost(Unreachable("down")), GOOD] * 5 + [GOOD]
    for _ in range(6):
        await core.run()
    assert core.upstream.models == ["alpha@one", "beta@two"] * 5 + ["beta@two"]
    assert core.sink.booked[-1].reason == "breaker_open"


async def test_a_provider_that_asks_for_time_is_left_alone_by_every_call_until_then() -> None:
    throttled = Script((b"{}",), status=429, headers={"retry-after": "30"})
    core = Core(throttled, GOOD)
    await core.run()
    await core.run()
    assert core.upstream.models == ["alpha@one", "beta@two", "beta@two"]
    assert core.sink.booked[-1].reason == "throttled"
    assert core.sink.booked[-1].skipped == (SkippedTarget("alpha", "one", "throttled"),)
    await core.clock.turn(30.0)
    await core.run()
    assert core.upstream.models[-1] == "alpha@one"


async def test_a_provider_that_is_down_is_not_asked_again_by_calls_that_waited_meanwhile() -> None:
    core = Core(status(500), chain=["alpha"])
    calls = [asyncio.ensure_future(core.pipeline.run(core.inbound())) for _ in range(1_000)]
    await at_rest()
    assert len(core.upstream.sent) == 1_000, "all were under way before any breaker could open"
    await core.clock.turn(4.0)
    assert len(core.upstream.sent) == 1_000
    assert all(isinstance(call.exception(), CallFailed) for call in calls)
    assert {record.skipped[-1].reason for record in core.sink.booked} == {"breaker_open", "retry_budget"}


async def test_a_provider_that_fails_now_and_then_gets_hardly_more_calls_than_callers_make() -> None:
    """A third of the calls fail, which opens no breaker: a fifth of all, and the floor, may be repeated, not more."""
    core = Core(*[status(500), GOOD, GOOD] * 333, GOOD, chain=["alpha"])
    calls = [asyncio.ensure_future(core.pipeline.run(core.inbound())) for _ in range(999)]
    await at_rest()
    assert len(core.upstream.sent) == 999
    await core.clock.turn(10.0)
    again = int(999 * 0.2 + 30)
    assert len(core.upstream.sent) == 999 + again
    assert sum(isinstance(call.exception(), CallFailed) for call in calls) == 333 - again
    kept_back = [record for record in core.sink.booked if record.skipped]
    assert {record.skipped[0].reason for record in kept_back} == {"retry_budget"}
    assert len(kept_back) == 333 - again


async def test_a_target_of_the_provider_that_just_failed_counts_against_its_budget() -> None:
    models = {"alpha": bundles.model("one"), "beta": bundles.model("one"), "gamma": bundles.model("two")}
    core = Core(status(404), GOOD, models=models, chain=list(models))
    budget = core.pipeline._turns._retries
    while budget.take("one", core.clock.monotonic()):
        pass
    await core.run()
    assert core.upstream.models == ["alpha@one", "gamma@two"]
    assert core.sink.only.skipped == (SkippedTarget("beta", "one", "retry_budget"),)


async def test_a_caller_that_leaves_during_a_wait_before_a_retry_is_booked_once() -> None:
    core = Core(status(500))
    work = asyncio.ensure_future(core.pipeline.run(core.inbound()))
    await at_rest()
    assert core.clock.slept == [0.25]
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert core.sink.only.outcome == "client_closed"
    assert [attempt.outcome for attempt in core.sink.only.attempts] == ["server_fault"]
