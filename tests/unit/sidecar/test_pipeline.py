"""One call's core: which targets are tried after which error, what is booked, and what is left open: nothing."""

import asyncio
from decimal import Decimal

import pytest

from schemas.bundle import Ceiling, Retry, Timeouts
from schemas.record import SkippedTarget
from sidecar.call import CallFailed, PlainReply
from sidecar.errors import (
    ConnectionLost,
    MalformedRequest,
    NotAllowed,
    StreamCut,
    UnknownTarget,
    UnknownUseCase,
    Unreachable,
    code_of,
)
from sidecar.pipeline import MAX_AGENT_CHARACTERS
from sidecar.refusals import error_headers, status_of
from sidecar.routing.breaker import FIRST_REST_SECONDS
from tests.fakes import core_bundles as bundles
from tests.fakes import core_wire as wire
from tests.fakes.core import GOOD, STREAM, Core, lost, status
from tests.fakes.ports import PARK, Agent, Script, at_rest


async def test_an_agent_that_gives_itself_an_endless_name_does_not_escape_the_books() -> None:
    core = Core()
    await core.run(headers={"x-pointsman-agent": "a" * 4000})
    assert core.sink.only.agent == "a" * MAX_AGENT_CHARACTERS


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


@pytest.mark.parametrize(
    ("body", "headers", "error"),
    [
        (b"{", {}, MalformedRequest),
        (wire.request(model="nothing"), {}, UnknownUseCase),
        (wire.request(), {"x-pointsman-use-case": "nothing"}, UnknownUseCase),
        (wire.request(), {"x-pointsman-target": "nothing"}, UnknownTarget),
        (wire.request(), {"x-pointsman-target": "alpha@two"}, UnknownTarget),
    ],
)
async def test_a_call_that_cannot_be_placed_is_refused_before_anything_is_booked(
    body: bytes, headers: dict[str, str], error: type[Exception]
) -> None:
    core = Core()
    with pytest.raises(error):
        await core.run(body, headers=headers)
    assert core.sink.begun == core.sink.booked == []
    assert core.upstream.sent == []


async def test_a_pinned_call_goes_to_its_target_alone() -> None:
    core = Core(status(500))
    with pytest.raises(CallFailed):
        await core.run(headers={"x-pointsman-target": "beta"})
    assert set(core.upstream.models) == {"beta@two"}
    assert core.sink.only.attempts[0].reason == "pinned"


async def test_pinning_needs_a_caller_that_is_granted_it() -> None:
    caller = bundles.Caller(name="bot", key_sha256="00")
    core = Core(callers=(caller,))
    with pytest.raises(NotAllowed):
        await core.run(headers={"x-pointsman-target": "beta"}, caller=caller)


async def test_a_spent_ceiling_without_a_way_out_refuses_with_402() -> None:
    core = Core(ceiling=Ceiling(per_day=Decimal("0.00005")))
    await core.run()
    with pytest.raises(CallFailed) as failed:
        await core.run()
    assert (failed.value.error.status, failed.value.error.code) == (402, "ceiling_spent")
    assert len(core.upstream.sent) == 1
    assert [record.outcome for record in core.sink.booked] == ["ok", "ceiling_spent"]


async def test_five_failures_in_a_row_open_the_breaker_and_the_chain_goes_on_without_it() -> None:
    core = Core(lost(Unreachable("down")), GOOD, retry=Retry(max_attempts=4, same_target=0))
    core.upstream._scripts = [lost(Unreachable("down")), GOOD] * 5 + [GOOD]
    for _ in range(6):
        await core.run()
    assert core.upstream.models == ["alpha@one", "beta@two"] * 5 + ["beta@two"]
    assert core.sink.booked[-1].reason == "breaker_open"


async def test_while_every_target_rests_a_caller_is_told_when_to_come_back() -> None:
    core = Core(*[lost(Unreachable("down"))] * 5, chain=["alpha"], retry=Retry(max_attempts=1, same_target=0))
    for _ in range(5):
        with pytest.raises(CallFailed):
            await core.run()
    with pytest.raises(CallFailed) as failed:
        await core.run()
    assert code_of(failed.value.error) == "breaker_open"
    assert error_headers(failed.value.error) == {"retry-after": str(round(FIRST_REST_SECONDS * 1.2))}, (
        "the longest spread"
    )


async def test_while_every_target_rests_one_call_a_second_finds_out_whether_that_still_holds() -> None:
    core = Core(*[lost(Unreachable("down"))] * 5, GOOD, chain=["alpha"], retry=Retry(max_attempts=1, same_target=0))
    for _ in range(5):
        with pytest.raises(CallFailed):
            await core.run()
    await core.clock.turn(1.0)
    reply = await core.run()
    assert reply.headers["x-pointsman-reason"] == "last_resort"
    assert len(core.upstream.sent) == 6


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


