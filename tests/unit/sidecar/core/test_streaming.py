"""A stream after its commit point: one watchdog, no second target, no false end mark, booked before the last byte."""

import asyncio
from collections.abc import Sequence

import pytest

from schemas.bundle import Timeouts
from sidecar.core.call import CallFailed
from sidecar.core.streaming import STUCK_CALLER_SECONDS
from sidecar.errors import StreamCut
from tests.fakes import core_wire as wire
from tests.fakes.core import Core
from tests.fakes.ports import PARK, Agent, Script, at_rest

HALF_AN_EVENT = wire.CONTENT[:40]
TIMEOUTS = Timeouts(deadline=120, stream_idle=20)


async def pumping(core: Core, agent: Agent) -> "asyncio.Task[None]":
    reply = await core.pipeline.run(core.inbound(wire.request(stream=True)))
    task = asyncio.ensure_future(reply.pump(agent.write))  # type: ignore[union-attr]
    await at_rest()
    return task


@pytest.mark.parametrize(
    ("steps", "outcome"),
    [
        ((wire.CONTENT, StreamCut("reset")), "stream_cut"),
        ((wire.CONTENT, HALF_AN_EVENT, StreamCut("reset")), "stream_cut"),
        ((wire.CONTENT, HALF_AN_EVENT), "stream_cut"),
        ((wire.CONTENT,), "stream_cut"),
        ((wire.CONTENT, wire.DONE), "stream_cut"),
        ((wire.CONTENT, wire.ERROR_EVENT), "stream_failed"),
        ((wire.CONTENT + wire.ERROR_EVENT,), "stream_failed"),
        ((wire.CONTENT, PARK), "stream_stalled"),
        ((wire.CONTENT, HALF_AN_EVENT, PARK), "stream_stalled"),
    ],
)
async def test_a_failure_becomes_an_error_event_and_never_an_end_mark(
    steps: Sequence[bytes | Exception], outcome: str
) -> None:
    core = Core(Script(steps), timeouts=TIMEOUTS)
    got = await core.stream()
    events = got.split(b"\n\n")
    assert events[0] + b"\n\n" == wire.CONTENT
    assert events[1].startswith(b'data: {"error":')
    assert outcome.encode() in events[1]
    assert events[2:] == [b""]
    record = core.sink.only
    assert (record.outcome, record.status, record.estimated) == (outcome, 200, True)
    assert core.upstream.models == ["alpha@one"], "no other target once a byte is out"
    core.assert_nothing_left_open()


@pytest.mark.parametrize(
    "steps",
    [
        (wire.CONTENT, wire.FINISH),
        (wire.CONTENT, wire.FINISH, StreamCut("reset")),
        (wire.CONTENT, wire.FINISH, wire.USAGE),
        (wire.CONTENT, wire.FINISH, wire.USAGE[:30], StreamCut("reset")),
        (wire.CONTENT, wire.FINISH, PARK),
    ],
)
async def test_a_finish_reason_is_success_however_the_connection_ended(steps: Sequence[bytes | Exception]) -> None:
    core = Core(Script(steps), timeouts=TIMEOUTS)
    got = await core.stream()
    assert wire.CONTENT + wire.FINISH in got
    assert b'"error"' not in got
    assert core.sink.only.outcome == "ok"


async def test_the_deadline_ends_a_stream_that_goes_on_talking() -> None:
    core = Core(Script((*[wire.CONTENT] * 3, PARK)), timeouts=Timeouts(deadline=15, stream_idle=20))
    got = await core.stream()
    assert b"deadline_exceeded" in got
    assert core.sink.only.outcome == "deadline_exceeded"
    assert core.sink.only.seconds == 15


async def test_a_slow_caller_does_not_count_as_a_silent_provider() -> None:
    core = Core(Script((wire.CONTENT, wire.CONTENT, PARK)), timeouts=TIMEOUTS)
    agent = Agent(parks_at=1)
    work = await pumping(core, agent)
    assert agent.parked.is_set()
    await core.clock.turn(TIMEOUTS.stream_idle * 2)
    assert core.upstream.answers[0].failures == []
    agent.go_on()
    await at_rest()
    await core.clock.turn(TIMEOUTS.stream_idle - 1)
    assert not work.done(), "the provider's silence counts from when it is waited for"
    await core.clock.turn(1)
    await core.clock.run_out(work)
    assert core.sink.only.outcome == "stream_stalled"


@pytest.mark.parametrize("idle", [7.0, 20.0, 600.0])
async def test_a_caller_that_takes_nothing_for_a_minute_has_gone(idle: float) -> None:
    core = Core(Script((wire.CONTENT, PARK)), timeouts=Timeouts(deadline=3600, stream_idle=idle))
    agent = Agent(parks_at=0)
    work = await pumping(core, agent)
    await core.clock.turn(STUCK_CALLER_SECONDS - 1)
    assert not work.done()
    await core.clock.turn(1)
    assert work.cancelled()
    assert core.sink.only.outcome == "client_closed"
    core.assert_nothing_left_open()


@pytest.mark.parametrize("parked_at", [0, 1], ids=["in the answer", "at its error event"])
async def test_the_watchdog_does_not_spin_while_a_caller_is_slow(parked_at: int) -> None:
    core = Core(Script((wire.CONTENT, PARK)), timeouts=TIMEOUTS)
    agent = Agent(parks_at=parked_at)
    work = await pumping(core, agent)
    rings = 0
    while not work.done():
        timers = core.clock.waiting()
        await core.clock.turn(timers[0].due - core.clock._elapsed)
        rings += 1
    assert rings < 10
    core.assert_nothing_left_open()


async def test_a_finished_stream_is_not_failed_by_a_deadline_that_comes_while_its_caller_is_slow() -> None:
    core = Core(Script(wire.STREAM), timeouts=Timeouts(deadline=30, stream_idle=20))
    agent = Agent(parks_at=2)
    work = await pumping(core, agent)
    await core.clock.turn(31)
    agent.go_on()
    await core.clock.run_out(work)
    assert wire.FINISH in agent.bytes
    assert b'"error"' not in agent.bytes
    assert core.sink.only.outcome == "ok"


async def test_the_record_is_booked_before_the_caller_has_the_last_bytes() -> None:
    core = Core(Script(wire.STREAM))
    booked_at_end_mark: list[int] = []

    async def write(data: bytes) -> None:
        if wire.DONE in data:
            booked_at_end_mark.append(len(core.sink.booked))

    reply = await core.run(wire.request(stream=True))
    await reply.pump(write)  # type: ignore[union-attr]
    assert booked_at_end_mark == [1]


async def test_no_timer_outlives_its_stream() -> None:
    core = Core(Script(wire.STREAM))
    await core.stream()
    assert core.clock.waiting() == []


@pytest.mark.parametrize("cut", range(0, len(b"".join(wire.STREAM)), 37))
async def test_cut_anywhere_the_caller_gets_whole_events_and_a_true_end(cut: int) -> None:
    whole = b"".join(wire.STREAM)
    core = Core(Script((whole[:cut], StreamCut("cut"))), chain=["alpha"])
    try:
        got = await core.stream()
    except CallFailed:  # before the first content: an error instead of a stream
        assert core.sink.only.outcome == "stream_cut"
        return
    assert got.endswith(b"\n\n")
    assert (wire.DONE in got) <= (wire.FINISH in got)
    assert (core.sink.only.outcome == "ok") is (wire.FINISH in got)
    assert (b'"error"' in got) is (wire.FINISH not in got)
