import asyncio
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from itertools import count
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text

from controller.errors import CannotStart, ControllerError, LedgerBusy
from controller.ledger.database import Database, sqlite_at
from controller.ledger.query import Question, ask
from controller.ledger.store import Ledger
from controller.ledger.tables import calls
from schemas.bundle import Bundle, digest_of, encode_bundle
from schemas.record import AttemptRecord, CallRecord, Usage, UsageReceipt

MakeBundle = Callable[..., Bundle]
MakeRecord = Callable[..., CallRecord]
OpenDatabase = Callable[[], Database]
OpenLedger = Callable[..., Ledger]
EXAMPLES = count()


def rows(ledger: Ledger, *by: str) -> Sequence[Mapping[str, str | int]]:
    return ledger.read(lambda connection: ask(connection, Question(by=by)))


def total(found: Sequence[Mapping[str, str | int]], name: str) -> Decimal:
    return sum((Decimal(row[name]) for row in found), Decimal(0))


def said(receipt: UsageReceipt) -> tuple[int, int]:
    """How many were new, how many known."""
    return receipt.booked, receipt.known


async def test_a_record_is_booked_once_however_often_it_is_sent(ledger: Ledger, make_record: MakeRecord) -> None:
    records = [make_record(n) for n in range(3)]
    assert said(await ledger.book(records[:2])) == (2, 0)
    assert said(await ledger.book(records)) == (1, 2)
    assert said(await ledger.book([records[0], records[0]])) == (0, 2)
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
        "shadow_usd": "0.0000",
        "unpriced_requests": 0,
    }


async def test_twice_in_one_batch_is_once_in_the_books(ledger: Ledger, make_record: MakeRecord) -> None:
    assert said(await ledger.book([make_record(1), make_record(1)])) == (1, 1)
    assert rows(ledger, "use_case")[0]["requests"] == 1


async def test_an_empty_batch_is_booked(ledger: Ledger) -> None:
    assert said(await ledger.book([])) == (0, 0)


async def test_an_unpriced_call_is_counted_and_adds_no_cost(ledger: Ledger, make_record: MakeRecord) -> None:
    await ledger.book([make_record(1), make_record(2, cost_usd=None), make_record(3, outcome="throttled")])
    (row,) = rows(ledger, "model")
    assert (row["requests"], row["errors"], row["unpriced_requests"], row["cost_usd"]) == (3, 1, 1, "0.0024")


async def test_the_team_is_the_owner_as_of_the_bundle_that_decided(
    ledger: Ledger, make_bundle: MakeBundle, make_record: MakeRecord
) -> None:
    before, after = make_bundle("r1", owner="red"), make_bundle("r2", owner="blue")
    ledger.remember(before)
    ledger.remember(after)
    ledger.remember(before)
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
    (kept,) = ledger.read(lambda connection: connection.execute(select(calls)).mappings().all())
    assert msgspec.json.decode(kept["attempts"], type=tuple[AttemptRecord, ...]) == record.attempts
    assert (kept["dropped"], kept["estimated"], kept["stream"]) == ('["seed"]', 1, 1)
    assert (kept["first_token_seconds"], kept["cost_usd"], kept["input_tokens"]) == (0.25, Decimal("0.0012"), 100)


async def test_unknown_tokens_stay_unknown(ledger: Ledger, make_record: MakeRecord) -> None:
    await ledger.book([make_record(1, usage=None, cost_usd=None)])
    unknown = select(calls.c.input_tokens, calls.c.cost_usd)
    assert ledger.read(lambda connection: tuple(connection.execute(unknown).one())) == (None, None)


