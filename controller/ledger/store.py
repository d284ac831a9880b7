"""The ledger as the rest of the controller sees it: one thread books all that waits, in one durable transaction.

The database may be away, at the start as well: what needs it fails with `LedgerUnavailable`, and it is taken up again
when it is back.
"""

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final, Literal, TypeAlias, TypeVar

from sqlalchemy import Connection, Engine, exc

from controller import logs
from controller.errors import CannotStart, LedgerBusy, LedgerUnavailable
from controller.ledger.database import Database, is_away
from controller.ledger.feedback import keep_feedback
from controller.ledger.migrations import CannotMigrate, migrate
from controller.ledger.sharing import read_spend
from controller.ledger.spend import MONTH, SpendBook
from controller.ledger.writes import Booking, Origin, book, keep_origins
from schemas.bundle import Bundle, digest_of, encode_bundle
from schemas.record import CallRecord, Feedback, UsageReceipt
from schemas.spend import FleetSpend

MAX_WAITING: Final = 256
"""Batches in memory before a sidecar is told to come again."""
MAX_TOGETHER: Final = 64
"""Batches that share one sync of the disk."""
REFRESH_SECONDS: Final = 3.0
"""Between two looks at what other controllers have booked, and at a database that is away."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Batch:
    records: Sequence[CallRecord]
    feedback: Sequence[Feedback]
    receipt: "Future[UsageReceipt]"


_Word: TypeAlias = Literal["look", "close"]
"""Said to the writer: there is something to do beside batches; nothing comes after this."""


@dataclass(frozen=True, slots=True)
class Health:
    database: str
    available: bool
    error: str
    """Why it is not available; empty when it is."""
    waiting_batches: int


class Ledger:
    def __init__(
        self,
        database: Database,
        *,
        now: Callable[[], float] = time.time,
        live_sidecars: Callable[[], int] = lambda: 0,
        max_waiting: int = MAX_WAITING,
        refresh_seconds: float = REFRESH_SECONDS,
    ) -> None:
        """Opens or makes the ledger. A shared database that does not answer is waited for.

        Args:
            now: seconds since the epoch.
            live_sidecars: how many were heard of lately, by any controller; asked on any thread.

        Raises:
            CannotStart: not a ledger, or one that a newer version has written.
        """
        self.database = database
        self._now = now
        self._live_sidecars = live_sidecars
        self._refresh_seconds = refresh_seconds
        self._waiting: queue.Queue[_Batch | _Word] = queue.Queue(max_waiting)
        self._lock = threading.Lock()
        self._spend = SpendBook()
        self._origins: dict[str, Origin] = {}
        """Not yet written."""
        self._is_open = False
        self._spend_is_known = False
        self._trouble = ""
        self._open_or_wait()
        self._writer = threading.Thread(target=self._write, name="ledger")
        self._writer.start()

    async def book(self, records: Sequence[CallRecord], feedback: Sequence[Feedback] = ()) -> UsageReceipt:
        """Books each record once, by its id; of feedback the latest word of each source and kind. The receipt means: on
        disk, whatever happens to this machine's power.

        Raises:
            LedgerBusy: too many wait already.
            LedgerUnavailable: nothing of these records was booked, as far as can be known.
        """
        receipt: Future[UsageReceipt] = Future()
        try:
            self._waiting.put_nowait(_Batch(tuple(records), tuple(feedback), receipt))
        except queue.Full as error:
            raise LedgerBusy(f"{self._waiting.maxsize} batches wait to be booked") from error
        return await asyncio.shield(asyncio.wrap_future(receipt))

    def remember(self, bundle: Bundle) -> None:
        """Keeps whose a bundle's use cases and models are, so that a record that comes weeks later finds its team.

        It is written before any record that is booked from now on; while the database is away, it waits in memory.
        """
        origin = Origin(
            digest=digest_of(encode_bundle(bundle)),
            revision=bundle.revision,
            owners={name: use_case.owner for name, use_case in bundle.use_cases.items()},
            vendors={name: model.vendor for name, model in bundle.models.items()},
        )
        with self._lock:
            self._origins[origin.digest] = origin
        with suppress(queue.Full):  # the writer is awake
            self._waiting.put_nowait("look")

    def read(self, look: Callable[[Connection], T]) -> T:
        """What `look` finds, beside the writer, of what is committed. Raises `LedgerUnavailable`."""
        self._check_open()
        return self._within(self.database.reading, look)

    def write(self, work: Callable[[Connection], T]) -> T:
        """Does something beside booking, in one transaction, which is kept short.

        Raises:
            LedgerUnavailable: nothing is done, as far as can be known.
        """
        self._check_open()
        return self._within(self.database.writing, work)

    def _check_open(self) -> None:
        """A shared database that was away may have come back without its tables: the writer sees to them first."""
        if self.database.is_shared and not self._is_open:
            raise LedgerUnavailable(self._trouble or "the database was not opened yet")

    def spend(self) -> FleetSpend:
        """All that is booked by now. Raises `LedgerUnavailable`: it was never read."""
        if not self._spend_is_known:
            raise LedgerUnavailable(self._trouble or "the ledger was not read yet")
        now = datetime.fromtimestamp(self._now(), UTC)
        day = now.date().isoformat()
        with self._lock:
            self._spend.forget_before(day[MONTH])
            return FleetSpend(
                day=day,
                at=now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                use_cases=self._spend.use_cases_on(day),
                callers=self._spend.callers_on(day),
                live_sidecars=self._live_sidecars(),
            )

    @property
    def health(self) -> Health:
        available = self._is_open and not self._trouble
        return Health(self.database.name, available, self._trouble, self._waiting.qsize())

    def close(self) -> None:
        """Books what waits, then closes."""
        self._waiting.put("close")
        self._writer.join()
        self.database.close()

    def _today(self) -> date:
        return datetime.fromtimestamp(self._now(), UTC).date()

    def _open_or_wait(self) -> None:
        try:
            self._open()
        except CannotMigrate as error:
            self.database.close()
            raise CannotStart(f"the ledger {self.database.place} {error}") from error
        except (LedgerUnavailable, OSError) as error:
            if not self.database.is_shared:
                self.database.close()
                raise CannotStart(f"cannot open the ledger {self.database.place}: {error}") from error

    def _open(self) -> None:
        """Tables as this version knows them, and what was spent by now."""
        if not self._is_open:
            try:
                self._within(self.database.writing, migrate)
            except CannotMigrate as error:
                self._note(f"the ledger {error}")
                raise
            self._refresh()
            self._is_open = True

    def _refresh(self) -> None:
        """What other controllers have booked."""
        fresh = SpendBook()
        self._within(self.database.writing, lambda connection: read_spend(connection, fresh, self._today()))
        with self._lock:
            self._spend, self._spend_is_known = fresh, True

    def _within(self, engine: Engine, work: Callable[[Connection], T]) -> T:
        """One transaction. Raises `LedgerUnavailable`, or what `work` raised that is not the database's trouble."""
        try:
            with engine.begin() as connection:
                result = work(connection)
        except exc.SQLAlchemyError as error:
            if not is_away(error):
                raise
            raise self._unavailable(error) from error
        self._note("")
        return result

    def _unavailable(self, error: exc.SQLAlchemyError) -> LedgerUnavailable:
        cause = str(error.orig if isinstance(error, exc.DBAPIError) else error)
        self._note(" ".join(cause.split()) or type(error).__name__)
        return LedgerUnavailable(self._trouble)

    def _note(self, trouble: str) -> None:
        if trouble and not self._trouble:
            logs.warn("ledger.unavailable", database=self.database.place, error=trouble)
        if self._trouble and not trouble:
            logs.event("ledger.available", database=self.database.place)
        self._trouble = trouble

    def _write(self) -> None:
        refreshed = time.monotonic()
        while True:
            batches, is_last = self._next()
            if batches or self._origins:
                self._write_together(batches)
            if is_last:
                return
            if self.database.is_shared and time.monotonic() - refreshed >= self._refresh_seconds:
                self._look_around()
                refreshed = time.monotonic()

    def _next(self) -> tuple[list[_Batch], bool]:
        """Batches that wait, and whether nothing comes after them."""
        batches: list[_Batch] = []
        try:
            said = self._waiting.get(timeout=self._refresh_seconds if self.database.is_shared else None)
            while said != "close":
                if isinstance(said, _Batch):
                    batches.append(said)
                if len(batches) == MAX_TOGETHER:
                    return batches, False
                said = self._waiting.get_nowait()
        except queue.Empty:
            return batches, False
        return batches, True

    def _look_around(self) -> None:
        try:
            self._open()
            self._refresh()
        except LedgerUnavailable:
            self._is_open = False  # noted; what comes back may be an empty database
        except Exception as bug:
            self._note(str(bug) or type(bug).__name__)

    def _write_together(self, batches: Sequence[_Batch]) -> None:
        """One transaction for all. Where one of them cannot be written, each by itself: it takes no other along."""
        try:
            outcomes: Sequence[UsageReceipt | Exception] = self._book(batches)
        except LedgerUnavailable as error:
            outcomes = [error] * len(batches)
        except Exception as error:  # goes to whoever waits for it; the thread must live on
            outcomes = [error] if len(batches) == 1 else [self._book_alone(batch) for batch in batches]
        for batch, outcome in zip(batches, outcomes, strict=True):
            _answer(batch.receipt, outcome)

    def _book_alone(self, batch: _Batch) -> UsageReceipt | Exception:
        try:
            return self._book([batch])[0]
        except Exception as error:
            return error

    def _book(self, batches: Sequence[_Batch]) -> list[UsageReceipt]:
        self._open()
        with self._lock:
            origins = dict(self._origins)

        def write(connection: Connection) -> Booking:
            keep_origins(connection, origins.values())
            keep_feedback(connection, [said for batch in batches for said in batch.feedback])
            return book(connection, [batch.records for batch in batches])

        try:
            booking = self._within(self.database.writing, write)
        except LedgerUnavailable:
            self._is_open = False  # whether it was committed, and what comes back, is not known: read anew
            raise
        with self._lock:
            self._origins = {digest: origin for digest, origin in self._origins.items() if digest not in origins}
            self._spend.add(booking.sums)
        spend = self.spend()
        return [
            UsageReceipt(booked=booked, known=len(batch.records) - booked, spend=spend)
            for batch, booked in zip(batches, booking.booked, strict=True)
        ]


def _answer(receipt: "Future[UsageReceipt]", outcome: UsageReceipt | Exception) -> None:
    if not receipt.set_running_or_notify_cancel():
        return
    if isinstance(outcome, Exception):
        receipt.set_exception(outcome)
    else:
        receipt.set_result(outcome)
