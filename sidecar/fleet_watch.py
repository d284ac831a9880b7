"""Asks the controller, again and again, what the fleet has spent and how many sidecars share its limits."""

import logging

from sidecar.limiter.limits import Limits
from sidecar.ports import Clock
from sidecar.uplink import Uplink, UplinkFailed

EVERY_SECONDS = 8.0
"""Three chances before a report counts as too old (30 s). A sidecar that ships records hears it with each receipt."""
SPREAD = 0.2

log = logging.getLogger("pointsman.limits")


class FleetWatch:
    def __init__(self, uplink: Uplink, limits: Limits, clock: Clock) -> None:
        self._uplink = uplink
        self._limits = limits
        self._clock = clock

    async def run(self) -> None:
        is_away = False
        while True:
            try:
                self._limits.fleet(await self._uplink.spend(), self._clock.monotonic())
                is_away = False
            except UplinkFailed as error:
                if not is_away:
                    log.warning("limits.fleet_unknown error=%s", error)
                is_away = True
            await self._clock.sleep(EVERY_SECONDS * (1 - SPREAD + 2 * SPREAD * self._clock.jitter()))
