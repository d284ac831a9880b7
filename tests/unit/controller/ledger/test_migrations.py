import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import inspect, text

from controller.errors import CannotStart
from controller.ledger.database import sqlite_at
from controller.ledger.migrations import STEPS
from controller.ledger.query import Question, ask
from controller.ledger.store import Ledger
from controller.ledger.tables import booked, bundles, calls, channel, daily, shelf, sidecars
from schemas.record import CallRecord
from tests.fakes.old_ledger import make_ledger_of_schema_1

MakeRecord = Callable[..., CallRecord]
OpenLedger = Callable[..., Ledger]

FIGURES = ("revision", "vendor", "model", "outcome", "requests", "errors", "input_tokens", "cost_usd", "wasted_usd",
           "unpriced_requests")  # fmt: skip


def figures(ledger: Ledger) -> list[tuple[str | int, ...]]:
    by = ("revision", "vendor", "model", "outcome")
    rows = ledger.read(lambda connection: ask(connection, Question(by)))
    return [tuple(row[name] for name in FIGURES) for row in rows]


async def test_a_ledger_of_schema_1_keeps_its_calls_and_gets_its_sums_anew(
    tmp_path: Path, make_record: MakeRecord
) -> None:
    path = tmp_path / "ledger.db"
    make_ledger_of_schema_1(path)
    ledger = Ledger(sqlite_at(path))
    try:
        assert figures(ledger) == [
            ("r1", "anthropic", "sonnet", "stream_cut", 0, 0, 0, "0.0000", "0.0300", 0),
            ("r1", "openai", "gpt", "ok", 1, 0, 100, "0.0012", "0.0000", 0),
            ("r2", "", "", "chain_spent", 1, 1, 0, "0.0000", "0.0000", 0),
            ("r2", "anthropic", "sonnet", "ok", 1, 0, 100, "0.0000", "0.0000", 1),
        ]
        (team,) = {row["team"] for row in ledger.read(lambda connection: ask(connection, Question(("team",))))}
        assert team == "support-platform"
        again = await ledger.book([make_record(id="call-1"), make_record(id="call-9", revision="r3")])
        assert (again.booked, again.known) == (1, 1)
    finally:
        ledger.close()


def test_the_statements_are_written_over_the_tables_that_are_there(ledger: Ledger) -> None:
    found = inspect(ledger.database.reading)
    for table in (bundles, calls, daily, booked, channel, shelf, sidecars):
        assert {column["name"] for column in found.get_columns(table.name)} == set(table.columns.keys())


def test_a_ledger_of_a_newer_version_is_left_alone(open_ledger: OpenLedger, ledger: Ledger) -> None:
    newer = {"version": len(STEPS) + 1}
    ledger.write(lambda connection: connection.execute(text("INSERT INTO schema_migrations VALUES (:version)"), newer))
    with pytest.raises(CannotStart, match="newer version"):
        open_ledger()


def test_a_step_that_fails_leaves_the_old_ledger_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    make_ledger_of_schema_1(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE calls SET wasted_usd = 'much' WHERE id = 'call-1'")
    before = dump(path)
    with pytest.raises(CannotStart, match="cannot be read, call-1"):
        Ledger(sqlite_at(path))
    assert dump(path) == before


def dump(path: Path) -> Mapping[str, object]:
    with closing(sqlite3.connect(path)) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema ORDER BY name")]
        daily = connection.execute("SELECT use_case, model, cost_usd FROM daily").fetchall()
        version = connection.execute("SELECT max(version) FROM schema_migrations").fetchone()
    return {"names": names, "daily": [(use_case, model, Decimal(usd)) for use_case, model, usd in daily], "is": version}