def an_attempt(number: int, cost_usd: Decimal | None) -> AttemptRecord:
    outcome = ("stream_cut", "first_token_timeout", "json_valid")[number % 3]
    return AttemptRecord(
        model=f"m{number % 4}", provider="p", reason="fallback", outcome=outcome, seconds=1.0, cost_usd=cost_usd
    )


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(st.lists(st.integers(0, 12), max_size=8), max_size=6))
def test_the_sums_always_add_up_to_the_calls(ledger: Ledger, make_record: MakeRecord, batches: list[list[int]]) -> None:
    """Any batches, overlapping in any way: the sums that people read equal the sums over the calls themselves."""
    example = f"example {next(EXAMPLES)}"

    def record(number: int) -> CallRecord:
        costs = [Decimal(f"0.00000000000{n}") if n % 3 else None for n in range(number % 5)]
        return make_record(
            id=f"{example}, {number}",
            use_case=example,
            at=f"2026-11-0{1 + number % 3}T10:00:00.000Z",
            model=f"m{number % 2}",
            outcome="ok" if number % 4 else "throttled",
            cost_usd=None if number % 5 == 0 else Decimal(number) / Decimal(10**9),
            wasted_usd=Decimal(number % 2) + sum(cost for cost in costs if cost is not None),
            usage=Usage(input_tokens=number, output_tokens=2 * number),
            attempts=(*(an_attempt(n, cost) for n, cost in enumerate(costs)), an_attempt(0, Decimal(9))),
        )

    async def book_all() -> list[UsageReceipt]:
        return [await ledger.book([record(number) for number in batch]) for batch in batches]

    receipts = asyncio.run(book_all())
    distinct = {number for batch in batches for number in batch}
    assert sum(receipt.booked for receipt in receipts) == len(distinct)
    records = [record(number) for number in distinct]
    found = [row for row in rows(ledger, "use_case", "day", "model", "outcome") if row["use_case"] == example]
    for day in {row["day"] for row in found}:
        own = [r for r in records if r.at.startswith(str(day))]
        of_day = [row for row in found if row["day"] == day]
        assert sum(int(row["requests"]) for row in of_day) == len(own)
        assert total(of_day, "cost_usd") == sum(r.cost_usd for r in own if r.cost_usd is not None)
        assert total(of_day, "wasted_usd") == sum(r.wasted_usd for r in own)
        assert sum(int(row["input_tokens"]) for row in of_day) == sum(r.usage.input_tokens for r in own if r.usage)


async def test_what_failed_attempts_cost_is_kept_apart_by_their_model_and_their_ending(
    ledger: Ledger, make_bundle: MakeBundle, make_record: MakeRecord
) -> None:
    bundle = make_bundle("r1", owner="red")
    ledger.remember(bundle)
    failed = an_attempt(1, Decimal("0.02"))
    other = msgspec.structs.replace(failed, model="unknown", outcome="first_token_timeout", cost_usd=Decimal("0.003"))
    known = msgspec.structs.replace(failed, model="m")
    record = make_record(
        model="better",
        vendor="w",
        bundle=digest_of(encode_bundle(bundle)),
        attempts=(known, other, an_attempt(2, Decimal("0.0012"))),
        wasted_usd=Decimal("0.0231"),
    )
    await ledger.book([record])
    figures = ("vendor", "model", "outcome", "requests", "cost_usd", "wasted_usd")
    assert [tuple(row[name] for name in figures) for row in rows(ledger, "team", "vendor", "model", "outcome")] == [
        ("", "unknown", "first_token_timeout", 0, "0.0000", "0.0030"),
        ("v", "m", "first_token_timeout", 0, "0.0000", "0.0200"),
        ("w", "better", "ok", 1, "0.0012", "0.0001"),
    ]
    assert {row["team"] for row in rows(ledger, "team")} == {"red"}


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
    assert isinstance(bad, Exception)
    assert not isinstance(bad, ControllerError)
    assert [said(receipt) for receipt in (good, other) if isinstance(receipt, UsageReceipt)] == [(1, 0), (1, 0)]
    assert rows(ledger, "use_case")[0]["requests"] == 2
    assert said(await ledger.book([make_record(3)])) == (1, 0)


async def test_any_text_that_a_caller_can_send_is_booked(ledger: Ledger, make_record: MakeRecord) -> None:
    """PostgreSQL's text has no NUL, and its indexes take no long keys."""
    strange = {name: "\N{FAMILY}\0'%s;--" + "\N{FAMILY}" * 1000 for name in ("agent", "caller", "model", "provider")}
    records = [make_record(n, **strange, use_case="\0", id=f"\0{n}" + "x" * 1000) for n in range(3)]
    for booked in (3, 0):
        assert said(await ledger.book(records)) == (booked, 3 - booked)
    assert [row["requests"] for row in rows(ledger, "agent", "caller", "model", "provider")] == [3]


