"""Writing the ledger: one thread with one connection, which books everything that waits in one durable transaction."""

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import msgspec

from controller.errors import LedgerBusy
from controller.ledger.booking import Entry, day_of, entry_of
from controller.ledger.money import stored
from controller.ledger.schema import open_ledger
from schemas.bundle import Bundle, digest_of, encode_bundle
from schemas.record import CallRecord, UsageReceipt

MAX_WAITING: Final = 256
"""Batches in memory before a sidecar is told to come again."""
MAX_TOGETHER: Final = 64
"""Batches that share one sync of the disk."""

_Key: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Batch:
    records: Sequence[CallRecord]
    receipt: "Future[UsageReceipt]"


@dataclass(frozen=True, slots=True)
class _Owners:
    digest: str
    revision: str
    owners: Mapping[str, str]
    done: "Future[None]"


_Job: TypeAlias = _Batch | _Owners


class Ledger:
    def __init__(self, path: Path, *, max_waiting: int = MAX_WAITING) -> None:
        """Opens or makes the ledger. Raises `CannotStart` where that fails."""
        self.path = path
        self._connection = open_ledger(path)
        self._jobs: queue.Queue[_Job | None] = queue.Queue(max_waiting)
        self._writer = threading.Thread(target=self._write, name="ledger")
        self._writer.start()

    async def book(self, records: Sequence[CallRecord]) -> UsageReceipt:
        """Books each record once, by its id. The receipt means: on disk, whatever happens to this machine's power.

        Raises:
            LedgerBusy: too many wait already.
            sqlite3.Error: nothing of these records was booked.
        """
        receipt: Future[UsageReceipt] = Future()
        self._give(_Batch(tuple(records), receipt))
        return await asyncio.shield(asyncio.wrap_future(receipt))

    async def remember_owners(self, bundle: Bundle) -> None:
        """Keeps who owns which use case in a bundle, so that a record that comes weeks later still finds its team."""
        owners = {name: use_case.owner for name, use_case in bundle.use_cases.items()}
        done: Future[None] = Future()
        self._give(_Owners(digest_of(encode_bundle(bundle)), bundle.revision, owners, done))
        await asyncio.shield(asyncio.wrap_future(done))

    def close(self) -> None:
        """Books what waits, then closes."""
        self._jobs.put(None)
        self._writer.join()
        self._connection.close()

    def _give(self, job: _Job) -> None:
        try:
            self._jobs.put_nowait(job)
        except queue.Full as error:
            raise LedgerBusy(f"{self._jobs.maxsize} batches wait to be booked") from error

    def _write(self) -> None:
        while (job := self._jobs.get()) is not None:
            jobs = [job]
            is_last = False
            while len(jobs) < MAX_TOGETHER and not self._jobs.empty() and not is_last:
                more = self._jobs.get()
                if more is None:
                    is_last = True
                else:
                    jobs.append(more)
            self._write_together(jobs)
            if is_last:
                return

    def _write_together(self, jobs: Sequence[_Job]) -> None:
        """One transaction, a savepoint for each job: one that fails takes no other along; a failed commit takes all."""
        outcomes: list[UsageReceipt | Exception | None] = []
        try:
            with _transaction(self._connection):
                for job in jobs:
                    try:
                        with _savepoint(self._connection):
                            outcomes.append(self._do(job))
                    except Exception as error:  # goes to whoever waits for this job; the thread must live on
                        outcomes.append(error)
        except sqlite3.Error as error:
            outcomes = [error] * len(jobs)
        for job, outcome in zip(jobs, outcomes, strict=True):
            _answer(job, outcome)

    def _do(self, job: _Job) -> UsageReceipt | None:
        match job:
            case _Batch(records=records):
                return _book(self._connection, records)
            case _Owners():
                self._connection.execute(
                    "INSERT INTO bundles (digest, revision, owners) VALUES (?, ?, ?) ON CONFLICT (digest) DO NOTHING",
                    (job.digest, job.revision, msgspec.json.encode(job.owners).decode()),
                )
                return None


def _answer(job: _Job, outcome: UsageReceipt | Exception | None) -> None:
    future: Future[UsageReceipt] | Future[None] = job.receipt if isinstance(job, _Batch) else job.done
    if not future.set_running_or_notify_cancel():
        return
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)  # type: ignore[arg-type]  # `_do` gives each job its own kind of answer


