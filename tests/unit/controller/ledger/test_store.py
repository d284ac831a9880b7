import asyncio
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.errors import CannotStart, LedgerBusy
from controller.ledger.query import Question, ask
from controller.ledger.schema import MIGRATIONS, open_ledger
from controller.ledger.store import Ledger
from schemas.bundle import Bundle, digest_of, encode_bundle
from schemas.record import AttemptRecord, CallRecord, Usage, UsageReceipt

MakeBundle = Callable[..., Bundle]
MakeRecord = Callable[..., CallRecord]


def rows(ledger: Ledger, *by: str) -> Sequence[Mapping[str, str | int]]:
    return ask(ledger.path, Question(by=by))


async def test_a_record_is_booked_once_however_often_it_is_sent(ledger: Ledger, make_record: MakeRecord) -> None:
    records = [make_record(n) for n in range(3)]
    assert await ledger.book(records[:2]) == UsageReceipt(booked=2, known=0)
    assert await ledger.book(records) == UsageReceipt(booked=1, known=2)
    assert await ledger.book([records[0], records[0]]) == UsageReceipt(booked=0, known=2)
    (row,) = rows(ledger, "use_case")
    assert row == {
        "use_case": "support",
        "requests": 3,
        "errors": 0,
        "input_tokens": 300,
        "output_tokens": 60,
        "cache_read_tokens": 120,
        "cache_write_tokens": 0,
        "reasoning_tokens": 0,
        "cost_usd": "0.0036",
        "wasted_usd": "0.0000",
        "unpriced_requests": 0,
    }


async def test_twice_in_one_batch_is_once_in_the_books(ledger: Ledger, make_record: MakeRecord) -> None:
    assert await ledger.book([make_record(1), make_record(1)]) == UsageReceipt(booked=1, known=1)
    assert rows(ledger, "use_case")[0]["requests"] == 1


async def test_an_empty_batch_is_booked(ledger: Ledger) -> None:
    assert await ledger.book([]) == UsageReceipt(booked=0, known=0)


async def test_an_unpriced_call_is_counted_and_adds_no_cost(ledger: Ledger, make_record: MakeRecord) -> None:
    await ledger.book([make_record(1), make_record(2, cost_usd=None), make_record(3, outcome="throttled")])
    (row,) = rows(ledger, "model")
    assert (row["requests"], row["errors"], row["unpriced_requests"], row["cost_usd"]) == (3, 1, 1, "0.0024")


async def test_the_team_is_the_owner_as_of_the_bundle_that_decided(
    ledger: Ledger, make_bundle: MakeBundle, make_record: MakeRecord
) -> None:
    before, after = make_bundle("r1", owner="red"), make_bundle("r2", owner="blue")
    await ledger.remember_owners(before)
    await ledger.remember_owners(after)
    await ledger.remember_owners(before)
    digests = [digest_of(encode_bundle(bundle)) for bundle in (before, after)]
    await ledger.book(
        [
            make_record(1, bundle=digests[0]),
            make_record(2, bundle=digests[1]),
            make_record(3, bundle=""),
            make_record(4, bundle=digests[0], use_case="gone"),
        ]
    )
    assert [(row["team"], row["requests"]) for row in rows(ledger, "team")] == [("", 2), ("blue", 1), ("red", 1)]


async def test_everything_a_record_says_is_kept(ledger: Ledger, make_record: MakeRecord) -> None:
    record = make_record(1, dropped=("seed",), estimated=True, first_token_seconds=0.25, stream=True)
    await ledger.book([record])
    with closing(sqlite3.connect(ledger.path)) as connection:
        connection.row_factory = sqlite3.Row
        kept = dict(connection.execute("SELECT * FROM calls").fetchone())
    assert msgspec.json.decode(kept["attempts"], type=tuple[AttemptRecord, ...]) == record.attempts
    assert (kept["dropped"], kept["estimated"], kept["stream"]) == ('["seed"]', 1, 1)
    assert (kept["first_token_seconds"], kept["cost_usd"], kept["input_tokens"]) == (0.25, "0.0012", 100)


