"""What controllers on one ledger learn from each other through it: money spent, and who the fleet is."""

from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from typing import Final

import msgspec
from sqlalchemy import Column, Connection, case, delete, literal_column, select, text

from controller.fleet import FORGET_SECONDS, MAX_MEMBERS, Member
from controller.ledger.booking import plain
from controller.ledger.money import EXACT, usd_sum
from controller.ledger.spend import SpendBook
from controller.ledger.tables import daily, sidecars
from schemas.status import SidecarStatus

_NOW: Final = text("SELECT extract(epoch FROM clock_timestamp())::double precision")
"""The database's clock: the controllers' own may differ."""
_TELL: Final = text(
    """
    INSERT INTO sidecars (name, seen, scope, told, status, written, status_written)
    SELECT one.*, :at, :at FROM unnest(
        CAST(:names AS text[]), CAST(:seen AS float8[]), CAST(:scopes AS text[]), CAST(:told AS float8[]),
        CAST(:statuses AS text[])
    ) AS one
    ON CONFLICT (name) DO UPDATE SET
        seen = greatest(sidecars.seen, excluded.seen),
        scope = CASE WHEN excluded.seen < sidecars.seen THEN sidecars.scope ELSE excluded.scope END,
        told = greatest(sidecars.told, excluded.told),
        status = CASE WHEN excluded.told > sidecars.told THEN excluded.status ELSE sidecars.status END,
        written = excluded.written,
        status_written = CASE WHEN excluded.told > sidecars.told THEN excluded.written ELSE sidecars.status_written END
    """
)
"""All in one statement. What another controller has heard later stays."""
LATE_SECONDS: Final = 10.0
"""A row may be seen so long after the time at which it says to be written: no transaction waits for longer."""


def read_spend(connection: Connection, book: SpendBook, today: date) -> None:
    """Everything of this month, and what is already booked of days to come; days before today as their sum."""
    month = today.isoformat()[:7]
    day = case((daily.c.day >= today.isoformat(), daily.c.day), else_=month)

    def sums_by(name: Column[str]) -> list[tuple[str, str, Decimal, Decimal]]:
        sums = (
            select(name, day, usd_sum(daily.c.cost_usd), usd_sum(daily.c.wasted_usd), usd_sum(daily.c.shadow_usd))
            .where(daily.c.day >= f"{month}-01")
            .group_by(name, literal_column("2"))
        )
        rows = connection.execute(sums)
        return [(who, on, EXACT.add(cost, wasted), shadow) for who, on, cost, wasted, shadow in rows]

    use_cases = sums_by(daily.c.use_case)
    book.replace(
        use_cases=[(who, on, usd) for who, on, usd, _ in use_cases],
        callers=[(who, on, usd) for who, on, usd, _ in sums_by(daily.c.caller)],
        shadows=[(who, on, usd) for who, on, _, usd in use_cases],
    )


def exchange(
    connection: Connection, told: Mapping[str, Member], since: float, now: Callable[[], float]
) -> tuple[float, dict[str, Member]]:
    """Tells what this controller has heard of sidecars, and gives what others have.

    Args:
        told: one without a status leaves the status that is known of it.
        since: what the exchange before gave; 0: everything is asked for.
        now: seconds since the epoch, as in `Member`; the database has a clock of its own.

    Returns:
        What is `since` at the next exchange, and the members that were written since this one's. One of which no
        status was written in that time comes without.
    """
    at = float(connection.execute(_NOW).scalar_one())
    ahead = at - now()
    if told:
        rows = sorted(told.items())  # in one order: two controllers wait for each other, and never in a circle
        connection.execute(
            _TELL,
            {
                "at": at,
                "names": [plain(name) for name, _ in rows],
                "seen": [member.seen + ahead for _, member in rows],
                "scopes": [_text(member.scope) for _, member in rows],
                "told": [member.told + ahead if member.status else 0.0 for _, member in rows],
                "statuses": [plain(_text(member.status)) if member.status else "" for _, member in rows],
            },
        )
    status = case((sidecars.c.status_written > since, sidecars.c.status), else_="")
    later = select(sidecars.c.name, sidecars.c.seen, sidecars.c.scope, sidecars.c.told, status).where(
        sidecars.c.written > since, sidecars.c.seen > at - FORGET_SECONDS
    )
    heard = {}
    for name, seen, scope, told_at, text_of in connection.execute(later):
        said = msgspec.json.decode(text_of, type=SidecarStatus) if text_of else None
        heard[name] = Member(seen - ahead, said, tuple(msgspec.json.decode(scope, type=list[str])), told_at - ahead)
    return at - LATE_SECONDS, heard


def forget(connection: Connection) -> None:
    """Sidecars that are gone for good, and the oldest of too many."""
    at = connection.execute(_NOW).scalar_one()
    connection.execute(delete(sidecars).where(sidecars.c.seen < at - FORGET_SECONDS))
    too_many = select(sidecars.c.name).order_by(sidecars.c.seen.desc()).offset(MAX_MEMBERS)
    connection.execute(delete(sidecars).where(sidecars.c.name.in_(too_many)))


def _text(value: object) -> str:
    return msgspec.json.encode(value).decode()
