"""What one transaction of the writer puts down: each call once, and what it adds to the sums of its day.

Rows are locked in one order, that of their keys, in every transaction: two controllers that book the same batches wait
for each other, and never in a circle.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, TypeAlias

import msgspec
from sqlalchemy import Connection, select

from controller.ledger.booking import Entry, Key, day_of, plain, postings_of, quality_of
from controller.ledger.database import insert_into
from controller.ledger.money import usd_add
from controller.ledger.tables import COUNTS, DAILY_AMOUNTS, TOKENS, booked, bundles, calls, daily, shadows
from schemas.record import CallRecord, Mirrored

MANY: Final = 1000
"""Ids in one statement: SQLite takes 32,766 parameters."""

Values: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Origin:
    """What a bundle says of the calls that it decided."""

    digest: str
    revision: str
    owners: Mapping[str, str]
    """By use case."""
    vendors: Mapping[str, str]
    """By model."""


@dataclass(slots=True)
class Booking:
    """What became of batches that were booked together."""

    booked: list[int]
    """Records that were new, for each batch."""
    sums: dict[Key, Entry] = field(default_factory=dict)


def keep_origins(connection: Connection, origins: Iterable[Origin]) -> None:
    insert = insert_into(bundles, connection)
    statement = insert.on_conflict_do_update(index_elements=["digest"], set_={"vendors": insert.excluded.vendors})
    for origin in sorted(origins, key=lambda origin: origin.digest):
        connection.execute(
            statement,
            {
                "digest": origin.digest,
                "revision": plain(origin.revision),
                "owners": msgspec.json.encode(origin.owners).decode(),
                "vendors": msgspec.json.encode(origin.vendors).decode(),
            },
        )


def book(connection: Connection, batches: Sequence[Sequence[CallRecord]]) -> Booking:
    """Each record once, by its id; where two have the same one, the first."""
    first: dict[str, tuple[int, CallRecord]] = {}
    for number, batch in enumerate(batches):
        for record in batch:
            first.setdefault(plain(record.id), (number, record))
    origins = _origins(connection, {record.bundle for _, record in first.values()})
    rows = [_row_of(call_id, first[call_id][1], origins) for call_id in sorted(first)]
    booking = Booking([0] * len(batches))
    for row in _new(connection, rows):
        number, record = first[row["id"]]
        booking.booked[number] += 1
        vendors = origins[record.bundle].vendors
        for key, entry in postings_of(record, team=row["team"], vendors=vendors):
            booking.sums[key] = booking.sums[key] + entry if key in booking.sums else entry
    _add_to_days(connection, booking.sums)
    return booking


def _new(connection: Connection, rows: Sequence[Values]) -> list[Values]:
    """Those that were not in the books, and are now. Their ids decide: they are known for longer than their calls."""
    if not rows:
        return []
    insert = insert_into(booked, connection).on_conflict_do_nothing(index_elements=["id"]).returning(booked.c.id)
    inserted = set(connection.execute(insert, [{"id": row["id"]} for row in rows]).scalars())
    new = [row for row in rows if row["id"] in inserted]
    for table, own in ((shadows, True), (calls, False)):
        if of_table := [row for row in new if ("live_model" in row) is own]:
            connection.execute(table.insert(), of_table)
    return new


def _add_to_days(connection: Connection, sums: Mapping[Key, Entry]) -> None:
    if not sums:
        return
    insert = insert_into(daily, connection)
    added: Values = {name: daily.c[name] + insert.excluded[name] for name in COUNTS}
    added |= {name: usd_add(daily.c[name], insert.excluded[name]) for name in DAILY_AMOUNTS}
    rows = [{"key": key.digest(), **key._asdict(), **msgspec.structs.asdict(entry)} for key, entry in sums.items()]
    rows.sort(key=lambda row: str(row["key"]))
    connection.execute(insert.on_conflict_do_update(index_elements=["key"], set_=added), rows)


def _origins(connection: Connection, digests: set[str]) -> Mapping[str, Origin]:
    origins = {digest: Origin(digest, "", {}, {}) for digest in digests}
    for ids in _by_many(plain(digest) for digest in digests):
        for digest, revision, owners, vendors in connection.execute(select(bundles).where(bundles.c.digest.in_(ids))):
            origins[digest] = Origin(digest, revision, _names(owners), _names(vendors))
    return origins


def _names(json: str) -> dict[str, str]:
    return msgspec.json.decode(json, type=dict[str, str])


def _by_many(ids: Iterable[str]) -> Iterable[list[str]]:
    rest = iter(ids)
    while some := list(islice(rest, MANY)):
        yield some


def _row_of(call_id: str, record: CallRecord, origins: Mapping[str, Origin]) -> Values:
    if record.shadow is not None:
        return _shadow_row_of(call_id, record, record.shadow, origins)
    usage = record.usage
    row: Values = {
        name: plain(getattr(record, name))
        for name in (
            "at", "sidecar", "use_case", "agent", "caller", "dialect", "outcome", "model", "provider", "vendor",
            "reason", "bundle", "revision", "conversation", "arm", "steering",
        )
    }  # fmt: skip
    row |= {name: None if usage is None else getattr(usage, name) for name in TOKENS}
    return row | {
        "id": call_id,
        "day": day_of(record.at),
        "team": origins[record.bundle].owners.get(record.use_case, ""),
        "stream": int(record.stream),
        "status": record.status,
        "cost_usd": record.cost_usd,
        "wasted_usd": record.wasted_usd,
        "estimated": int(record.estimated),
        "seconds": record.seconds,
        "first_token_seconds": record.first_token_seconds,
        "attempts": msgspec.json.encode(record.attempts).decode(),
        "dropped": msgspec.json.encode(record.dropped).decode(),
        "quality": plain(quality_of(record)),
        "propensity": record.propensity,
        "skipped": msgspec.json.encode(record.skipped).decode(),
        "facts": None if record.facts is None else msgspec.json.encode(record.facts).decode(),
    }


def _shadow_row_of(call_id: str, record: CallRecord, live: Mirrored, origins: Mapping[str, Origin]) -> Values:
    usage = record.usage
    row: Values = {
        name: plain(getattr(record, name))
        for name in ("at", "sidecar", "use_case", "bundle", "revision", "outcome", "model", "provider", "vendor")
    }
    row |= {name: None if usage is None else getattr(usage, name) for name in TOKENS}
    return row | {
        "id": call_id,
        "call": plain(live.call),
        "day": day_of(record.at),
        "team": origins[record.bundle].owners.get(record.use_case, ""),
        "live_model": plain(live.model),
        "live_provider": plain(live.provider),
        "cost_usd": record.cost_usd,
        "wasted_usd": record.wasted_usd,
        "live_cost_usd": live.cost_usd,
        "estimated": int(record.estimated),
        "seconds": record.seconds,
        "live_seconds": live.seconds,
        "quality": plain(msgspec.json.encode(record.quality).decode()),
        "live_quality": plain(msgspec.json.encode(live.quality).decode()),
        "passed": _passed(record.quality),
        "live_passed": _passed(live.quality),
        "dropped": msgspec.json.encode(record.dropped).decode(),
    }


def _passed(quality: Mapping[str, str]) -> int | None:
    return int(all(verdict == "pass" for verdict in quality.values())) if quality else None
