"""Every test of the ledger runs on SQLite and on a real PostgreSQL."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from controller.ledger.database import Database, postgresql_at, sqlite_at
from controller.ledger.store import Ledger
from tests.fakes.postgres import PostgresServer, postgres_server

OpenDatabase = Callable[[], Database]
OpenLedger = Callable[..., Ledger]


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def open_database(request: pytest.FixtureRequest, tmp_path: Path) -> OpenDatabase:
    """The same database, empty at first, as often as it is opened."""
    if request.param == "sqlite":
        return lambda: sqlite_at(tmp_path / "ledger.db")
    url = request.getfixturevalue("postgres").new_database()
    return lambda: postgresql_at(url)


@pytest.fixture
def open_ledger(open_database: OpenDatabase) -> Iterator[OpenLedger]:
    """Ledgers of one database, closed after the test."""
    ledgers: list[Ledger] = []

    def open_one(**changes: object) -> Ledger:
        ledgers.append(Ledger(open_database(), **changes))  # type: ignore[arg-type]
        return ledgers[-1]

    yield open_one
    for ledger in ledgers:
        ledger.close()


@pytest.fixture
def ledger(open_ledger: OpenLedger) -> Ledger:
    return open_ledger()
