"""One use case day by day, as the books have it; in both databases."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import Connection

from controller.ledger.database import sqlite_at
from controller.ledger.store import Ledger
from controller.ledger.traffic import Speed, Traffic, traffic_of
from schemas.record import CallRecord

MakeRecord = Callable[..., CallRecord]
FIRST, LAST = date(2026, 11, 1), date(2026, 11, 3)


def traffic(ledger: Ledger) -> Traffic:
    return ledger.read(lambda connection: traffic_of(connection, "support", FIRST, LAST))


async def test_sums_hold_every_call_of_the_days_asked_for_and_no_other(ledger: Ledger, make_record: MakeRecord) -> None:
    days = ("2026-10-31", "2026-11-01", "2026-11-03", "2026-11-04")
    await ledger.book([
        *(make_record(n, at=f"{day}T12:00:00Z") for n, day in enumerate(days)),
        make_record(10, at="2026-11-01T12:00:00Z", use_case="other"),
        make_record(11, at="2026-11-01T13:00:00Z", cost_usd=None, wasted_usd=Decimal("0.0000000001")),
        make_record(12, at="2026-11-01T13:00:00Z", model="b", reason="fallback"),
    ])  # fmt: skip
    found = {(one.day, one.model, one.reason): one for one in traffic(ledger).sums}
    assert set(found) == {
        ("2026-11-01", "m", "primary"), ("2026-11-01", "b", "fallback"), ("2026-11-03", "m", "primary")
    }  # fmt: skip
    first = found["2026-11-01", "m", "primary"]
    assert (first.calls, first.unpriced) == (2, 1)
    assert (first.cost_usd, first.wasted_usd) == (Decimal("0.0012"), Decimal("0.0000000001"))


@pytest.mark.parametrize(("seconds", "speed"), [
    ([3.0], Speed(1, 3.0, 3.0)),
    ([2.0, 1.0], Speed(2, 2.0, 2.0)),
    ([float(n) for n in range(100, 0, -1)], Speed(100, 51.0, 96.0)),
])  # fmt: skip
async def test_half_and_nineteen_in_twenty_of_the_answers_took_at_most(
    ledger: Ledger, make_record: MakeRecord, seconds: list[float], speed: Speed
) -> None:
    at = "2026-11-01T12:00:00Z"
    answered = [make_record(n, at=at, seconds=value) for n, value in enumerate(seconds)]
    await ledger.book([*answered, make_record(1000, at=at, seconds=999.0, outcome="deadline")])
    assert traffic(ledger).speeds == {"2026-11-01": speed}


def test_sqlite_never_reads_the_calls_themselves(tmp_path: Path) -> None:
    """A million calls are a matter of one index; the figures of their money are in the sums."""
    ledger = Ledger(sqlite_at(tmp_path / "ledger.db"))
    asked: list[str] = []

    def look(connection: Connection) -> None:
        raw = connection.connection.dbapi_connection
        raw.set_trace_callback(asked.append)  # type: ignore[union-attr]
        traffic_of(connection, "support", FIRST, LAST)
        raw.set_trace_callback(None)  # type: ignore[union-attr]
        plans = [
            row[3]
            for statement in asked
            if statement.lower().startswith("select")
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}")
        ]
        searches = [plan for plan in plans if "SEARCH" in plan or "SCAN" in plan]
        assert len(searches) == 2
        assert "SEARCH daily USING INDEX daily_by_use_case" in searches[0]
        assert "SEARCH calls USING COVERING INDEX calls_by_speed" in searches[1]

    ledger.read(look)
    ledger.close()
