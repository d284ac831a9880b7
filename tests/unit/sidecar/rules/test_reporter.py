"""Reports: at once when something changes, again every minute, and again soon after one that failed."""

import asyncio

from schemas.status import SidecarStatus
from sidecar.rules.reporter import Reporter
from sidecar.uplink import UplinkFailed
from tests.fakes.ports import HandClock, at_rest


class Controller:
    def __init__(self) -> None:
        self.reports: list[str] = []
        self.fails = 0

    async def report(self, status: SidecarStatus) -> None:
        if self.fails:
            self.fails -= 1
            raise UplinkFailed("down")
        self.reports.append(status.error)


async def test_a_change_is_told_at_once_and_a_failure_is_tried_again() -> None:
    controller, clock, error = Controller(), HandClock(), ["first"]
    controller.fails = 2

    def status() -> SidecarStatus:
        return SidecarStatus(id="s", version="1", state="ACTIVE", error=error[0])

    reporter = Reporter(controller, status, clock)  # type: ignore[arg-type]
    work = asyncio.ensure_future(reporter.run())
    await at_rest()
    assert controller.reports == []
    await clock.turn(5)
    assert controller.reports == ["first"]
    error[0] = "second"
    reporter.changed.set()
    await at_rest()
    assert controller.reports == ["first", "second"]
    work.cancel()
    await asyncio.wait([work])
