"""A `LimitStore` in memory, by the same arithmetic as the scripts that run in Redis, over a network that can be bad."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import repeat
from math import ceil, floor
from typing import Literal

from sidecar.limits.blocks import RateAsk, RateGrant
from sidecar.limits.holdings import HOLD_SECONDS, HoldAsk, HoldGrant
from sidecar.ports import StoreAway
from tests.fakes.ports import HandClock

BURST, MOST_DEBT = 2_000_000, 124_000_000
Fate = Literal["answered", "lost", "unheard", "late", "twice"]
"""Of a question: answered; it never arrives; its answer never does; both arrive when nobody waits; it arrives twice."""


@dataclass
class _Hold:
    held: int
    until: float
    told: int
    number: int


@dataclass
class _Budget:
    spent: int
    held: int = 0
    swept: float = -10.0
    holders: dict[str, _Hold] = field(default_factory=dict)


class SharedMemory:
    """What the sidecars of one fleet share: the server's side."""

    def __init__(self, clock: HandClock) -> None:
        self.clock = clock
        self._debts: dict[str, tuple[int, int]] = {}
        self.budgets: dict[str, _Budget] = {}
        self.takes = 0

    def flush(self) -> None:
        self._debts.clear()
        self.budgets.clear()

    def take(self, ask: RateAsk) -> RateGrant:
        self.takes += 1
        now, each = round(self.clock.monotonic() * 1e6), 60_000_000 / ask.per_minute
        paid_at, per_minute = self._debts.get(ask.key, (now, ask.per_minute))
        debt = min(paid_at - now, MOST_DEBT)
        if debt > 0 and per_minute != ask.per_minute:
            debt = floor(debt * per_minute / ask.per_minute)
        if ask.back > 0:
            debt -= floor(ask.back * each)
        elif ask.back < 0:
            debt = min(max(debt, 0) + ceil(-ask.back * each), MOST_DEBT)
        debt = max(debt, 0)
        fit = max(0, floor((BURST - debt) / each))
        granted, wait = 0, 0
        if fit >= ask.need:
            granted = min(ask.want, fit)
        elif ask.need * each > BURST and debt == 0:
            granted = ask.need
        else:
            wait = max(1, ceil(debt - max(0, BURST - ask.need * each)))
        debt += ceil(granted * each)
        self._debts[ask.key] = (now + debt, ask.per_minute)
        return RateGrant(granted, wait / 1e6, max(0, floor((BURST - debt) / each)), debt / 1e6)

    def hold(self, holder: str, ask: HoldAsk) -> HoldGrant:
        now = self.clock.monotonic()
        budget = self.budgets.get(ask.key)
        if budget is None:
            if ask.seed is None:
                raise StoreAway("unknown")
            budget = self.budgets[ask.key] = _Budget(ask.seed)
        mine = budget.holders.get(holder)
        told, before = (ask.told, 0) if mine is None else (mine.told, mine.held)
        if mine is not None and ask.number <= mine.number:
            return HoldGrant(False, before, budget.spent, budget.held - before)
        budget.spent += max(0, ask.spent - told)
        others = budget.held - before
        if ask.limit - budget.spent - others < ask.need and now - budget.swept >= 1:
            budget.swept = now
            for name, hold in list(budget.holders.items()):
                if name != holder and hold.until < now:
                    others -= hold.held
                    del budget.holders[name]
        room = ask.limit - budget.spent - others
        if ask.need <= room:
            block = 0
            if ask.parts:
                block = (room - ask.need) // ask.parts
                if block < ask.least:
                    block = ask.least if (room - ask.need) * 4 > ask.least * ask.parts else 0
            held = min(room, ask.need + block)
        else:
            held = ask.keep
        budget.held = others + held
        budget.holders[holder] = _Hold(held, now + HOLD_SECONDS, max(ask.spent, told), ask.number)
        return HoldGrant(ask.need <= room, held, budget.spent, others)


class MemoryStore:
    """One sidecar's way to it. `fates` says what becomes of each question, in turn."""

    def __init__(self, shared: SharedMemory, holder: str = "one", fates: Iterator[Fate] | None = None) -> None:
        self.is_away = False
        self.asked: list[RateAsk | HoldAsk] = []
        self._shared = shared
        self._holder = holder
        self._fates = repeat("answered") if fates is None else fates
        self._late: list[RateAsk | HoldAsk] = []

    async def take(self, ask: RateAsk) -> RateGrant:
        await asyncio.sleep(0)  # others run while an answer is under way
        grant = self._deliver(ask)
        assert isinstance(grant, RateGrant)
        return grant

    async def hold(self, ask: HoldAsk) -> HoldGrant:
        await asyncio.sleep(0)
        grant = self._deliver(ask)
        assert isinstance(grant, HoldGrant)
        return grant

    def arrive_late(self) -> None:
        """What was given up reaches the server after all, the last first."""
        while self._late:
            self._run(self._late.pop())

    def _deliver(self, ask: RateAsk | HoldAsk) -> RateGrant | HoldGrant:
        self.asked.append(ask)
        if self.is_away:
            raise StoreAway("away")
        fate = next(self._fates)
        if fate in ("lost", "late"):
            if fate == "late":
                self._late.append(ask)
            raise StoreAway(fate)
        if fate == "twice":
            self._run(ask)
        grant = self._run(ask)
        if fate == "unheard":
            raise StoreAway(fate)
        return grant

    def _run(self, ask: RateAsk | HoldAsk) -> RateGrant | HoldGrant:
        return self._shared.take(ask) if isinstance(ask, RateAsk) else self._shared.hold(self._holder, ask)
