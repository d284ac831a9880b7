"""The worst lateness of the last minute."""

from sidecar.telemetry.loop_lag import LoopLag
from tests.fakes.ports import HandClock


async def test_the_worst_of_the_last_minute_stands_and_then_the_next_worst() -> None:
    clock = HandClock()
    lag = LoopLag(clock)
    assert lag.worst_seconds() == 0
    for late in (0.0, 1.2, 0.3, 0.1):
        await clock.turn(10.0)
        lag.note(clock.monotonic(), clock.monotonic() - late)
    assert round(lag.worst_seconds(), 6) == 1.2
    await clock.turn(41.0)
    assert round(lag.worst_seconds(), 6) == 0.3
    await clock.turn(60.0)
    assert lag.worst_seconds() == 0


async def test_a_clock_that_wakes_early_is_not_late() -> None:
    clock = HandClock()
    lag = LoopLag(clock)
    lag.note(clock.monotonic(), clock.monotonic() + 1)
    assert lag.worst_seconds() == 0
