"""The state of a fleet with several controllers: one row of their database, and the bundles that it names.

Whoever changes it holds the lock for one short transaction, and decides on what the row holds then.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final, Protocol, TypeVar

from sqlalchemy import Connection, and_, case, delete, func, null, select

from controller import logs
from controller.errors import LedgerUnavailable
from controller.kept.state import State, Step, Unreadable, parse_state, whole_bundle
from controller.ledger.database import insert_into
from controller.ledger.tables import channel, shelf
from schemas.bundle import BundleRefused

FLEET: Final = "fleet"
"""The row's name: a database has one fleet."""
LOCK: Final = 0x706F696E7474
"""PostgreSQL's advisory lock of this number: it is free again when its transaction ends, or its controller does."""

T = TypeVar("T")


class Books(Protocol):
    """`controller.ledger.store.Ledger`. Both raise `LedgerUnavailable`."""

    def read(self, look: Callable[[Connection], T]) -> T: ...
    def write(self, work: Callable[[Connection], T]) -> T: ...


class SharedState:
    is_shared = True

    def __init__(self, books: Books, *, now: Callable[[], float]) -> None:
        """`now`: seconds since the epoch, of which a pointer's epoch is made."""
        self._books = books
        self._now = now

    def load(self, known: State) -> State:
        return self._books.read(lambda connection: _newest(connection, known))

    def change(self, known: State, step: Step) -> State:
        return self._books.write(lambda connection: self._change(connection, known, step))

    def _change(self, connection: Connection, known: State, step: Step) -> State:
        if connection.dialect.name == "postgresql":
            connection.execute(select(func.pg_advisory_xact_lock(LOCK)))
        before = _newest(connection, known)
        if before.pointer is None:
            before = replace(known, epoch=max(int(self._now()), known.epoch + 1), pointer=None, signed=None)
            if known.pointer is not None:
                logs.warn("state.lost", epoch=before.epoch, revision=known.pointer.revision)
        after = step(before)
        if after is before:
            return before
        after = replace(after, version=before.version + 1)
        _write(connection, after)
        return after


def _newest(connection: Connection, known: State) -> State:
    is_known = and_(channel.c.epoch == known.epoch, channel.c.version == known.version)
    document = case((is_known, null()), else_=channel.c.document)
    row = connection.execute(
        select(channel.c.epoch, channel.c.version, document).where(channel.c.name == FLEET)
    ).first()
    if row is None or (row[0], row[1]) < (known.epoch, known.version):
        return State()
    if row[2] is None:
        return known
    bundles = _Bundles(connection, known.bundles)
    try:
        return parse_state(row[2], bundles.get, version=row[1])
    except Unreadable as error:
        raise LedgerUnavailable(f"what the fleet is to run cannot be read: {error}") from error


class _Bundles:
    """Those at hand are not fetched again."""

    def __init__(self, connection: Connection, at_hand: Mapping[str, bytes]) -> None:
        self._connection = connection
        self._at_hand = at_hand

    def get(self, digest: str) -> bytes:
        if digest in self._at_hand:
            return self._at_hand[digest]
        body = self._connection.execute(select(shelf.c.body).where(shelf.c.digest == digest)).scalar()
        if body is None:
            raise BundleRefused(f"{digest} is not kept")
        return whole_bundle(digest, body.encode())


def _write(connection: Connection, state: State) -> None:
    on_it = set(connection.execute(select(shelf.c.digest)).scalars())
    new = sorted(state.bundles.keys() - on_it)
    if new:
        rows = [{"digest": digest, "body": state.bundles[digest].decode()} for digest in new]
        connection.execute(shelf.insert(), rows)
    insert = insert_into(channel, connection)
    values = {name: insert.excluded[name] for name in ("epoch", "version", "document")}
    connection.execute(
        insert.on_conflict_do_update(index_elements=["name"], set_=values),
        {"name": FLEET, "epoch": state.epoch, "version": state.version, "document": state.saved().decode()},
    )
    connection.execute(delete(shelf).where(shelf.c.digest.not_in(state.bundles)))
