"""Tells the controller what this sidecar runs: at once when it changes, and again every minute."""

import asyncio
import logging
from collections.abc import Callable

from schemas.status import SidecarStatus
from sidecar.ports import Clock
from sidecar.uplink import Uplink, UplinkFailed

EVERY_SECONDS = 60.0
SPREAD = 0.2

log = logging.getLogger("pointsman.rules")


class Reporter:
    def __init__(self, uplink: Uplink, status: Callable[[], SidecarStatus], clock: Clock) -> None:
        self._uplink = uplink
        self._status = status
        self._clock = clock
        self.changed = asyncio.Event()

    async def run(self) -> None:
        while True:
            self.changed.clear()
            try:
                await self._uplink.report(self._status())
            except UplinkFailed as error:
                log.warning("status.not_reported error=%s", error)
                await self._clock.sleep(1.0 + self._clock.jitter())
                continue
            wait = EVERY_SECONDS * (1 - SPREAD + 2 * SPREAD * self._clock.jitter())
            try:
                async with asyncio.timeout(wait):
                    await self.changed.wait()
            except TimeoutError:
                continue
