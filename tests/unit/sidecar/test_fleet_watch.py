"""What the fleet has spent is asked for again and again, and a controller that is away is said once."""

import asyncio
import logging
from decimal import Decimal

import pytest

from schemas.spend import FleetSpend, UseCaseSpend
from sidecar.fleet_watch import EVERY_SECONDS, SPREAD, FleetWatch
from sidecar.limiter.limits import Limits
from sidecar.uplink import UplinkFailed
from tests.fakes.ports import HandClock, KeepingSink, at_rest

DAY = "2026-09-21"
LONGEST = EVERY_SECONDS * (1 + SPREAD) + 0.1


class Controller:
    """Stands where an uplink stands."""

    def __init__(self) -> None:
        self.asked = 0
        self.is_away = False

    async def spend(self) -> FleetSpend:
        self.asked += 1
        if self.is_away:
            raise UplinkFailed("away")
        amount = Decimal(self.asked)
        at = f"{DAY}T00:00:{self.asked:02}Z"
        return FleetSpend(DAY, at, {"chat": UseCaseSpend(per_day=amount, per_month=amount)}, {}, live_sidecars=3)


async def test_it_is_asked_again_and_again(caplog: pytest.LogCaptureFixture) -> None:
    clock, controller = HandClock(), Controller()
    limits = Limits(clock=clock, observer=KeepingSink(), has_controller=True)
    watching = asyncio.ensure_future(FleetWatch(controller, limits, clock).run())  # type: ignore[arg-type]
    await at_rest()
    assert limits.spend("chat", DAY).per_day == Decimal(1)
    await clock.turn(LONGEST)
    assert limits.spend("chat", DAY).per_day == Decimal(2)
    controller.is_away = True
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            await clock.turn(LONGEST)
    assert caplog.text.count("limits.fleet_unknown") == 1
    assert limits.spend("chat", DAY).per_day == Decimal(2), "what is known stays known"
    controller.is_away = False
    await clock.turn(LONGEST)
    assert limits.spend("chat", DAY).per_day == Decimal(6)
    watching.cancel()
    await asyncio.wait([watching])
