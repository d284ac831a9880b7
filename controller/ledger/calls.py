"""Reading the calls themselves, page by page, in an order that does not change while they are read."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import Connection, RowMapping, Select, func, select, tuple_

from controller.ledger.money import shown
from controller.ledger.query import BadQuestion, Days
from controller.ledger.tables import AMOUNTS, calls

PAGE_CALLS: Final = 1000
MAX_PAGE_CALLS: Final = 5000
SHOWN_CALLS: Final = 100
"""On one page for people."""
FILTERS: Final = ("use_case", "model", "provider", "outcome", "reason", "agent", "sidecar")


class Position(NamedTuple):
    """Behind this call the next page begins."""

    day: str
    at: str
    id: str


@dataclass(frozen=True, slots=True)
class Page:
    calls: Sequence[Mapping[str, Any]]
    next: Position | None
    """None: this was the last one."""


def encode_cursor(position: Position) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(position)).decode().rstrip("=")


def parse_cursor(text: str | None) -> Position | None:
    """Raises `BadQuestion`: no answer of ours has said this."""
    if not text:
        return None
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        return msgspec.json.decode(data, type=Position)
    except (binascii.Error, ValueError, msgspec.DecodeError) as error:
        raise BadQuestion("after must be the `next` of the page before") from error


def parse_limit(text: str | None) -> int:
    """Raises `BadQuestion`."""
    if not text:
        return PAGE_CALLS
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MAX_PAGE_CALLS):
        raise BadQuestion(f"limit must be a number of calls from 1 to {MAX_PAGE_CALLS}, not {text[:40]!r}")
    return int(text)


def count(connection: Connection, days: Days) -> int:
    found = connection.execute(_within(select(func.count()).select_from(calls), days))
    return int(found.scalar_one())


def page(connection: Connection, days: Days, after: Position | None, limit: int) -> Page:
    """The next calls behind `after`, by day, time and id."""
    order = (calls.c.day, calls.c.at, calls.c.id)
    statement = _within(select(calls), days).order_by(*order).limit(limit + 1)
    if after is not None:
        statement = statement.where(tuple_(*order) > tuple_(*after))
    rows = connection.execute(statement).mappings().all()
    more = len(rows) > limit
    shown_rows = [_call(row) for row in rows[:limit]]
    last = rows[limit - 1] if more else None
    return Page(shown_rows, None if last is None else Position(last["day"], last["at"], last["id"]))


def newest(connection: Connection, days: Days, keys: Mapping[str, str], before: Position | None) -> Page:
    """The calls before `before`, the newest first.

    Args:
        keys: of `FILTERS`, what they must be.
    """
    order = (calls.c.day, calls.c.at, calls.c.id)
    statement = _within(select(calls), days).order_by(*(column.desc() for column in order)).limit(SHOWN_CALLS + 1)
    for name, value in keys.items():
        statement = statement.where(calls.c[name] == value)
    if before is not None:
        statement = statement.where(tuple_(*order) < tuple_(*before))
    rows = connection.execute(statement).mappings().all()
    last = rows[SHOWN_CALLS - 1] if len(rows) > SHOWN_CALLS else None
    following = None if last is None else Position(last["day"], last["at"], last["id"])
    return Page([_call(row) for row in rows[:SHOWN_CALLS]], following)


def one(connection: Connection, call: str) -> Mapping[str, Any]:
    """Empty: it is not booked."""
    row = connection.execute(select(calls).where(calls.c.id == call)).mappings().one_or_none()
    return {} if row is None else _call(row)


def _within(statement: Select[Any], days: Days) -> Select[Any]:
    if days.since is not None:
        statement = statement.where(calls.c.day >= days.since.isoformat())
    if days.until is not None:
        statement = statement.where(calls.c.day <= days.until.isoformat())
    return statement


def _call(row: RowMapping) -> dict[str, Any]:
    amounts: dict[str, Decimal | None] = {name: row[name] for name in AMOUNTS}
    return {
        **row,
        **{name: None if amount is None else shown(amount) for name, amount in amounts.items()},
        "stream": bool(row["stream"]),
        "estimated": bool(row["estimated"]),
        "attempts": msgspec.Raw(row["attempts"].encode()),
        "dropped": msgspec.Raw(row["dropped"].encode()),
        "skipped": msgspec.Raw(row["skipped"].encode()),
        "facts": None if row["facts"] is None else msgspec.Raw(row["facts"].encode()),
    }
