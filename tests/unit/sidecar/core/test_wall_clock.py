"""A wall clock that jumps by an hour, either way: what is measured in seconds goes on, records have its time."""

import pytest

from schemas.bundle import Limits, Timeouts
from sidecar.core.call import CallFailed
from sidecar.errors import Unreachable
from tests.fakes.core import GOOD, Core, lost
from tests.fakes.ports import Script

HOUR = 3600.0
parametrize = pytest.mark.parametrize("jump", [HOUR, -HOUR], ids=["forward", "back"])


async def passes(core: Core) -> bool:
    try:
        await core.run()
    except CallFailed:
        return False
    return True


@parametrize
async def test_a_limit_neither_forgets_nor_locks(jump: float) -> None:
    core = Core(GOOD, limits=Limits(requests_per_minute=60))
    passed = [await passes(core) for _ in range(10)]
    assert passed[0]
    assert not passed[-1]
    core.clock.jump(jump)
    assert not await passes(core)
    await core.clock.turn(2.0)
    assert await passes(core)


@parametrize
async def test_a_breaker_rests_as_long_as_it_would_have(jump: float) -> None:
    core = Core(lost(Unreachable("down")), chain=["alpha"])
    for _ in range(5):
        with pytest.raises(CallFailed):
            await core.run()
    asked = len(core.upstream.sent)
    resting = core.pipeline.books.health.resting(core.clock.monotonic())
    core.clock.jump(jump)
    assert core.pipeline.books.health.resting(core.clock.monotonic()) == resting == {"alpha@one": "breaker_open"}
    assert len(core.upstream.sent) == asked


@parametrize
async def test_a_throttled_target_comes_back_when_its_provider_said(jump: float) -> None:
    core = Core(Script((b"{}",), status=429, headers={"retry-after": "30"}), GOOD)
    await core.run()
    core.clock.jump(jump)
    await core.clock.turn(29.0)
    await core.run()
    assert core.upstream.models[-1] == "beta@two"
    await core.clock.turn(1.0)
    await core.run()
    assert core.upstream.models[-1] == "alpha@one"


@parametrize
async def test_records_have_the_new_time_and_true_durations(jump: float) -> None:
    core = Core(GOOD, timeouts=Timeouts(deadline=30.0))
    await core.run()
    core.clock.jump(jump)
    await core.run()
    before, after = core.sink.booked
    assert before.at == "2026-09-21T14:13:20.000Z"
    assert after.at == ("2026-09-21T15:13:20.000Z" if jump > 0 else "2026-09-21T13:13:20.000Z")
    assert 0 <= after.seconds < 1