async def test_too_many_waiting_batches_are_sent_away(
    open_database: OpenDatabase, open_ledger: OpenLedger, make_record: MakeRecord
) -> None:
    ledger = open_ledger(max_waiting=2)
    other = open_database()
    with other.writing.connect() as connection, connection.begin() as transaction:  # the writer waits for its lock
        if other.is_shared:
            connection.execute(text("LOCK TABLE calls IN EXCLUSIVE MODE"))
        booking = [asyncio.create_task(ledger.book([make_record(n)])) for n in range(8)]
        done, waiting = await asyncio.wait(booking, return_when=asyncio.FIRST_EXCEPTION)
        assert {type(task.exception()) for task in done} == {LedgerBusy}
        transaction.rollback()
        receipts = await asyncio.gather(*waiting)
    other.close()
    assert {receipt.booked for receipt in receipts} == {1}


async def test_a_caller_that_left_does_not_stop_the_booking(ledger: Ledger, make_record: MakeRecord) -> None:
    booking = asyncio.create_task(ledger.book([make_record(1)]))
    await asyncio.wait({booking}, timeout=0)
    booking.cancel()
    await asyncio.wait({booking})
    assert said(await ledger.book([make_record(1)])) == (0, 1)


async def test_closing_books_what_waits(open_ledger: OpenLedger, make_record: MakeRecord) -> None:
    ledger = open_ledger()
    booking = [asyncio.create_task(ledger.book([make_record(n)])) for n in range(50)]
    await asyncio.wait(booking, timeout=0)
    await asyncio.to_thread(ledger.close)
    assert len(await asyncio.gather(*booking)) == 50
    assert rows(open_ledger(), "use_case")[0]["requests"] == 50


async def test_a_ledger_survives_being_opened_again(open_ledger: OpenLedger, make_record: MakeRecord) -> None:
    for booked in (1, 0):
        assert (await open_ledger().book([make_record(1)])).booked == booked


async def test_controllers_that_are_sent_the_same_batches_book_each_record_once(
    open_ledger: OpenLedger, make_record: MakeRecord, make_bundle: MakeBundle
) -> None:
    """Each batch to every controller at once, in another order: nothing doubled, nothing lost, nobody in a deadlock."""
    ledgers = [open_ledger() for _ in range(3)]
    batches = [
        [make_record(20 * n + m, use_case=f"u{(n + m) % 7}", cost_usd=Decimal("0.01")) for m in range(20)]
        for n in range(30)
    ]
    bookings = []
    for number, ledger in enumerate(ledgers):
        order = batches[number * 10 :] + batches[: number * 10]
        for batch in order if number % 2 else reversed(order):
            ledger.remember(make_bundle(f"r{len(bookings) % 5}"))
            bookings.append(ledger.book(batch[::-1] if number % 2 else batch))
    receipts = await asyncio.gather(*bookings)
    assert sum(receipt.booked for receipt in receipts) == 600
    assert sum(receipt.known for receipt in receipts) == 1200
    found = rows(ledgers[0], "use_case")
    assert sum(int(row["requests"]) for row in found) == 600
    assert total(found, "cost_usd") == Decimal("6.00")


def test_a_commit_is_synced_to_the_disk(tmp_path: Path) -> None:
    database = sqlite_at(tmp_path / "ledger.db")
    with database.writing.begin() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert connection.execute(text("PRAGMA synchronous")).scalar() == 2
    database.close()
    assert (tmp_path / "ledger.db").stat().st_mode & 0o777 == 0o600


def test_a_file_that_is_no_ledger_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_bytes(b"something else" * 100)
    with pytest.raises(CannotStart, match="cannot open the ledger"):
        Ledger(sqlite_at(tmp_path / "ledger.db"))