async def test_a_provider_that_is_down_gets_hardly_more_calls_than_callers_make() -> None:
    """A retry for each would double them: a fifth and the floor of three a second may be repeated, not more."""
    core = Core(status(500), chain=["alpha"])
    calls = [asyncio.ensure_future(core.pipeline.run(core.inbound())) for _ in range(1_000)]
    await at_rest()
    assert len(core.upstream.sent) == 1_000, "all were under way before any breaker could open"
    await core.clock.turn(10.0)
    assert len(core.upstream.sent) == 1_000 * 1.2 + 30
    assert all(isinstance(call.exception(), CallFailed) for call in calls)
    kept_back = [record for record in core.sink.booked if record.skipped]
    assert {record.skipped[0].reason for record in kept_back} == {"retry_budget"}
    assert len(kept_back) == 1_000 - 230


async def test_a_target_of_the_provider_that_just_failed_counts_against_its_budget() -> None:
    models = {"alpha": bundles.model("one"), "beta": bundles.model("one"), "gamma": bundles.model("two")}
    core = Core(status(404), GOOD, models=models, chain=list(models))
    budget = core.pipeline._retries
    while budget.take("one", core.clock.monotonic()):
        pass
    await core.run()
    assert core.upstream.models == ["alpha@one", "gamma@two"]
    assert core.sink.only.skipped == (SkippedTarget("beta", "one", "retry_budget"),)


async def test_the_caller_s_own_deadline_ends_the_call() -> None:
    core = Core(Script((PARK,)), chain=["alpha"])
    with pytest.raises(CallFailed) as failed:
        await core.pipeline.run(core.inbound(headers={"x-pointsman-deadline": "0.05"}))
    assert failed.value.error.status == 504
    assert "0.05 s" in failed.value.error.message
    assert core.sink.only.outcome == "deadline_exceeded"


PARKING: list[tuple[str, list[Script], bool]] = [
    ("plain", [GOOD], False),
    ("plain, second target", [lost(Unreachable("x")), GOOD], False),
    ("plain, after a refusal", [status(404), GOOD], False),
    ("stream", [STREAM], True),
    ("stream, second target", [Script((wire.OPENING,)), STREAM], True),
    ("stream that breaks", [Script((wire.CONTENT, StreamCut("cut")))], True),
]


@pytest.mark.parametrize("await_number", range(1, 13))
@pytest.mark.parametrize(("scripts", "streamed"), [row[1:] for row in PARKING], ids=[row[0] for row in PARKING])
async def test_a_caller_that_leaves_at_any_await_is_booked_once_and_nothing_stays_open(
    scripts: list[Script], streamed: bool, await_number: int
) -> None:
    core = Core(*scripts, park_at=await_number)

    async def call() -> None:
        reply = await core.pipeline.run(core.inbound(wire.request(stream=streamed)))
        if not isinstance(reply, PlainReply):
            await reply.pump(Agent().write)

    work = asyncio.ensure_future(call())
    await at_rest()
    if core.upstream.parked.is_set():
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        # A finish reason that was seen makes the answer whole, however its caller went.
        assert core.sink.only.outcome in ("client_closed", "ok")
        assert core.sink.only.usage is not None, "the provider may bill it"
    else:
        await core.clock.run_out(work)
        assert core.sink.only.outcome in ("ok", "stream_cut")
    core.assert_nothing_left_open()


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


async def test_a_timeout_and_a_caller_that_leaves_at_once_are_told_apart() -> None:
    core = Core(Script((PARK,)), GOOD, timeouts=Timeouts(deadline=0.05))
    work = asyncio.ensure_future(core.pipeline.run(core.inbound()))
    await at_rest()
    work.cancel("the caller left")
    with pytest.raises(asyncio.CancelledError):
        await work
    assert core.sink.only.outcome == "client_closed"


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_bug_of_ours_is_booked_once_and_leaves_nothing_open(streamed: bool) -> None:
    core = Core(Script((wire.CONTENT, RuntimeError("a bug"))))
    call = core.stream() if streamed else core.run()
    with pytest.raises(RuntimeError, match="a bug"):
        await call
    assert core.sink.only.outcome == "gateway_error"
    core.assert_nothing_left_open()


async def test_money_of_a_call_that_failed_after_its_first_byte_counts_against_the_ceiling() -> None:
    core = Core(Script((wire.CONTENT, StreamCut("cut"))), ceiling=Ceiling(per_day=Decimal("0.00001")))
    await core.stream()
    with pytest.raises(CallFailed) as failed:
        await core.stream()
    assert failed.value.error.code == "ceiling_spent"


async def test_the_callers_own_key_goes_to_a_provider_that_takes_it_and_to_no_other() -> None:
    providers = {"one": bundles.provider(caller_key=True), "two": bundles.provider()}
    core = Core(status(500), GOOD, providers=providers, retry=Retry(max_attempts=4, same_target=0))
    await core.run(headers={"authorization": "Bearer callers-own", "x-api-key": "callers-other"})
    asked, fallback = core.upstream.sent
    assert (asked.headers["authorization"], asked.headers["x-api-key"]) == ("Bearer callers-own", "callers-other")
    assert "callers" not in str(fallback.headers)
