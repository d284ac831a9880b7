"""The controller as a process: what it has receipted is booked, exactly once, whatever kills it."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from schemas.record import CallRecord, Usage, UsageBatch, UsageReceipt
from tests.fakes.controller_process import ControllerProcess
from tests.fakes.postgres import PostgresServer, postgres_server
from tests.fakes.proxy import proxy_to
from tests.fakes.rules_repo import RulesRepo

BATCHES = 40
BATCH_RECORDS = 50
KILLS = 3
LOST_ANSWERS = 5


def record(number: int) -> CallRecord:
    return CallRecord(
        id=f"call-{number}",
        at=f"2026-11-{1 + number % 28:02}T10:00:00.000Z",
        sidecar="s1",
        use_case=f"use-case-{number % 3}",
        dialect="openai",
        outcome="ok",
        bundle="",
        model="sonnet",
        provider="anthropic",
        vendor="anthropic",
        reason="primary",
        usage=Usage(input_tokens=number, output_tokens=1),
        cost_usd=Decimal(number) / Decimal(10**7),
    )


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
async def controller(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ControllerProcess]:
    repo = RulesRepo(tmp_path / "rules")
    repo.commit()
    options = []
    if request.param == "postgresql":
        options = ["--database-url", request.getfixturevalue("postgres").new_database()]
    process = ControllerProcess(repo.path, tmp_path / "state", *options)
    await process.start()
    yield process
    await process.close()


async def send(session: aiohttp.ClientSession, number: int) -> UsageReceipt:
    records = tuple(record(number * BATCH_RECORDS + n) for n in range(BATCH_RECORDS))
    body = msgspec.json.encode(UsageBatch(sidecar="s1", records=records))
    async with session.post("/v1/usage", data=body) as got:
        assert got.status == 200
        return msgspec.json.decode(await got.read(), type=UsageReceipt)


def client(controller: ControllerProcess, url: str | None = None) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        url or controller.url,
        headers={"Authorization": f"Bearer {controller.sidecar_token}"},
        timeout=aiohttp.ClientTimeout(total=20),
    )


async def test_killed_between_and_during_ingests_every_record_is_booked_once(controller: ControllerProcess) -> None:
    """A sidecar sends each batch until it has a receipt; the controller is killed at random moments meanwhile."""
    chance = random.Random(20261105)
    receipted: set[int] = set()
    for _ in range(KILLS):
        async with client(controller) as session:
            sending = {asyncio.create_task(send(session, n)): n for n in range(BATCHES) if n not in receipted}
            wanted = min(chance.randint(1, 6), len(sending))
            done: set[asyncio.Task[UsageReceipt]] = set()
            while len(done) < wanted:
                some, _ = await asyncio.wait(sending.keys() - done, return_when=asyncio.FIRST_COMPLETED)
                done |= some
            await controller.kill()
            await asyncio.gather(*sending, return_exceptions=True)
            for task, number in sending.items():
                error = task.exception()
                assert error is None or isinstance(error, aiohttp.ClientError), error
                if error is None:
                    receipted.add(number)
        await controller.start()

    async with client(controller) as session:
        # What was receipted is in the books already, and stays there once when it is sent again.
        for number in sorted(receipted):
            receipt = await send(session, number)
            assert (receipt.booked, receipt.known) == (0, BATCH_RECORDS)
        for number in range(BATCHES):
            receipt = await send(session, number)
            assert receipt.booked + receipt.known == BATCH_RECORDS
        async with session.get("/v1/usage", params={"by": "use_case"}) as got:
            rows = (await got.json())["rows"]

    assert_booked(rows, BATCHES)


async def test_killed_after_the_commit_and_before_its_answer_arrives_a_batch_is_booked_once(
    controller: ControllerProcess,
) -> None:
    """The controller dies with the first byte of each receipt on its way, which therefore nobody gets."""
    for number in range(LOST_ANSWERS):
        killed = asyncio.Event()

        async def swallow(data: bytes, killed: asyncio.Event = killed) -> bytes:
            await controller.kill()
            killed.set()
            return b""

        port = int(controller.url.rpartition(":")[2])
        async with proxy_to(port, swallow) as proxy, client(controller, f"http://127.0.0.1:{proxy.port}") as session:
            with pytest.raises(aiohttp.ClientError):
                await send(session, number)
        assert killed.is_set()
        await controller.start()
        async with client(controller) as session:
            receipt = await send(session, number)
        assert (receipt.booked, receipt.known) == (0, BATCH_RECORDS), "it was booked, although nobody was told so"
    async with client(controller) as session, session.get("/v1/usage", params={"by": "use_case"}) as got:
        rows = (await got.json())["rows"]
    assert_booked(rows, LOST_ANSWERS)


def assert_booked(rows: list[dict[str, Any]], batches: int) -> None:
    """Every record of the first so many batches, once."""
    everything = [record(number) for number in range(batches * BATCH_RECORDS)]
    for row in rows:
        own = [r for r in everything if r.use_case == row["use_case"]]
        assert row["requests"] == len(own)
        assert row["input_tokens"] == sum(r.usage.input_tokens for r in own if r.usage is not None)
        assert Decimal(row["cost_usd"]) == sum((r.cost_usd for r in own if r.cost_usd is not None), Decimal(0))
    assert sum(row["requests"] for row in rows) == len(everything)
