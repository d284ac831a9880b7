import asyncio
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal

from sqlalchemy import func, select

from controller.ledger.query import Question, ask
from controller.ledger.retention import REMEMBER, SOME, delete_all, delete_some, forget_some
from controller.ledger.store import Ledger
from controller.ledger.tables import booked, calls
from schemas.record import CallRecord

MakeRecord = Callable[..., CallRecord]
OpenLedger = Callable[..., Ledger]

TODAY = date(2026, 11, 25)


def at(day: date) -> str:
    return f"{day}T10:00:00.000Z"


def kept(ledger: Ledger) -> list[str]:
    return sorted(ledger.read(lambda connection: connection.execute(select(calls.c.id)).scalars().all()))


def summed(ledger: Ledger) -> tuple[int, Decimal]:
    rows = ledger.read(lambda connection: ask(connection, Question(("use_case",))))
    return sum(int(row["requests"]) for row in rows), sum((Decimal(row["cost_usd"]) for row in rows), Decimal(0))


async def test_old_calls_go_their_sums_stay_and_their_ids_are_known(ledger: Ledger, make_record: MakeRecord) -> None:
    records = [make_record(n, at=at(TODAY - timedelta(days=n))) for n in range(6)]
    await ledger.book(records)
    before = summed(ledger)
    await delete_all(ledger, 3, TODAY)
    assert kept(ledger) == ["call-0", "call-1", "call-2", "call-3"]
    again = await ledger.book([*records, make_record(9, at=at(TODAY - timedelta(days=9)))])
    assert (again.booked, again.known) == (1, 6)
    assert "call-4" not in kept(ledger)
    assert summed(ledger) == (before[0] + 1, before[1] + Decimal("0.0012"))


async def test_an_id_is_known_for_35_days_after_its_call_is_gone(ledger: Ledger, make_record: MakeRecord) -> None:
    old = make_record(1, at=at(TODAY - timedelta(days=10)))
    await ledger.book([old])
    await delete_all(ledger, 3, TODAY)
    await delete_all(ledger, 3, TODAY + REMEMBER)
    assert (await ledger.book([old])).known == 1
    await delete_all(ledger, 3, TODAY + REMEMBER + timedelta(days=1))
    assert ledger.read(lambda connection: connection.execute(select(func.count()).select_from(booked)).scalar()) == 0


async def test_with_no_bound_every_call_stays(ledger: Ledger, make_record: MakeRecord) -> None:
    await ledger.book([make_record(1, at=at(date(2001, 1, 1)))])
    await delete_all(ledger, None, TODAY)
    assert kept(ledger) == ["call-1"]


async def test_it_goes_in_small_steps_the_oldest_first(ledger: Ledger, make_record: MakeRecord) -> None:
    old = [make_record(n, at=at(TODAY - timedelta(days=10 + n // SOME))) for n in range(SOME + 1)]
    await ledger.book(old)
    for left in (SOME, 1, 0):
        done = ledger.write(lambda connection: delete_some(connection, before=TODAY, today=TODAY))
        assert done == left
        assert f"call-{SOME}" not in kept(ledger)
    later = TODAY + timedelta(days=36)
    assert [ledger.write(lambda connection: forget_some(connection, today=later)) for _ in range(3)] == [SOME, 1, 0]


async def test_two_controllers_delete_and_book_the_same_calls_at_once(
    open_ledger: OpenLedger, make_record: MakeRecord
) -> None:
    ledgers = [open_ledger() for _ in range(2)]
    records = [make_record(n, at=at(TODAY - timedelta(days=10))) for n in range(300)]
    await ledgers[0].book(records)

    async def book_again() -> int:
        return sum([(await ledgers[n % 2].book(records)).booked for n in range(6)])

    _, _, new = await asyncio.gather(*(delete_all(ledger, 3, TODAY) for ledger in ledgers), book_again())
    assert new == 0
    assert kept(ledgers[0]) == []
    assert summed(ledgers[0])[0] == 300
