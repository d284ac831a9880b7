"""Amounts of money that refuse: reserved before a call, settled after it, held together over the fleet."""

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import msgspec

from schemas.bundle import Caller
from sidecar.limiter.flights import Flights
from sidecar.limits.fleet import FleetSize
from sidecar.limits.money import Budget, MoneyBook, Purse, PurseKey, budgets_of, purses_of
from sidecar.ports import Clock, LimitObserver, LimitStore, StoreAway
from sidecar.routing.snapshot import UseCase

MILLIONTHS = Decimal(1_000_000)
LEAST_BLOCK = 10_000
"""One cent: less is not worth a question."""
SPENT_SECONDS = 1.0
"""How long the store's word is believed that a budget is spent: calls in flight may still give back."""
DAY_SECONDS = 86_400
MOST_QUESTIONS = 4


@dataclass(frozen=True, slots=True)
class MoneyRefusal:
    """A budget that is spent, or that nobody can vouch for."""

    budget: Budget
    is_unknown: bool
    """True: what the fleet has spent cannot be known now, and the rule says to refuse then."""

    @property
    def reason(self) -> str:
        return self.budget.reason

    @property
    def message(self) -> str:
        key = self.budget.key
        who = f'{key.payer.replace("_", " ")} "{key.name}"'
        if self.is_unknown:
            return (
                f"{self.budget.reason} of {who} cannot be held while what the fleet has spent is unknown; "
                "its rule says to refuse then"
            )
        return (
            f"{self.budget.reason} of {who} ({self.budget.limit_usd} USD) has no room for this call; "
            f"it opens again after {key.period} (UTC)"
        )


class MoneyHold(msgspec.Struct, frozen=True, gc=False):
    """What one call in flight has reserved."""

    purses: tuple[Purse, ...]
    usd: Decimal


class Budgets:
    def __init__(
        self, clock: Clock, fleet: FleetSize, book: MoneyBook, store: LimitStore | None, observer: LimitObserver
    ) -> None:
        self._clock = clock
        self._fleet = fleet
        self._book = book
        self._store = store
        self._observer = observer
        self._flights = Flights()
        self._asked: dict[PurseKey, Budget] = {}
        """What the store has been asked about, and must be told of."""

    async def reserve(
        self, use_case: UseCase, caller: Caller | None, day: str, usd: Decimal
    ) -> MoneyRefusal | MoneyHold | None:
        """None: no money rule looks at this call."""
        if use_case.ceiling is None and (caller is None or caller.per_month is None):
            return None
        budgets = tuple(budgets_of(use_case, caller, day))
        alone: set[PurseKey] = set()
        questions = 0
        while True:
            missing = None
            for budget in budgets:
                verdict = self._verdict(budget, usd, budget.key in alone)
                if verdict is None:
                    missing = budget
                    break
                if isinstance(verdict, MoneyRefusal):
                    self._observer.limited(budget.id, "refused")
                    return verdict
            if missing is None:
                break
            questions += 1
            if not await self._ask(missing, usd) or questions == MOST_QUESTIONS:
                alone.add(missing.key)
        for budget in budgets:
            self._observer.limited(budget.id, "allowed")
        keys = purses_of("use_case", use_case.name, day)
        if caller is not None:
            keys += purses_of("caller", caller.name, day)
        hold = MoneyHold(tuple(map(self._book.purse, keys)), usd)
        for purse in hold.purses:
            purse.reserved += usd
        return hold

    def release(self, hold: MoneyHold) -> None:
        for purse in hold.purses:
            purse.reserved -= hold.usd

    async def renew(self) -> None:
        """Tell the store from time to time."""
        now = self._clock.monotonic()
        for key, budget in tuple(self._asked.items()):
            purse = self._book.find(key)
            if purse is None:
                del self._asked[key]  # its period is over
            elif self._leased and purse.holding.is_due(_up(purse.reserved), _up(purse.total), now):
                await self._ask(budget, None)

    async def tell(self) -> None:
        """What was spent, what is in use; the rest goes back."""
        for key, budget in tuple(self._asked.items()):
            purse = self._book.find(key)
            if self._leased and purse is not None and purse.holding.has_news(_up(purse.reserved), _up(purse.total)):
                await self._ask(budget, None)

    @property
    def _leased(self) -> bool:
        return self._store is not None and not self._store.is_away

    def _verdict(self, budget: Budget, usd: Decimal, alone: bool) -> MoneyRefusal | bool | None:
        """True: it fits. None: only the store knows."""
        now = self._clock.monotonic()
        if self._leased and not alone:
            purse = self._book.purse(budget.key)
            need = _up(purse.reserved + usd)
            if purse.holding.covers(need, _up(purse.total), now):
                return True
            return MoneyRefusal(budget, False) if purse.holding.closed_seconds(need, now) else None
        if budget.when_away != "local_share" and (self._store is not None or self._book.is_away(now)):
            return True if budget.when_away == "allow" else MoneyRefusal(budget, True)
        return True if self._book.fits(budget, usd, now) else MoneyRefusal(budget, False)

    async def _ask(self, budget: Budget, usd: Decimal | None) -> bool:
        """`usd`: what a new call needs; None asks for nothing new."""

        async def question() -> bool:
            return await self._question(budget, usd)

        return await self._flights.ask(budget.key.id, question)

    async def _question(self, budget: Budget, usd: Decimal | None) -> bool:
        assert self._store is not None
        asked_at, purse, booked = self._clock.monotonic(), self._book.purse(budget.key), self._book.booked(budget.key)
        self._asked[budget.key] = budget
        keep = _up(purse.reserved)
        ask = purse.holding.ask(
            budget.key.id, int((budget.limit_usd * MILLIONTHS).to_integral_value(ROUND_FLOOR)),
            None if booked is None else _up(booked),
            spent=_up(purse.total), keep=keep, more=0 if usd is None else _up(purse.reserved + usd) - keep,
            sidecars=self._fleet.live(asked_at), least=LEAST_BLOCK,
            key_seconds=DAY_SECONDS * (3 if len(budget.key.period) > 7 else 35), now=asked_at,
        )  # fmt: skip
        answered = False
        try:
            grant = await self._store.hold(ask)
            answered = True
        except StoreAway:
            self._observer.limited(budget.id, "store_error")
        finally:
            if not answered:
                purse.holding.failed()
        if answered:
            purse.holding.granted(ask, grant, asked_at, self._clock.monotonic(), SPENT_SECONDS)
        return answered


def _up(usd: Decimal) -> int:
    """Millionths of a dollar, rounded up: what is held is never less than what it is held for."""
    return int((usd * MILLIONTHS).to_integral_value(ROUND_CEILING))
