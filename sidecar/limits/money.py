"""Budgets over the fleet: what the ledger has, what this sidecar adds to it, and whether a call still fits.

What a call costs moves through three hands, and is in one of them at a time: reserved while it is in flight; this
sidecar's own from its end until the ledger has it and has said so; the ledger's from then on. Decimal, UTC days. The
caller brings the time in monotonic seconds.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Literal, NamedTuple

import msgspec

from schemas.bundle import Caller, WhenAway
from schemas.spend import FleetSpend
from sidecar.limits.fleet import REPORT_SECONDS, FleetSize
from sidecar.limits.holdings import Holding
from sidecar.routing.plan import Spend
from sidecar.routing.snapshot import UseCase

ZERO = Decimal(0)
Payer = Literal["use_case", "caller", "shadow"]
"""`shadow` pays for what a use case mirrors, by the day."""


class PurseKey(NamedTuple):
    payer: Payer
    name: str
    period: str
    """`2026-11-25`, or `2026-11` for a month."""

    @property
    def id(self) -> str:
        return f"budget.{self.payer}.{self.name}.{self.period}"


@lru_cache(maxsize=8192)
def purses_of(payer: Payer, name: str, day: str) -> tuple[PurseKey, ...]:
    """Those that a call of this day is paid from: a use case's for the day and the month, a caller's for the month."""
    of_month = PurseKey(payer, name, day[:7])
    return (PurseKey(payer, name, day), of_month) if payer == "use_case" else (of_month,)


class Budget(msgspec.Struct, frozen=True, gc=False):
    """An amount that refuses."""

    key: PurseKey
    limit_usd: Decimal
    reason: str
    """`cost_ceiling.hard.per_day`, `cost_ceiling.per_month`, `caller.per_month`."""
    when_away: WhenAway

    @property
    def id(self) -> str:
        """Stable over days: `cost_ceiling.hard.per_day.chat`."""
        return f"{self.reason}.{self.key.name}"


@dataclass(slots=True)
class Purse:
    """One payer's money of one period, without what the ledger has."""

    reserved: Decimal = ZERO
    """By calls in flight, at their estimates."""
    unshipped: Decimal = ZERO
    """Of calls that ended and that the ledger has not acknowledged."""
    shipped: Decimal = ZERO
    """Acknowledged, and not yet in a report that came here."""
    total: Decimal = ZERO
    """Of all calls that ended: a running total for the shared store."""
    holding: Holding = field(default_factory=Holding)

    @property
    def own(self) -> Decimal:
        return self.reserved + self.unshipped + self.shipped


def budgets_of(use_case: UseCase, caller: Caller | None, day: str) -> Iterator[Budget]:
    """Every amount beyond which this call is refused; those that lead to cheaper models are the plan's business."""
    ceiling = use_case.ceiling
    if ceiling is not None:
        for name, key in zip(("per_day", "per_month"), purses_of("use_case", use_case.name, day), strict=True):
            hard, soft = getattr(ceiling.hard, name), getattr(ceiling, name)
            if ceiling.then is None and soft is not None:
                yield Budget(key, soft, f"cost_ceiling.{name}", ceiling.on_store_error)
            elif hard is not None:
                yield Budget(key, hard, f"cost_ceiling.hard.{name}", ceiling.on_store_error)
    if caller is not None and caller.per_month is not None:
        (key,) = purses_of("caller", caller.name, day)
        yield Budget(key, caller.per_month, "caller.per_month", caller.on_store_error)


