"""`python -m tests.bench.pages`: how long the controller's pages take with a large fleet and a full ledger."""

import argparse
import asyncio
import statistics
import tempfile
import time
from contextlib import ExitStack
from datetime import date, timedelta
from pathlib import Path
from typing import Final

import aiohttp

from controller.app import Running, running
from controller.settings import ServeSettings
from schemas.scope import WHOLE
from schemas.status import SidecarStatus
from tests.bench.ledger import DAYS, book
from tests.fakes.postgres import postgres_server
from tests.fakes.rules_repo import RulesRepo

TIMES: Final = 5
PATHS: Final = (
    "/",
    "/fleet",
    "/fleet?table=sidecars",
    "/rollout",
    "/calls",
    "/calls?use_case=use-case-3",
    "/calls?outcome=throttled",
    "/calls?model=nobody",
    "/calls?agent=agent-3-1&model=model-2",
    "/use-cases",
    "/use-cases/support",
    "/use-cases/use-case-3",
    "/review",
    "/audit",
    "/playground",
    "/calls/00000000000000000000000000000007",
)
HEAD: Final = ("page", "status", "bytes", "median, ms", "worst, ms")


async def measure(running_one: Running, calls: int, sidecars: int) -> list[tuple[str, ...]]:
    parts = running_one.parts
    await parts.publisher.newer_than("")
    await book(parts.ledger, calls, date.fromisoformat(parts.ledger.spend().day) - timedelta(days=DAYS - 1))
    for number in range(sidecars):
        status = SidecarStatus(id=f"agent-{number}.support.svc.cluster.local", version="1", state="ACTIVE")
        parts.roster.note_status(status, WHOLE)
    headers = {"authorization": f"Bearer {parts.tokens.admin}"}
    rows = []
    async with aiohttp.ClientSession(running_one.url, headers=headers) as session:
        for path in PATHS:
            seconds, status, size = [], 0, 0
            for _ in range(TIMES):
                began = time.perf_counter()
                async with session.get(path) as answer:
                    size, status = len(await answer.read()), answer.status
                seconds.append(time.perf_counter() - began)
            rows.append((path, str(status), f"{size:,}", f"{statistics.median(seconds) * 1000:,.0f}",
                         f"{max(seconds) * 1000:,.0f}"))  # fmt: skip
    return rows


async def run(name: str, calls: int, sidecars: int) -> None:
    with ExitStack() as ends:
        folder = Path(ends.enter_context(tempfile.TemporaryDirectory()))
        repo = RulesRepo(folder / "rules")
        repo.commit()
        url = None if name == "sqlite" else ends.enter_context(postgres_server()).new_database()
        settings = ServeSettings(repo=str(repo.path), state=folder / "state", listen_port=0, database_url=url)
        async with running(settings) as controller:
            rows = [HEAD, *await measure(controller, calls, sidecars)]
    print(f"\n{name}: {calls:,} calls of {DAYS} days, {sidecars:,} sidecars; the first of {TIMES} times is among them")
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    for first, *figures in rows:
        print("  ".join((first.ljust(widths[0]), *(f.rjust(w) for f, w in zip(figures, widths[1:], strict=True)))))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.pages", description=__doc__)
    parser.add_argument("--calls", type=int, default=1_000_000)
    parser.add_argument("--sidecars", type=int, default=1_000)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], action="append")
    args = parser.parse_args()
    for name in args.database or ("sqlite", "postgresql"):
        asyncio.run(run(name, args.calls, args.sidecars))


if __name__ == "__main__":
    main()