def _book(connection: sqlite3.Connection, records: Sequence[CallRecord]) -> UsageReceipt:
    sums: dict[_Key, Entry] = {}
    owners: dict[str, Mapping[str, str]] = {}
    booked = 0
    for record in records:
        if record.bundle not in owners:
            owners[record.bundle] = _owners_in(connection, record.bundle)
        row = _row_of(record, team=owners[record.bundle].get(record.use_case, ""))
        if connection.execute(_INSERT_CALL, row).rowcount != 1:
            continue
        booked += 1
        key = tuple(str(row[name]) for name in _DAILY_KEY)
        entry = entry_of(record)
        sums[key] = sums[key] + entry if key in sums else entry
    connection.executemany(_ADD_TO_DAY, [_day_row(key, entry) for key, entry in sums.items()])
    return UsageReceipt(booked=booked, known=len(records) - booked)


def _owners_in(connection: sqlite3.Connection, digest: str) -> Mapping[str, str]:
    found = connection.execute("SELECT owners FROM bundles WHERE digest = ?", (digest,)).fetchone()
    return {} if found is None else msgspec.json.decode(found[0], type=dict[str, str])


def _row_of(record: CallRecord, *, team: str) -> dict[str, str | int | float | None]:
    usage = record.usage
    return {
        "id": record.id,
        "at": record.at,
        "day": day_of(record.at),
        "sidecar": record.sidecar,
        "use_case": record.use_case,
        "team": team,
        "agent": record.agent,
        "caller": record.caller,
        "dialect": record.dialect,
        "stream": int(record.stream),
        "outcome": record.outcome,
        "status": record.status,
        "model": record.model,
        "provider": record.provider,
        "vendor": record.vendor,
        "reason": record.reason,
        "bundle": record.bundle,
        "revision": record.revision,
        "input_tokens": None if usage is None else usage.input_tokens,
        "output_tokens": None if usage is None else usage.output_tokens,
        "cache_read_tokens": None if usage is None else usage.cache_read_tokens,
        "cache_write_tokens": None if usage is None else usage.cache_write_tokens,
        "reasoning_tokens": None if usage is None else usage.reasoning_tokens,
        "cost_usd": None if record.cost_usd is None else stored(record.cost_usd),
        "wasted_usd": stored(record.wasted_usd),
        "estimated": int(record.estimated),
        "seconds": record.seconds,
        "first_token_seconds": record.first_token_seconds,
        "attempts": msgspec.json.encode(record.attempts).decode(),
        "dropped": msgspec.json.encode(record.dropped).decode(),
    }


def _day_row(key: _Key, entry: Entry) -> dict[str, str | int]:
    amounts = {"cost_usd": stored(entry.cost_usd), "wasted_usd": stored(entry.wasted_usd)}
    return dict(zip(_DAILY_KEY, key, strict=True)) | {name: getattr(entry, name) for name in _COUNTS} | amounts


_CALL_COLUMNS: Final = (
    "id", "at", "day", "sidecar", "use_case", "team", "agent", "caller", "dialect", "stream", "outcome", "status",
    "model", "provider", "vendor", "reason", "bundle", "revision", "input_tokens", "output_tokens", "cache_read_tokens",
    "cache_write_tokens", "reasoning_tokens", "cost_usd", "wasted_usd", "estimated", "seconds", "first_token_seconds",
    "attempts", "dropped",
)  # fmt: skip
_DAILY_KEY: Final = (
    "day", "use_case", "team", "agent", "caller", "model", "provider", "vendor", "reason", "outcome",
)  # fmt: skip
_COUNTS: Final = (
    "requests", "errors", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens",
    "reasoning_tokens", "unpriced_requests",
)  # fmt: skip
_AMOUNTS: Final = ("cost_usd", "wasted_usd")


def _insert(table: str, columns: Sequence[str]) -> str:
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join(f':{name}' for name in columns)})"


_INSERT_CALL: Final = f"{_insert('calls', _CALL_COLUMNS)} ON CONFLICT (id) DO NOTHING"
_ADD_TO_DAY: Final = (
    f"{_insert('daily', (*_DAILY_KEY, *_COUNTS, *_AMOUNTS))} ON CONFLICT ({', '.join(_DAILY_KEY)}) DO UPDATE SET "
    + ", ".join(
        [f"{name} = {name} + excluded.{name}" for name in _COUNTS]
        + [f"{name} = usd_add({name}, excluded.{name})" for name in _AMOUNTS]
    )
)


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextmanager
def _savepoint(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("SAVEPOINT job")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK TO job")
        connection.execute("RELEASE job")
        raise
    connection.execute("RELEASE job")
