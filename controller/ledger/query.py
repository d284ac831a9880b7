"""Reading the ledger: sums by the keys that people ask for, exact to the last digit."""

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Final, TypeAlias

from controller.ledger.money import add_functions, shown

KEYS: Final = ("use_case", "model", "vendor", "provider", "team", "agent", "caller", "day", "reason", "outcome")
DEFAULT_BY: Final = ("use_case", "model")
COUNTS: Final = (
    "requests", "errors", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens",
    "reasoning_tokens",
)  # fmt: skip

Row: TypeAlias = Mapping[str, str | int]


class BadQuestion(ValueError):
    """The message names what would be right."""


@dataclass(frozen=True, slots=True)
class Question:
    by: tuple[str, ...] = DEFAULT_BY
    since: date | None = None
    """First day counted, UTC."""
    until: date | None = None
    """Last day counted, UTC; that whole day is included."""


def parse_question(*, by: str | None, since: str | None, until: str | None) -> Question:
    """What stands in a query string. Raises `BadQuestion`."""
    keys = DEFAULT_BY if by is None else tuple(dict.fromkeys(word.strip() for word in by.split(",")))
    for key in keys:
        if key not in KEYS:
            raise BadQuestion(f"unknown key {key!r} in by; the keys are {', '.join(KEYS)}")
    return Question(keys, _day("since", since), _day("until", until))


def ask(path: Path, question: Question) -> list[Row]:
    """The rows, sorted by their keys. Reads beside the writer, from the last committed state."""
    keys = ", ".join(question.by)
    counts = ", ".join(f"sum({name})" for name in COUNTS)
    where = [f"day {sign} ?" for sign, day in ((">=", question.since), ("<=", question.until)) if day is not None]
    days = [day.isoformat() for day in (question.since, question.until) if day is not None]
    statement = (
        f"SELECT {keys}, {counts}, usd_sum(cost_usd), usd_sum(wasted_usd), sum(unpriced_requests) FROM daily "
        f"{'WHERE ' + ' AND '.join(where) if where else ''} GROUP BY {keys} ORDER BY {keys}"
    )
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=10)) as connection:
        add_functions(connection)
        return [_row(question.by, values) for values in connection.execute(statement, days)]


def _row(by: Sequence[str], values: Sequence[str | int]) -> Row:
    names = (*by, *COUNTS, "cost_usd", "wasted_usd", "unpriced_requests")
    row = dict(zip(names, values, strict=True))
    return row | {name: shown(Decimal(str(row[name]))) for name in ("cost_usd", "wasted_usd")}


def _day(name: str, text: str | None) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise BadQuestion(f"{name} must be a day such as 2026-11-01, not {text[:40]!r}") from error
