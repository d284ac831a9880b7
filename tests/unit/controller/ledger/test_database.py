from pathlib import Path

import pytest

from controller.errors import CannotStart
from controller.ledger.database import database_at
from controller.ledger.store import Ledger


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("postgresql://user:hunter2@db.example.com:5433/ledger?sslmode=verify-full", "db.example.com/ledger"),
        ("postgres://user:hunter2@a.example.com,b.example.com/ledger", "a.example.com,b.example.com/ledger"),
        ("postgresql:///ledger?host=/run/postgresql", "/run/postgresql/ledger"),
    ],
)
def test_any_url_of_libpq_is_taken_and_its_password_is_never_shown(tmp_path: Path, url: str, place: str) -> None:
    database = database_at(url, tmp_path / "ledger.db")
    assert (database.name, database.place, database.is_shared) == ("postgresql", place, True)
    assert "hunter2" not in repr(database)
    database.close()


@pytest.mark.parametrize(
    "url",
    ["mysql://user:hunter2@db/ledger", "ledger.db", "postgresql://user:hunter2%zz@db/ledger", "postgresql://a/b?c=d"],
)
def test_what_is_no_such_url_is_refused_with_what_would_be_right(tmp_path: Path, url: str) -> None:
    with pytest.raises(CannotStart, match="postgresql://") as refused:
        database_at(url, tmp_path / "ledger.db")
    assert "hunter2" not in str(refused.value)


def test_without_a_url_the_ledger_is_the_file(tmp_path: Path) -> None:
    database = database_at(None, tmp_path / "ledger.db")
    assert (database.name, database.place, database.is_shared) == ("sqlite", str(tmp_path / "ledger.db"), False)
    database.close()


def test_a_database_that_is_away_is_named_without_its_password(tmp_path: Path) -> None:
    ledger = Ledger(database_at(f"postgresql://user:hunter2@/ledger?host={tmp_path}", tmp_path / "ledger.db"))
    try:
        assert not ledger.health.available
        assert str(tmp_path) in ledger.health.error
        assert "hunter2" not in ledger.health.error
    finally:
        ledger.close()


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CannotStart, match="nowhere"):
        Ledger(database_at(None, tmp_path / "nowhere" / "ledger.db"))
