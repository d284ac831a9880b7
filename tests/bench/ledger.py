"""`python -m tests.bench.ledger`: how fast each database books, and how long people wait for sums of what it holds."""

import argparse
import asyncio
import random
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Final

from controller.ledger import calls
from controller.ledger.database import Database, postgresql_at, sqlite_at
from controller.ledger.query import Days, Question, ask
from controller.ledger.store import Ledger
from schemas.record import AttemptRecord, CallRecord, Usage
from tests.fakes.postgres import postgres_server

BATCH: Final = 500
"""About what a busy sidecar ships at once."""
TOGETHER: Final = 16
FIRST_DAY: Final = date(2026, 8, 1)
DAYS: Final = 90
QUESTIONS: Final = (("use_case", "model"), ("team", "vendor"), ("day",), ("use_case", "model", "agent", "day"))


def records(count: int, first_day: date = FIRST_DAY) -> Iterator[CallRecord]:
    """Ninety days of twelve use cases with three agents each, six models of three vendors; one in twenty fell back."""
    chance = random.Random(20261125)
    for number in range(count):
        model, use_case = chance.randrange(6), chance.randrange(12)
        day = first_day + timedelta(days=number * DAYS // count)
        usage = Usage(input_tokens=chance.randrange(4000), output_tokens=chance.randrange(900), cache_read_tokens=100)
        cost = Decimal(usage.input_tokens * 3 + usage.output_tokens * 15) / 1_000_000
        answer = AttemptRecord(
            model=f"model-{model}", provider=f"provider-{model}", reason="primary", outcome="ok", seconds=1.5,
            usage=usage, cost_usd=cost,
        )  # fmt: skip
        failed = AttemptRecord(model="model-0", provider="provider-0", reason="primary", outcome="stream_cut",
                               seconds=0.5, usage=usage, cost_usd=cost)  # fmt: skip
        fell_back = chance.random() < 0.05
        yield CallRecord(
            id=f"{number:032x}", at=f"{day}T10:00:00.000Z",
            sidecar=f"sidecar-{number % 50}", use_case=f"use-case-{use_case}", dialect="openai",
            outcome="ok", bundle="sha256:0", revision="r1", agent=f"agent-{use_case}-{chance.randrange(3)}", status=200,
            model=f"model-{model}", provider=f"provider-{model}", vendor=f"vendor-{model % 3}",
            reason="stream_cut" if fell_back else "primary", attempts=(failed, answer) if fell_back else (answer,),
            usage=usage, cost_usd=cost, wasted_usd=cost if fell_back else Decimal(0), seconds=1.5,
        )  # fmt: skip


async def book(ledger: Ledger, count: int, first_day: date = FIRST_DAY) -> None:
    rest = records(count, first_day)
    while batches := [batch for _ in range(TOGETHER) if (batch := list(islice(rest, BATCH)))]:
        await asyncio.gather(*(ledger.book(batch) for batch in batches))


def measure(database: Database, count: int) -> None:
    ledger = Ledger(database)
    try:
        started = time.process_time()
        making = seconds_of(lambda: [None for _ in records(count)])
        cpu = time.process_time()
        seconds = seconds_of(lambda: asyncio.run(book(ledger, count)))
        spent = (time.process_time() - cpu - (cpu - started)) / count
        print(f"{database.name}: {count / (seconds - making):,.0f} records/s booked, {spent * 1e6:.0f} µs of CPU each")
        for by in QUESTIONS:
            rows = len(ledger.read(lambda connection, by=by: ask(connection, Question(by))))
            waited = seconds_of(lambda by=by: ledger.read(lambda connection: ask(connection, Question(by))))
            print(f"{database.name}: usage by {', '.join(by)}: {rows:,} rows in {waited * 1000:,.0f} ms")
        page = seconds_of(lambda: ledger.read(lambda connection: calls.page(connection, Days(), None, 1000)))
        print(f"{database.name}: a page of 1,000 calls in {page * 1000:,.0f} ms")
    finally:
        ledger.close()
    print(f"memory at most {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB")


def seconds_of(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


@contextmanager
def databases(name: str) -> Iterator[Database]:
    if name == "sqlite":
        with tempfile.TemporaryDirectory() as folder:
            yield sqlite_at(Path(folder) / "ledger.db")
    else:
        with postgres_server() as server:
            yield postgresql_at(server.new_database())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.ledger", description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], action="append")
    args = parser.parse_args()
    for name in args.database or ("sqlite", "postgresql"):
        with databases(name) as database:
            measure(database, args.records)


if __name__ == "__main__":
    main()
