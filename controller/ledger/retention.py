"""Old calls go, their sums stay, and their ids are known for longer than any sidecar could send them again."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from typing import Final

from sqlalchemy import Connection, Table, delete, select, tuple_, update

from controller import logs
from controller.errors import LedgerUnavailable
from controller.ledger.store import Ledger
from controller.ledger.tables import booked, calls, feedback, shadows

REMEMBER: Final = timedelta(days=35)
"""After its call is deleted an id is refused for so long: a controller may be away for a month, and a spool waits."""
SOME: Final = 1000
"""Deleted in one transaction: short enough that booking hardly waits."""

EVERY_SECONDS: Final = 3600.0
BREATH_SECONDS: Final = 0.05
"""Between two of these transactions: booking goes first."""


async def keep_calls(ledger: Ledger, days: int | None, now: Callable[[], float]) -> None:
    """Deletes what is older, every hour. Never returns by itself. `days` None: all is kept; `now`: since the epoch."""
    while True:
        with suppress(LedgerUnavailable):  # the ledger has said so; the next hour is soon enough
            await delete_all(ledger, days, datetime.fromtimestamp(now(), UTC).date())
        await asyncio.sleep(EVERY_SECONDS)


async def delete_all(ledger: Ledger, days: int | None, today: date) -> None:
    """All that may go today. Raises `LedgerUnavailable`: some of it stayed."""
    if days is not None:
        before = today - timedelta(days=days)
        deleted = await _all(ledger, lambda connection: delete_some(connection, before=before, today=today))
        await _all(ledger, lambda connection: delete_some(connection, before=before, today=today, table=shadows))
        await _all(ledger, lambda connection: delete_some_feedback(connection, before=before))
        if deleted:
            logs.event("ledger.deleted", calls=deleted, older_than=f"{days}d")
    await _all(ledger, lambda connection: forget_some(connection, today=today))


async def _all(ledger: Ledger, some: Callable[[Connection], int]) -> int:
    total = 0
    while done := await asyncio.to_thread(ledger.write, some):
        total += done
        await asyncio.sleep(BREATH_SECONDS)
    return total


def delete_some(connection: Connection, *, before: date, today: date, table: Table = calls) -> int:
    """The oldest calls, or shadows, of days before `before`; how many they were, at most `SOME`."""
    oldest = (
        select(table.c.id)
        .where(table.c.day < before.isoformat())
        .order_by(table.c.day, table.c.at, table.c.id)
        .limit(SOME)
        .with_for_update(skip_locked=True)  # of two controllers each takes its own
    )
    ids = connection.execute(oldest).scalars().all()
    if ids:
        until = (today + REMEMBER).isoformat()
        connection.execute(update(booked).where(booked.c.id.in_(ids)).values(until=until))
        connection.execute(delete(table).where(table.c.id.in_(ids)))
    return len(ids)


def delete_some_feedback(connection: Connection, *, before: date) -> int:
    """The oldest feedback, of known calls and of others; how much it was, at most `SOME`."""
    key = tuple_(feedback.c.call, feedback.c.source, feedback.c.kind)
    oldest = (
        select(feedback.c.call, feedback.c.source, feedback.c.kind)
        .where(feedback.c.day < before.isoformat())
        .order_by(feedback.c.day)
        .limit(SOME)
        .with_for_update(skip_locked=True)
    )
    rows = connection.execute(oldest).all()
    if rows:
        connection.execute(delete(feedback).where(key.in_([tuple(row) for row in rows])))
    return len(rows)


def forget_some(connection: Connection, *, today: date) -> int:
    """Ids that need not be known any more; how many they were, at most `SOME`."""
    past = select(booked.c.id).where(booked.c.until < today.isoformat()).limit(SOME).with_for_update(skip_locked=True)
    ids = connection.execute(past).scalars().all()
    if ids:
        connection.execute(delete(booked).where(booked.c.id.in_(ids)))
    return len(ids)
