"""Requests and tokens per minute: what a call needs is granted by every rule, or taken from none."""

import asyncio
from collections.abc import Sequence
from math import inf

from sidecar.limiter.flights import Flights
from sidecar.limiter.scopes import Charge, Need
from sidecar.limits.fleet import FleetSize
from sidecar.limits.meters import RateMeter
from sidecar.limits.rules import Refusal
from sidecar.ports import Clock, LimitObserver, LimitStore, StoreAway

AWAY_SECONDS = 5.0
"""When a rule that refuses without the store says to come again: the longest that the store rests between probes."""
MOST_QUESTIONS = 4
"""Of one call about one rule. Others may be faster to a grant; after so many it is as if the store were away."""


class Rates:
    def __init__(self, clock: Clock, fleet: FleetSize, store: LimitStore | None, observer: LimitObserver) -> None:
        self._clock = clock
        self._fleet = fleet
        self._store = store
        self._observer = observer
        self._flights = Flights()
        self._waiting: dict[str, int] = {}
        """Rule's id → what waits for the answer that is under way."""

    def is_closed(self, meter: RateMeter, amount: int, now: float) -> bool:
        """Whether it is known to refuse this much now, without asking."""
        return meter.rule.is_enforced and bool(self._wait(meter, amount, now, self._leased))

    async def take(self, needs: Sequence[Need]) -> Refusal | list[Charge]:
        """Awaits only where what the store granted before does not last."""
        at_once = self._at_once(needs)
        if at_once is not None:
            for need in needs:
                self._observer.limited(need.meter.rule.id, "allowed")
            return at_once
        charges: list[Charge] = []
        alone: set[str] = set()
        """Rules whose question failed: this call is judged without the store."""
        is_taken = False
        try:
            refusal = await self._charge(needs, charges, alone)
            is_taken = refusal is None
        finally:
            if not is_taken:
                for charge in charges:
                    self.correct(charge, 0)
        if refusal is not None:
            self._observer.limited(refusal.rule.id, "refused")
            return refusal
        charged = {charge.meter.rule.id for charge in charges}
        for need in needs:
            rule = need.meter.rule
            self._observer.limited(rule.id, "allowed" if rule.id in charged else "shadow_refused")
        return charges

    def _at_once(self, needs: Sequence[Need]) -> list[Charge] | None:
        """Where every rule lets it through, and nobody need be asked: nearly always. None: nothing is taken."""
        now, leased = self._clock.monotonic(), self._leased
        for need in needs:
            if self._wait(need.meter, need.amount, now, leased) != 0.0:
                return None
        return [self._spend(need, now, leased) for need in needs]

    async def _charge(self, needs: Sequence[Need], charges: list[Charge], alone: set[str]) -> Refusal | None:
        """A rule in shadow that would refuse takes nothing: as if it had."""
        for _ in range(MOST_QUESTIONS):
            now, leased, missing = self._clock.monotonic(), self._leased, list[Need]()
            for need in needs:
                by_store = leased and need.meter.rule.id not in alone
                wait = self._wait(need.meter, need.amount, now, by_store)
                if wait is None:
                    missing.append(need)
                elif wait == 0:
                    charges.append(self._spend(need, now, by_store))
                elif need.meter.rule.is_enforced:
                    return Refusal(need.meter.rule, wait)
            if not missing:
                return None
            if len(missing) == 1:
                answers = [await self._ask(missing[0], charges)]
            else:
                answers = await asyncio.gather(*(self._ask(need, charges) for need in missing))
            charged = {charge.meter for charge in charges}
            needs = [need for need in missing if need.meter not in charged]
            alone |= {need.meter.rule.id for need, answered in zip(missing, answers, strict=True) if not answered}
        for need in needs:
            now = self._clock.monotonic()
            wait = self._wait(need.meter, need.amount, now, leased=False)
            if not wait:
                charges.append(self._spend(need, now, leased=False))
            elif need.meter.rule.is_enforced:
                return Refusal(need.meter.rule, wait)
        return None

    def correct(self, charge: Charge, actual: int) -> None:
        """The call used something else than was reserved for it."""
        unused = charge.amount - actual
        if not unused:
            return
        now = self._clock.monotonic()
        if charge.leased:
            charge.meter.block.correct(unused, now)
            return
        alone = charge.meter.alone(self._fleet.live(now), now)
        if unused < 0:
            alone.take(-unused, now)
        else:
            alone.give_back(unused)

    def standing(self, meter: RateMeter, now: float) -> tuple[int, float]:
        """What may come at once, and the seconds until nothing is owed."""
        if self._leased:
            return meter.block.remaining(now), meter.block.reset_seconds(now)
        alone = meter.alone(self._fleet.live(now), now)
        return alone.remaining(now), alone.reset_seconds(now)

    @property
    def _leased(self) -> bool:
        return self._store is not None and not self._store.is_away

    def _wait(self, meter: RateMeter, amount: int, now: float, leased: bool) -> float | None:
        """Seconds until it would pass; None: only the store knows."""
        if meter.too_large(amount):
            return inf
        if leased:
            return 0.0 if meter.block.covers(amount, now) else meter.block.closed_seconds(amount, now) or None
        if self._store is not None and meter.rule.when_away != "local_share":
            return 0.0 if meter.rule.when_away == "allow" else AWAY_SECONDS
        return meter.alone(self._fleet.live(now), now).wait(amount, now)

    def _spend(self, need: Need, now: float, leased: bool) -> Charge:
        meter, amount = need.meter, need.amount
        if leased:
            meter.block.spend(amount, now)
        else:
            meter.alone(self._fleet.live(now), now).take(amount, now)
        return Charge(meter, amount, leased)

    async def _ask(self, need: Need, charges: list[Charge]) -> bool:
        """Whether an answer came. What it grants is charged at once, before somebody else gives it back."""
        key = need.meter.rule.id
        self._waiting[key] = self._waiting.get(key, 0) + need.amount

        async def question() -> bool:
            return await self._question(need)

        try:
            answered = await self._flights.ask(key, question)
        finally:
            self._waiting[key] -= need.amount
            if not self._waiting[key]:
                del self._waiting[key]
        now = self._clock.monotonic()
        if answered and need.meter.block.covers(need.amount, now):
            charges.append(self._spend(need, now, leased=True))
        return answered

    async def _question(self, need: Need) -> bool:
        assert self._store is not None
        meter, key, asked_at = need.meter, need.meter.rule.id, self._clock.monotonic()
        others = self._waiting[key] - need.amount
        ask = meter.block.ask(key, meter.rule.limit, need.amount, others, asked_at)
        answered = False
        try:
            grant = await self._store.take(ask)
            answered = True
        except StoreAway:
            self._observer.limited(key, "store_error")
        finally:
            if not answered:
                meter.block.failed(ask)
        if answered:
            meter.block.granted(ask, grant, asked_at, self._clock.monotonic())
        return answered
