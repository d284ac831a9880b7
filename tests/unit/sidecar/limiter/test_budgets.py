"""Amounts that refuse: held by shares of the ledger's rest, or by the shared store."""

from decimal import Decimal
from itertools import chain, repeat
from typing import Any

import pytest

from schemas.bundle import Caller, Ceiling, HardCeiling
from sidecar.limiter.budgets import Budgets, MoneyHold, MoneyRefusal
from sidecar.limits.fleet import FleetSize
from sidecar.limits.holdings import RENEW_SECONDS
from sidecar.limits.money import MoneyBook
from sidecar.routing.snapshot import UseCase
from tests.fakes import core_bundles as bundles
from tests.fakes.limit_store import Fate, MemoryStore, SharedMemory
from tests.fakes.ports import HandClock
from tests.fakes.spend import DAY, Verdicts, report

KEY = f"budget.use_case.chat.{DAY}"


class Setting:
    def __init__(
        self, *fates: Fate, has_store: bool = True, has_controller: bool = True, shared: SharedMemory | None = None
    ) -> None:
        self.clock = HandClock() if shared is None else shared.clock
        self.shared = shared or SharedMemory(self.clock)
        self.store = MemoryStore(self.shared, "one" if shared is None else "two", chain(fates, repeat("answered")))
        self.verdicts = Verdicts()
        self.fleet = FleetSize()
        self.book = MoneyBook(self.fleet, has_controller=has_controller)
        used = self.store if has_store else None
        self.budgets = Budgets(self.clock, self.fleet, self.book, used, self.verdicts)

    def reported(self, usd: str = "0", **more: Any) -> None:
        assert self.book.report(report(usd, **more), self.clock.monotonic())

    async def reserve(self, usd: str, use_case: UseCase | None = None) -> MoneyRefusal | MoneyHold | None:
        return await self.budgets.reserve(use_case or hard(), None, DAY, Decimal(usd))

    async def call(self, usd: str) -> bool:
        """A whole call that costs what it reserves."""
        hold = await self.reserve(usd)
        if not isinstance(hold, MoneyHold):
            return False
        self.budgets.release(hold)
        self.book.add(DAY, "chat", "", Decimal(usd))
        return True


def hard(per_day: str = "10", **more: Any) -> UseCase:
    ceiling = Ceiling(then=("beta",), hard=HardCeiling(per_day=Decimal(per_day)), **more)
    return bundles.snapshot(ceiling=ceiling).use_cases["chat"]


async def test_a_call_that_no_money_rule_looks_at_is_not_looked_at() -> None:
    setting = Setting()
    assert await setting.reserve("5", bundles.snapshot().use_cases["chat"]) is None
    caller = Caller(name="bot", key_sha256="")
    assert await setting.budgets.reserve(bundles.snapshot().use_cases["chat"], caller, DAY, Decimal(5)) is None
    assert not setting.store.asked


@pytest.mark.parametrize("has_store", [True, False])
async def test_calls_in_flight_count_and_come_back(has_store: bool) -> None:
    setting = Setting(has_store=has_store)
    setting.reported("4")
    first = await setting.reserve("4")
    assert isinstance(first, MoneyHold)
    refused = await setting.reserve("4")
    assert isinstance(refused, MoneyRefusal)
    assert (refused.reason, refused.is_unknown) == ("cost_ceiling.hard.per_day", False)
    assert 'use case "chat"' in refused.message
    assert setting.book.spend("chat", DAY).per_day == 8
    setting.budgets.release(first)
    await setting.clock.turn(2.1)
    assert isinstance(await setting.reserve("6"), MoneyHold)
    assert setting.verdicts.all[-1] == ("cost_ceiling.hard.per_day.chat", "allowed")


async def test_a_callers_budget_holds_over_its_use_cases() -> None:
    setting = Setting(has_store=False)
    setting.reported(caller="9")
    caller = Caller(name="bot", key_sha256="", per_month=Decimal(10))
    use_case = bundles.snapshot().use_cases["chat"]
    refused = await setting.budgets.reserve(use_case, caller, DAY, Decimal("1.01"))
    assert isinstance(refused, MoneyRefusal)
    assert refused.reason == "caller.per_month"
    assert isinstance(await setting.budgets.reserve(use_case, caller, DAY, Decimal(1)), MoneyHold)


@pytest.mark.parametrize(
    ("when_away", "ends"),
    [("local_share", [None, False]), ("allow", [None, None]), ("deny", [True, True])],
)
@pytest.mark.parametrize("what_is_away", ["the store", "the controller", "both"])
async def test_while_nobody_knows_each_rule_does_as_it_says(
    when_away: Any, ends: list[bool | None], what_is_away: str
) -> None:
    """`ends`: of two calls that share 10 dollars, refused for what is unknown, for what is spent, or not."""
    setting = Setting(*["lost"] * 99, has_store=what_is_away != "the controller")
    setting.reported()
    if what_is_away != "the store":
        await setting.clock.turn(31)
    found = [await setting.reserve("6", hard(on_store_error=when_away)) for _ in range(2)]
    assert [one.is_unknown if isinstance(one, MoneyRefusal) else None for one in found] == ends


async def test_a_store_that_knows_nothing_is_not_told_that_nothing_is_spent() -> None:
    """After a flush with the controller away: what is unknown is never zero."""
    setting = Setting()
    refused = await setting.reserve("1", hard(on_store_error="deny"))
    assert isinstance(refused, MoneyRefusal)
    assert refused.is_unknown
    assert KEY not in setting.shared.budgets
    setting.reported("9.5")
    assert isinstance(await setting.reserve("1"), MoneyRefusal)
    assert setting.shared.budgets[KEY].spent == 9_500_000


async def test_the_ledger_is_a_seed_and_never_added_again() -> None:
    setting = Setting()
    setting.reported("1")
    assert await setting.call("2")
    setting.reported("3", at="2026-11-25T12:00:05Z")
    assert await setting.call("2")
    await setting.clock.turn(RENEW_SECONDS)
    await setting.budgets.renew()
    assert (setting.shared.budgets[KEY].spent, setting.shared.budgets[KEY].held) == (5_000_000, 0)


async def test_two_sidecars_spend_a_budget_to_its_end_and_no_further() -> None:
    first = Setting()
    second = Setting(shared=first.shared)
    spent = 0
    for setting in (first, second):
        setting.reported(live=2)
    for _ in range(400):
        for setting in (first, second):
            spent += await setting.call("0.05")
            await setting.budgets.renew()
        await first.clock.turn(0.5)
    assert spent == 200
    assert len(first.store.asked) + len(second.store.asked) < 200 + 400


async def test_most_calls_ask_nobody() -> None:
    setting = Setting()
    setting.reported()
    for _ in range(100):
        assert await setting.call("0.01")
    assert len(setting.store.asked) < 5


async def test_at_its_end_a_sidecar_tells_what_it_spent_and_gives_back_what_it_held() -> None:
    setting = Setting()
    setting.reported()
    assert await setting.call("2")
    await setting.budgets.tell()
    assert (setting.shared.budgets[KEY].spent, setting.shared.budgets[KEY].held) == (2_000_000, 0)
    asked = len(setting.store.asked)
    await setting.budgets.tell()
    assert len(setting.store.asked) == asked


async def test_a_budget_whose_period_is_over_is_not_told_of_any_more() -> None:
    setting = Setting()
    setting.reported()
    assert await setting.call("2")
    asked = len(setting.store.asked)
    setting.book.spend("chat", "2026-11-26")
    await setting.clock.turn(RENEW_SECONDS)
    await setting.budgets.renew()
    assert len(setting.store.asked) == asked