class MoneyBook:
    def __init__(self, fleet: FleetSize, *, has_controller: bool) -> None:
        self._fleet = fleet
        self._has_controller = has_controller
        self._purses: dict[PurseKey, Purse] = {}
        self._report: FleetSpend | None = None
        self._report_at: datetime | None = None
        self._reported = 0.0
        self._day = ""

    def purse(self, key: PurseKey) -> Purse:
        purse = self._purses.get(key)
        if purse is None:
            purse = self._purses[key] = Purse()
        return purse

    def find(self, key: PurseKey) -> Purse | None:
        """None: nothing was paid, or its period is over."""
        return self._purses.get(key)

    def spend(self, use_case: str, day: str) -> Spend:
        """What is known to be spent, calls in flight here included, and the latest calls of others not."""
        self._turn_to(day)
        return Spend(*map(self.known, purses_of("use_case", use_case, day)))

    def known(self, key: PurseKey) -> Decimal:
        purse = self._purses.get(key)
        return (self.booked(key) or ZERO) + (ZERO if purse is None else purse.own)

    def booked(self, key: PurseKey) -> Decimal | None:
        """By the ledger's last report; None where no report says."""
        report = self._report
        if report is None:
            return None if self._has_controller else ZERO
        if key.payer == "shadow":
            spent = report.use_cases.get(key.name) if key.period == report.day else None
            return ZERO if spent is None else spent.shadow_per_day
        if key.period == report.day:
            spent = report.use_cases.get(key.name) if key.payer == "use_case" else None
            return ZERO if spent is None else spent.per_day
        if key.period == report.day[:7]:
            of_month = (report.use_cases if key.payer == "use_case" else report.callers).get(key.name)
            return ZERO if of_month is None else of_month.per_month
        return ZERO if key.period > report.day[: len(key.period)] else None

    def is_away(self, now: float) -> bool:
        """Whether the controller, which should tell what the fleet has spent, has been silent for too long."""
        return self._has_controller and (self._report is None or now - self._reported > REPORT_SECONDS)

    def fits(self, budget: Budget, usd: Decimal, now: float) -> bool:
        """Whether this sidecar's share of what the ledger leaves has room for another call.

        What is left is shared evenly: while every sidecar keeps to its share of the same report, no budget is passed.
        """
        left = budget.limit_usd - (self.booked(budget.key) or ZERO)
        return (self.purse(budget.key).own + usd) * self._fleet.live(now) <= left

    def add(self, day: str, use_case: str, caller: str, usd: Decimal) -> None:
        """A call ended. `day` is that of its arrival."""
        self._turn_to(day)
        self._add(self._keys(day, use_case, caller), usd)

    def add_shadow(self, day: str, use_case: str, usd: Decimal) -> None:
        """A shadow of a use case was asked."""
        self._turn_to(day)
        self._add(self._shadow_keys(day, use_case), usd)

    def acknowledged(self, day: str, use_case: str, caller: str, usd: Decimal) -> None:
        """The ledger has it; the next report will say so."""
        self._move(self._keys(day, use_case, caller), usd)

    def acknowledged_shadow(self, day: str, use_case: str, usd: Decimal) -> None:
        """As `acknowledged`."""
        self._move(self._shadow_keys(day, use_case), usd)

    def report(self, document: FleetSpend, now: float) -> bool:
        """False: older than what is known, or not readable; it changes nothing.

        A controller whose clock stepped back is believed again once it has been away.
        """
        try:
            at = datetime.fromisoformat(document.at)
        except ValueError:
            return False
        if at.tzinfo is None:
            return False
        if self._report_at is not None and at < self._report_at and not self.is_away(now):
            return False
        self._report, self._report_at, self._reported = document, at, now
        self._fleet.report(document.live_sidecars, now)
        for purse in self._purses.values():
            purse.shipped = ZERO
        return True

    def _add(self, keys: Iterable[PurseKey], usd: Decimal) -> None:
        for key in keys:
            purse = self.purse(key)
            purse.unshipped += usd
            purse.total += usd

    def _move(self, keys: Iterable[PurseKey], usd: Decimal) -> None:
        for key in keys:
            purse = self._purses.get(key)
            if purse is not None:
                moved = min(usd, purse.unshipped)
                purse.unshipped -= moved
                purse.shipped += moved

    def _shadow_keys(self, day: str, use_case: str) -> Iterator[PurseKey]:
        if day == self._day:
            yield PurseKey("shadow", use_case, day)

    def _keys(self, day: str, use_case: str, caller: str) -> Iterator[PurseKey]:
        """Of periods that are not over."""
        for key in purses_of("use_case", use_case, day):
            if self._day.startswith(key.period):
                yield key
        if caller and self._day.startswith(day[:7]):
            yield from purses_of("caller", caller, day)

    def _turn_to(self, day: str) -> None:
        if day <= self._day:
            return
        self._day = day
        self._purses = {key: purse for key, purse in self._purses.items() if key.period == day[: len(key.period)]}
