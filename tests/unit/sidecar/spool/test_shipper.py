"""Shipping: in order, gathered, tried again, and never ended by a disk or a controller that fails."""

import asyncio
import errno
import json
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path

import pytest

from schemas.record import UsageReceipt
from schemas.spend import FleetSpend, UseCaseSpend
from sidecar.limiter.limits import Limits
from sidecar.spool import spool as spool_module
from sidecar.spool.shipper import GATHER_SECONDS, LONGEST_WAIT_SECONDS, Shipper
from sidecar.spool.spool import Spool
from sidecar.uplink import UplinkFailed, UplinkRefused
from tests.fakes.ports import HandClock, KeepingSink, at_rest
from tests.fakes.records import record


class Controller:
    """Stands where an uplink stands."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.heard: list[str] = []
        self.is_down = False
        self.poison = ""
        self.spend: FleetSpend | None = None

    async def ship(self, records: Sequence[bytes], feedback: Sequence[bytes]) -> UsageReceipt:
        await asyncio.sleep(0)
        if self.is_down:
            raise UplinkFailed("down")
        if self.poison in [json.loads(line)["id"] for line in records]:
            raise UplinkRefused("bad_record")
        self.batches.append([json.loads(line)["id"] for line in records])
        self.heard += [json.loads(line)["call"] for line in feedback]
        return UsageReceipt(booked=len(records), known=0, spend=self.spend)


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    made = Spool(tmp_path / "spool")
    yield made
    made.close()


@pytest.fixture
def controller() -> Controller:
    return Controller()


def shipper(spool: Spool, controller: Controller) -> Shipper:
    clock = HandClock()
    return Shipper(spool, controller, clock, Limits(clock=clock, observer=KeepingSink()))  # type: ignore[arg-type]


class Running:
    def __init__(self, spool: Spool, controller: Controller) -> None:
        self.clock = HandClock()
        self.limits = Limits(clock=self.clock, observer=KeepingSink(), has_controller=True)
        self.task = asyncio.ensure_future(Shipper(spool, controller, self.clock, self.limits).run())  # type: ignore[arg-type]
        self._spool = spool

    async def turn_until(self, pending: int, seconds: float = 120) -> None:
        """`unshipped` runs in a thread: let it come back between two turns."""
        async with asyncio.timeout(5):
            while self._spool.pending != pending and not self.task.done():
                await self.clock.turn(seconds)
                await asyncio.sleep(0.001)
        if self.task.done():
            self.task.result()

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.wait([self.task])


async def test_what_comes_within_half_a_second_goes_in_one_batch(spool: Spool, controller: Controller) -> None:
    running = Running(spool, controller)
    await at_rest()
    spool.book(record("a"))
    await running.clock.turn(GATHER_SECONDS / 2)
    spool.book(record("b"))
    assert controller.batches == []
    await running.turn_until(0)
    assert controller.batches == [["a", "b"]]
    await running.stop()


async def test_a_controller_that_comes_back_gets_everything_in_order(spool: Spool, controller: Controller) -> None:
    controller.is_down = True
    running = Running(spool, controller)
    for number in range(4):
        spool.book(record(f"c{number}"))
        await running.clock.turn(60)
        await asyncio.sleep(0.005)
    assert spool.pending == 4
    controller.is_down = False
    await running.turn_until(0)
    assert controller.batches == [["c0", "c1", "c2", "c3"]]
    assert max(running.clock.slept) <= LONGEST_WAIT_SECONDS
    await running.stop()


async def test_a_cursor_that_cannot_be_saved_means_shipping_again_not_stopping(
    spool: Spool, controller: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_path: Path, _data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    running = Running(spool, controller)
    with monkeypatch.context() as disk:
        disk.setattr(spool_module, "write_durably", full)
        spool.book(record("a"))
        async with asyncio.timeout(5):
            while len(controller.batches) < 2:
                await running.clock.turn(60)
                await asyncio.sleep(0.001)
    await running.turn_until(0)
    assert set(map(tuple, controller.batches)) == {("a",)}
    await running.stop()


async def test_the_last_shipment_takes_every_batch(
    spool: Spool, controller: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_module, "BATCH_BYTES", 500)
    for number in range(9):
        spool.book(record(f"c{number}"))
    await shipper(spool, controller).ship_all()  # type: ignore[arg-type]
    assert len(controller.batches) > 1
    assert [name for batch in controller.batches for name in batch] == [f"c{number}" for number in range(9)]
    assert spool.pending == 0


async def test_a_record_that_is_refused_for_good_holds_nothing_back(
    spool: Spool, controller: Controller, tmp_path: Path
) -> None:
    controller.poison = "c3"
    for number in range(8):
        spool.book(record(f"c{number}"))
    await shipper(spool, controller).ship_all()  # type: ignore[arg-type]
    assert [name for batch in controller.batches for name in batch] == ["c0", "c1", "c2", "c4", "c5", "c6", "c7"]
    assert (spool.pending, spool.refused_records) == (0, 1)
    assert json.loads((tmp_path / "spool" / "refused.jsonl").read_bytes())["id"] == "c3"


async def test_what_is_shipped_is_the_fleet_s_and_no_longer_counted_twice(spool: Spool, controller: Controller) -> None:
    """The receipt brings the ledger's total, this sidecar's own included."""
    running = Running(spool, controller)
    mine = record("c1", cost_usd=Decimal("1.50"))
    running.limits.settle_money(mine)
    assert running.limits.spend(mine.use_case, mine.at[:10]).per_day == Decimal("1.50")
    controller.spend = FleetSpend(
        day=mine.at[:10],
        at=mine.at,
        use_cases={mine.use_case: UseCaseSpend(per_day=Decimal("41.50"), per_month=Decimal("100"))},
        callers={},
        live_sidecars=3,
    )
    spool.book(mine)
    await running.turn_until(0)
    spent = running.limits.spend(mine.use_case, mine.at[:10])
    assert (spent.per_day, spent.per_month) == (Decimal("41.50"), Decimal("100"))
    await running.stop()
