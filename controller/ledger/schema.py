"""The tables, as numbered migrations. Each runs once, in its own transaction; a published one is never edited."""

import sqlite3
from pathlib import Path
from typing import Final

from controller.errors import CannotStart
from controller.ledger.money import add_functions

MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (
    (
        """
        CREATE TABLE bundles (
            digest TEXT PRIMARY KEY,
            revision TEXT NOT NULL,
            owners TEXT NOT NULL -- JSON: use case to owner, as this bundle says
        ) WITHOUT ROWID
        """,
        """
        CREATE TABLE calls (
            id TEXT PRIMARY KEY,
            at TEXT NOT NULL,
            day TEXT NOT NULL, -- UTC
            sidecar TEXT NOT NULL,
            use_case TEXT NOT NULL,
            team TEXT NOT NULL, -- owner of the use case in the bundle that decided; empty when unknown
            agent TEXT NOT NULL,
            caller TEXT NOT NULL,
            dialect TEXT NOT NULL,
            stream INTEGER NOT NULL,
            outcome TEXT NOT NULL,
            status INTEGER NOT NULL,
            model TEXT NOT NULL,
            provider TEXT NOT NULL,
            vendor TEXT NOT NULL,
            reason TEXT NOT NULL,
            bundle TEXT NOT NULL,
            revision TEXT NOT NULL,
            input_tokens INTEGER, -- NULL: unknown
            output_tokens INTEGER,
            cache_read_tokens INTEGER,
            cache_write_tokens INTEGER,
            reasoning_tokens INTEGER,
            cost_usd TEXT, -- NULL: unknown
            wasted_usd TEXT NOT NULL,
            estimated INTEGER NOT NULL,
            seconds REAL NOT NULL,
            first_token_seconds REAL,
            attempts TEXT NOT NULL, -- JSON
            dropped TEXT NOT NULL -- JSON
        ) WITHOUT ROWID
        """,
        "CREATE INDEX calls_by_time ON calls (at)",
        """
        CREATE TABLE daily (
            day TEXT NOT NULL,
            use_case TEXT NOT NULL,
            team TEXT NOT NULL,
            agent TEXT NOT NULL,
            caller TEXT NOT NULL,
            model TEXT NOT NULL,
            provider TEXT NOT NULL,
            vendor TEXT NOT NULL,
            reason TEXT NOT NULL,
            outcome TEXT NOT NULL,
            requests INTEGER NOT NULL,
            errors INTEGER NOT NULL,
            input_tokens INTEGER NOT NULL,
            output_tokens INTEGER NOT NULL,
            cache_read_tokens INTEGER NOT NULL,
            cache_write_tokens INTEGER NOT NULL,
            reasoning_tokens INTEGER NOT NULL,
            cost_usd TEXT NOT NULL,
            wasted_usd TEXT NOT NULL,
            unpriced_requests INTEGER NOT NULL,
            PRIMARY KEY (day, use_case, team, agent, caller, model, provider, vendor, reason, outcome)
        ) WITHOUT ROWID
        """,
    ),
)


def open_ledger(path: Path) -> sqlite3.Connection:
    """The writer's connection, with every table as this version knows it.

    A receipt promises that a batch survives a power cut: in WAL mode only `synchronous=FULL` syncs each commit
    (sqlite.org/pragma.html#pragma_synchronous).

    Raises:
        CannotStart: not a ledger, or one that a newer version has written.
    """
    try:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
        path.chmod(0o600)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        add_functions(connection)
        _migrate(connection, path)
    except (sqlite3.Error, OSError) as error:
        raise CannotStart(f"cannot open the ledger {path}: {error}") from error
    return connection


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("CREATE TABLE IF NOT EXISTS schema_migrations (version INTEGER PRIMARY KEY)")
    (done,) = connection.execute("SELECT coalesce(max(version), 0) FROM schema_migrations").fetchone()
    if done > len(MIGRATIONS):
        connection.close()
        raise CannotStart(f"{path} was written by a newer version (schema {done}; this one knows {len(MIGRATIONS)})")
    for version, statements in enumerate(MIGRATIONS[done:], start=done + 1):
        connection.execute("BEGIN IMMEDIATE")
        try:
            for statement in statements:
                connection.execute(statement)
            connection.execute("INSERT INTO schema_migrations (version) VALUES (?)", (version,))
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
