"""Reading the sums: by the keys that people ask for, exact to the last digit."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final, TypeAlias

from sqlalchemy import Connection, RowMapping, func, select

from controller.ledger.money import shown, usd_sum
from controller.ledger.tables import DAILY_AMOUNTS, TOKENS, daily

KEYS: Final = (
    "use_case", "model", "vendor", "provider", "team", "agent", "caller", "day", "reason", "outcome", "revision",
)  # fmt: skip
DEFAULT_BY: Final = ("use_case", "model")

Row: TypeAlias = Mapping[str, str | int]


class BadQuestion(ValueError):
    """The message names what would be right."""


@dataclass(frozen=True, slots=True)
class Days:
    """Days of calls, UTC, both included; None: no bound."""

    since: date | None = None
    until: date | None = None


@dataclass(frozen=True, slots=True)
class Question:
    by: tuple[str, ...] = DEFAULT_BY
    days: Days = Days()


def parse_question(*, by: str | None, since: str | None, until: str | None) -> Question:
    """What stands in a query string. Raises `BadQuestion`."""
    keys = DEFAULT_BY if by is None else tuple(dict.fromkeys(word.strip() for word in by.split(",")))
    for key in keys:
        if key not in KEYS:
            raise BadQuestion(f"unknown key {key!r} in by; the keys are {', '.join(KEYS)}")
    return Question(keys, parse_days(since=since, until=until))


def parse_days(*, since: str | None, until: str | None) -> Days:
    """What stands in a query string. Raises `BadQuestion`."""
    return Days(_day("since", since), _day("until", until))


def ask(connection: Connection, question: Question) -> list[Row]:
    """The rows, sorted by their keys."""
    keys = [daily.c[name] for name in question.by]
    counts = [func.sum(daily.c[name]).label(name) for name in ("requests", "errors", *TOKENS)]
    amounts = [usd_sum(daily.c[name]).label(name) for name in DAILY_AMOUNTS]
    unpriced = func.sum(daily.c.unpriced_requests).label("unpriced_requests")
    statement = select(*keys, *counts, *amounts, unpriced).group_by(*keys).order_by(*keys)
    if question.days.since is not None:
        statement = statement.where(daily.c.day >= question.days.since.isoformat())
    if question.days.until is not None:
        statement = statement.where(daily.c.day <= question.days.until.isoformat())
    return [_row(values) for values in connection.execute(statement).mappings()]


def _row(values: RowMapping) -> Row:
    return {name: _figure(name, value) for name, value in values.items()}


def _figure(name: str, value: object) -> str | int:
    if name in DAILY_AMOUNTS:
        return shown(value)  # type: ignore[arg-type]  # money comes out of the database as Decimal
    # PostgreSQL's sums of whole numbers are NUMERIC.
    return value if isinstance(value, str) else int(value)  # type: ignore[call-overload]


def _day(name: str, text: str | None) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise BadQuestion(f"{name} must be a day such as 2026-11-01, not {text[:40]!r}") from error
