"""Where the books are kept: a file of SQLite beside the controller, or a PostgreSQL that several controllers share."""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Engine, Table, create_engine, event, exc
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.pool import QueuePool

from controller.errors import CannotStart
from controller.ledger.money import add_functions

if TYPE_CHECKING:
    import psycopg

BUSY_SECONDS: Final = 10
"""Another process, such as a backup, may hold SQLite's file for so long."""
OLDEST_SQLITE: Final = (3, 35)
"""RETURNING."""
CONNECTIONS: Final = 5
POSTGRESQL_SCHEMES: Final = ("postgresql://", "postgres://")
PATIENCE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "connect_timeout": "5",
        # Milliseconds: a server that has vanished without a word is noticed before a sidecar stops waiting.
        "tcp_user_timeout": "8000",
        "keepalives_idle": "10",
        "keepalives_interval": "3",
        "keepalives_count": "3",
        "application_name": "pointsman",
    }
)
"""libpq's own parameters, where the URL does not set them (postgresql.org/docs/current/libpq-connect.html)."""
ONE_CONTROLLER_NEVER_STOPS_ANOTHER: Final = (
    "SET lock_timeout = '8s'; SET idle_in_transaction_session_timeout = '30s'; SET synchronous_commit = on"
)


@dataclass(frozen=True, slots=True)
class Database:
    name: str
    """`sqlite` or `postgresql`."""
    place: str
    """For people: a path, or host and database; never a password."""
    writing: Engine
    reading: Engine
    is_shared: bool
    """Other controllers may book into it."""

    def close(self) -> None:
        self.writing.dispose()
        self.reading.dispose()


def insert_into(table: Table, connection: Connection) -> sqlite.Insert | postgresql.Insert:
    """Both have ON CONFLICT, in the same words."""
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)


def is_away(error: exc.SQLAlchemyError) -> bool:
    """The database's trouble, not that of what was to be written: the same statement may succeed later."""
    return not isinstance(error, exc.DataError | exc.IntegrityError)


def database_at(url: str | None, default: Path) -> Database:
    """The database that `--database-url` names; without one, SQLite in the file `default`. Connects to nothing yet.

    Raises:
        CannotStart: not such a URL, or what it needs is not installed.
    """
    return sqlite_at(default) if url is None else postgresql_at(url)


def sqlite_at(path: Path) -> Database:
    """A receipt promises that a batch survives a power cut: in WAL mode only `synchronous=FULL` syncs each commit
    (sqlite.org/pragma.html#pragma_synchronous).

    Raises:
        CannotStart: this Python's SQLite is too old.
    """
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise CannotStart(f"the ledger needs SQLite 3.35 or newer; this Python has {sqlite3.sqlite_version}")

    def write() -> sqlite3.Connection:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=BUSY_SECONDS)
        try:
            path.chmod(0o600)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            add_functions(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def read() -> sqlite3.Connection:
        address = f"{path.absolute().as_uri()}?mode=ro"
        connection = sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False, timeout=10)
        add_functions(connection)
        return connection

    # One connection writes: SQLite has one writer at a time, and who waits for it should wait in order.
    writing = create_engine("sqlite://", creator=write, pool_size=1, max_overflow=0, poolclass=QueuePool)
    reading = create_engine("sqlite://", creator=read, pool_size=CONNECTIONS, poolclass=QueuePool)

    @event.listens_for(writing, "begin")
    def begin_to_write(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    @event.listens_for(reading, "begin")
    def begin_to_read(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    return Database("sqlite", str(path), writing, reading, is_shared=False)


def postgresql_at(url: str) -> Database:
    """Whatever libpq takes as a connection URI: several hosts, a socket's folder, certificates.

    Raises:
        CannotStart: no such URI, or no driver.
    """
    if not url.startswith(POSTGRESQL_SCHEMES):
        raise CannotStart("--database-url must begin with postgresql://; without it the ledger is a file in --state")
    try:
        import psycopg
        from psycopg.conninfo import conninfo_to_dict
    except ImportError as error:
        raise CannotStart("--database-url needs PostgreSQL's driver: pip install 'pointsman[postgres]'") from error
    try:
        given = conninfo_to_dict(url)
    except psycopg.Error:
        # Its own words may quote a part of the password.
        raise CannotStart(
            "--database-url is no URL that PostgreSQL reads; right is postgresql://user:password@host/database, "
            "with special characters percent-encoded"
        ) from None
    options: dict[str, Any] = {**PATIENCE, **given}

    def connect() -> "psycopg.Connection[Any]":
        connection: psycopg.Connection[Any] = psycopg.connect("", **options)
        connection.execute(ONE_CONTROLLER_NEVER_STOPS_ANOTHER)
        connection.commit()
        return connection

    engine = create_engine("postgresql+psycopg://", creator=connect, pool_size=CONNECTIONS, pool_pre_ping=True)
    place = f"{given.get('host') or 'local'}/{given.get('dbname') or given.get('user') or ''}"
    return Database("postgresql", place, engine, engine, is_shared=True)
