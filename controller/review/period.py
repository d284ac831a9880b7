"""The days that a review looks back on. Pure."""

import re
from dataclasses import dataclass
from datetime import date, timedelta


class UnclearPeriod(ValueError):
    """The text says how to write it."""


@dataclass(frozen=True, slots=True)
class Period:
    first: date
    last: date
    """Included."""

    def holds(self, day: date) -> bool:
        return self.first <= day <= self.last

    def __str__(self) -> str:
        return f"{self.first} to {self.last}"


def quarter_of(day: date) -> Period:
    start = date(day.year, 3 * ((day.month - 1) // 3) + 1, 1)
    return Period(start, _after_quarter(start) - timedelta(days=1))


def parse_quarter(text: str) -> Period:
    """`2026Q4`. Raises `UnclearPeriod`."""
    said = re.fullmatch(r"([1-9][0-9]{3})-?Q([1-4])", text)
    if said is None:
        raise UnclearPeriod(f'"{text}" is not a quarter; write it as 2026Q4')
    return quarter_of(date(int(said[1]), 3 * int(said[2]), 1))


def _after_quarter(start: date) -> date:
    return date(start.year + (start.month == 10), start.month % 12 + 3 if start.month < 10 else 1, 1)
