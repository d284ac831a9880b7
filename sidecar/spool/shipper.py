"""Hands the spool's records to the controller, in order, for as long as the sidecar runs."""

import asyncio
import logging
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from schemas.record import CallRecord
from sidecar.limiter.limits import Limits
from sidecar.ports import Clock
from sidecar.spool.lines import FINAL, SAID, Line
from sidecar.spool.spool import Spool
from sidecar.uplink import Uplink, UplinkFailed, UplinkRefused

GATHER_SECONDS = 0.5
"""After the first record of a batch: the ledger is at most 5 s behind, and a busy sidecar sends few batches."""
LONGEST_WAIT_SECONDS = 30.0

log = logging.getLogger("pointsman.spool")


class Shipper:
    def __init__(self, spool: Spool, uplink: Uplink, clock: Clock, limits: Limits) -> None:
        self._spool = spool
        self._uplink = uplink
        self._clock = clock
        self._limits = limits

    async def run(self) -> None:
        failures = 0
        while True:
            await self._spool.arrived.wait()
            await self._clock.sleep(GATHER_SECONDS)
            self._spool.arrived.clear()
            try:
                await self.ship_all()
                failures = 0
            except (UplinkFailed, OSError) as error:
                failures += 1
                wait = min(LONGEST_WAIT_SECONDS, 0.5 * 2.0 ** min(failures, 10)) * self._clock.jitter()
                log.warning("spool.not_shipped pending=%d error=%s", self._spool.pending, error)
                self._spool.arrived.set()
                await self._clock.sleep(wait)

    async def ship_all(self) -> None:
        """Until nothing is left. What was acknowledged stays acknowledged.

        Raises:
            UplinkFailed: the controller did not take a batch.
            OSError: the disk did not give a batch, or did not take the place behind it: it will be shipped again.
        """
        while True:
            lines, cursor = await asyncio.to_thread(self._spool.unshipped)
            if not lines:
                return
            await self._hand_over(lines)
            self._spool.acknowledge(cursor, len(lines))

    async def _hand_over(self, lines: Sequence[Line]) -> None:
        """A batch that is refused is halved until the record is found that the controller cannot take.

        That one is set aside, or it would hold back every record after it.
        """
        try:
            receipt = await self._uplink.ship(
                [line.json for line in lines if line.kind == FINAL], [line.json for line in lines if line.kind == SAID]
            )
        except UplinkRefused as error:
            if len(lines) == 1:
                self._spool.set_aside(lines[0].json, str(error))
                return
            middle = len(lines) // 2
            await self._hand_over(lines[:middle])
            await self._hand_over(lines[middle:])
            return
        # What is booked is in the report that came with the receipt, and no longer this sidecar's own to add.
        self._limits.shipped(list(records_of(lines)))
        if receipt.spend is not None:
            self._limits.fleet(receipt.spend, self._clock.monotonic())


def records_of(lines: Iterable[Line]) -> Iterator[CallRecord]:
    """The calls among them. Lines of the spool that an older version wrote, and that are no records any more,
    count for nothing."""
    for line in lines:
        if line.kind != FINAL:
            continue
        try:
            yield line.record()
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            log.warning("spool.unreadable_record error=%s", error)