async def test_unknown_tokens_stay_unknown(ledger: Ledger, make_record: MakeRecord) -> None:
    await ledger.book([make_record(1, usage=None, cost_usd=None)])
    with closing(sqlite3.connect(ledger.path)) as connection:
        assert connection.execute("SELECT input_tokens, cost_usd FROM calls").fetchone() == (None, None)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_the_days_always_add_up_to_the_calls(
    tmp_path_factory: pytest.TempPathFactory, make_record: MakeRecord, data: st.DataObject
) -> None:
    """Any batches, overlapping in any way: the sums that people read equal the sums over the calls themselves."""
    numbers = st.integers(0, 12)
    batches = data.draw(st.lists(st.lists(numbers, max_size=8), max_size=6))

    def record(number: int) -> CallRecord:
        return make_record(
            number,
            at=f"2026-11-0{1 + number % 3}T10:00:00.000Z",
            model=f"m{number % 2}",
            outcome="ok" if number % 4 else "throttled",
            cost_usd=None if number % 5 == 0 else Decimal(number) / Decimal(10**9),
            wasted_usd=Decimal(f"0.00000000000{number}"),
            usage=Usage(input_tokens=number, output_tokens=2 * number),
            attempts=(),
        )

    ledger = Ledger(tmp_path_factory.mktemp("ledger") / "ledger.db")
    try:

        async def book_all() -> list[UsageReceipt]:
            return [await ledger.book([record(number) for number in batch]) for batch in batches]

        receipts = asyncio.run(book_all())
        found = {(row["day"], row["model"]): row for row in rows(ledger, "day", "model")}
    finally:
        ledger.close()
    distinct = {number for batch in batches for number in batch}
    assert sum(receipt.booked for receipt in receipts) == len(distinct)
    assert sum(int(row["requests"]) for row in found.values()) == len(distinct)
    for (day, model), row in found.items():
        own = [record(n) for n in distinct if record(n).at.startswith(str(day)) and record(n).model == model]
        assert Decimal(row["cost_usd"]) == sum((r.cost_usd for r in own if r.cost_usd is not None), Decimal(0))
        assert Decimal(row["wasted_usd"]) == sum((r.wasted_usd for r in own), Decimal(0))
        assert row["input_tokens"] == sum(r.usage.input_tokens for r in own if r.usage is not None)


async def test_many_at_once_share_commits_and_lose_nothing(ledger: Ledger, make_record: MakeRecord) -> None:
    batches = [[make_record(10 * n + m) for m in range(10)] for n in range(100)]
    receipts = await asyncio.gather(*(ledger.book(batch) for batch in batches))
    assert {(receipt.booked, receipt.known) for receipt in receipts} == {(10, 0)}
    assert rows(ledger, "use_case")[0]["requests"] == 1000


async def test_one_batch_that_cannot_be_booked_takes_no_other_with_it(ledger: Ledger, make_record: MakeRecord) -> None:
    impossible = make_record(2, usage=Usage(input_tokens=1 << 63))
    good, bad, other = await asyncio.gather(
        ledger.book([make_record(1)]),
        ledger.book([make_record(3), impossible]),
        ledger.book([make_record(4)]),
        return_exceptions=True,
    )
    assert isinstance(bad, OverflowError)
    assert good == other == UsageReceipt(booked=1, known=0)
    assert rows(ledger, "use_case")[0]["requests"] == 2
    assert await ledger.book([make_record(3)]) == UsageReceipt(booked=1, known=0)


async def test_too_many_waiting_batches_are_sent_away(tmp_path: Path, make_record: MakeRecord) -> None:
    ledger = Ledger(tmp_path / "busy.db", max_waiting=2)
    try:
        with closing(sqlite3.connect(ledger.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")  # the writer waits for this lock
            booking = [asyncio.create_task(ledger.book([make_record(n)])) for n in range(8)]
            done, waiting = await asyncio.wait(booking, return_when=asyncio.FIRST_EXCEPTION)
            assert {type(task.exception()) for task in done} == {LedgerBusy}
            other.execute("ROLLBACK")
            receipts = await asyncio.gather(*waiting)
    finally:
        ledger.close()
    assert {receipt.booked for receipt in receipts} == {1}


async def test_a_caller_that_left_does_not_stop_the_booking(ledger: Ledger, make_record: MakeRecord) -> None:
    booking = asyncio.create_task(ledger.book([make_record(1)]))
    await asyncio.wait({booking}, timeout=0)
    booking.cancel()
    await asyncio.wait({booking})
    assert await ledger.book([make_record(1)]) == UsageReceipt(booked=0, known=1)


async def test_closing_books_what_waits(tmp_path: Path, make_record: MakeRecord) -> None:
    ledger = Ledger(tmp_path / "ledger.db")
    booking = [asyncio.create_task(ledger.book([make_record(n)])) for n in range(50)]
    await asyncio.wait(booking, timeout=0)
    await asyncio.to_thread(ledger.close)
    assert len(await asyncio.gather(*booking)) == 50
    assert rows(ledger, "use_case")[0]["requests"] == 50


def test_a_ledger_survives_being_opened_again(tmp_path: Path, make_record: MakeRecord) -> None:
    for booked in (1, 0):
        ledger = Ledger(tmp_path / "ledger.db")
        try:
            receipt = asyncio.run(ledger.book([make_record(1)]))
        finally:
            ledger.close()
        assert receipt.booked == booked


def test_a_commit_is_synced_to_the_disk(tmp_path: Path) -> None:
    with closing(open_ledger(tmp_path / "ledger.db")) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)


def test_a_ledger_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    with closing(open_ledger(tmp_path / "ledger.db")) as connection:
        connection.execute("INSERT INTO schema_migrations (version) VALUES (?)", (len(MIGRATIONS) + 1,))
    with pytest.raises(CannotStart, match="newer version"):
        Ledger(tmp_path / "ledger.db")


def test_a_file_that_is_no_ledger_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_bytes(b"something else" * 100)
    with pytest.raises(CannotStart, match="cannot open the ledger"):
        Ledger(tmp_path / "ledger.db")
