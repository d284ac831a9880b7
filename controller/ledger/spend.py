"""What each use case and each caller has spent on a day and in its month, kept in memory as it is booked. No I/O."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, TypeAlias

import msgspec

from controller.ledger.booking import NOTHING, Entry, Key
from controller.ledger.money import EXACT
from schemas.spend import CallerSpend, UseCaseSpend

Spent: TypeAlias = tuple[str, str, Decimal]
"""A name, the day (or only the month, where the day does not matter any more), US dollars."""
MONTH: Final = slice(0, 7)


@dataclass(slots=True)
class SpendBook:
    """Days and months are UTC, as in the price list."""

    _use_cases: dict[str, dict[str, Decimal]] = field(default_factory=dict)
    _callers: dict[str, dict[str, Decimal]] = field(default_factory=dict)
    _shadows: dict[str, dict[str, Decimal]] = field(default_factory=dict)
    """By use case."""

    def replace(self, use_cases: Iterable[Spent], callers: Iterable[Spent], shadows: Iterable[Spent] = ()) -> None:
        """What the database says takes the place of what was known."""
        self._use_cases, self._callers, self._shadows = {}, {}, {}
        for name, day, usd in use_cases:
            _add(self._use_cases, name, day, usd)
        for name, day, usd in callers:
            _add(self._callers, name, day, usd)
        for name, day, usd in shadows:
            _add(self._shadows, name, day, usd)

    def add(self, sums: Mapping[Key, Entry]) -> None:
        for key, entry in sums.items():
            usd = EXACT.add(entry.cost_usd, entry.wasted_usd)
            if usd:
                _add(self._use_cases, key.use_case, key.day, usd)
                _add(self._callers, key.caller, key.day, usd)
            if entry.shadow_usd:
                _add(self._shadows, key.use_case, key.day, entry.shadow_usd)

    def use_cases_on(self, day: str) -> dict[str, UseCaseSpend]:
        found = {
            name: UseCaseSpend(per_day=days.get(day, NOTHING), per_month=usd)
            for name, days in self._use_cases.items()
            if (usd := _in_month(days, day))
        }
        for name, days in self._shadows.items():
            if usd := days.get(day, NOTHING):
                spent = found.get(name, UseCaseSpend(NOTHING, NOTHING))
                found[name] = msgspec.structs.replace(spent, shadow_per_day=usd)
        return found

    def callers_on(self, day: str) -> dict[str, CallerSpend]:
        return {
            name: CallerSpend(per_month=usd)
            for name, days in self._callers.items()
            if name and (usd := _in_month(days, day))
        }

    def forget_before(self, month: str) -> None:
        """Nobody asks for an earlier month again."""
        for book in (self._use_cases, self._callers, self._shadows):
            for name, days in list(book.items()):
                book[name] = {day: usd for day, usd in days.items() if day[MONTH] >= month}
                if not book[name]:
                    del book[name]


def _add(book: dict[str, dict[str, Decimal]], name: str, day: str, usd: Decimal) -> None:
    days = book.setdefault(name, {})
    days[day] = EXACT.add(days.get(day, NOTHING), usd)


def _in_month(days: Mapping[str, Decimal], day: str) -> Decimal:
    total = NOTHING
    for other, usd in days.items():
        if other[MONTH] == day[MONTH]:
            total = EXACT.add(total, usd)
    return total
