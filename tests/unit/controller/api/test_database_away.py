"""The database of a fleet goes away and comes back: rules are served on as they are, and what sidecars say is kept."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from sqlalchemy import Connection, select

from controller.app import Running, running
from controller.ledger.tables import sidecars
from controller.settings import ServeSettings
from schemas.record import CallRecord, UsageBatch
from schemas.status import SidecarStatus
from tests.fakes.postgres import PostgresServer, postgres_server
from tests.fakes.rules_repo import RulesRepo

MakeRecord = Callable[..., CallRecord]
BACK_SECONDS = 30.0
BEAT = SidecarStatus(id="s1", version="1", state="ACTIVE")


@pytest.fixture
def postgres() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        yield server


@asynccontextmanager
async def fleet_controller(
    url: str, folder: Path, repo: RulesRepo
) -> AsyncIterator[tuple[Running, aiohttp.ClientSession]]:
    settings = ServeSettings(repo=str(repo.path), state=folder, listen_port=0, database_url=url)
    async with running(settings) as controller:
        headers = {"Authorization": f"Bearer {controller.parts.tokens.sidecar}"}
        async with aiohttp.ClientSession(controller.url, headers=headers) as session:
            yield controller, session


async def get(session: aiohttp.ClientSession, path: str) -> tuple[int, Any]:
    async with session.get(path) as got:
        return got.status, await got.json()


async def send(session: aiohttp.ClientSession, *records: CallRecord) -> tuple[int, Any]:
    body = msgspec.json.encode(UsageBatch(sidecar="s1", records=records))
    async with session.post("/v1/usage", data=body) as got:
        return got.status, await got.json()


async def sent_until_taken(session: aiohttp.ClientSession, *records: CallRecord) -> Any:
    """As a sidecar does it: the same records, until there is a receipt."""
    async with asyncio.timeout(BACK_SECONDS):
        while True:
            status, receipt = await send(session, *records)
            if status == 200:
                return receipt
            assert (status, receipt["error"]["code"]) == (503, "ledger_unavailable")


def names_of_sidecars(connection: Connection) -> list[str]:
    return list(connection.execute(select(sidecars.c.name)).scalars())


async def is_available(session: aiohttp.ClientSession) -> bool:
    return bool((await get(session, "/v1/status"))[1]["ledger"]["available"])


async def test_the_controller_serves_rules_without_its_database_and_takes_it_up_again(
    postgres: PostgresServer, tmp_path: Path, repo: RulesRepo, make_record: MakeRecord
) -> None:
    repo.commit()
    async with fleet_controller(postgres.new_database(), tmp_path / "state", repo) as (controller, session):
        publisher = controller.parts.publisher
        first = await publisher.newer_than("")
        assert first is not None
        assert (await sent_until_taken(session, make_record(1)))["booked"] == 1
        await asyncio.to_thread(postgres.kill)
        status, said = await send(session, make_record(2))
        assert (status, said["error"]["code"]) == (503, "ledger_unavailable")
        for path in ("/v1/usage", "/v1/calls"):
            headers = {"Authorization": f"Bearer {controller.parts.tokens.admin}"}
            async with session.get(path, headers=headers) as got:
                assert (got.status, got.headers["Retry-After"]) == (503, "5")
        for path in ("/use-cases", "/use-cases/support"):
            async with session.get(path) as got:
                assert got.status == 200
                page = await got.text()
                assert "The ledger cannot be read just now" in page
                assert "support-platform" in page
                assert "0.0000" not in page
        told = (await get(session, "/v1/status"))[1]["ledger"]
        assert (told["database"], told["available"]) == ("postgresql", False)
        assert told["error"]
        async with session.get("/metrics") as got:
            assert "pointsman_ledger_available 0.0" in await got.text()
        assert (await get(session, "/readyz"))[0] == 200
        # What was spent by then is still told, and what runs is served; it is changed by nobody, and heard by all.
        assert (await get(session, "/v1/spend"))[0] == 200
        commit = repo.commit_variant(7)
        async with asyncio.timeout(BACK_SECONDS):
            while "cannot write what the fleet is to run" not in (await get(session, "/v1/problems"))[1]["error"]:
                pass
        assert (await get(session, "/v1/bundle"))[1]["pointer"] == first.signed.pointer
        headers = {"Authorization": f"Bearer {controller.parts.tokens.admin}"}
        async with session.post("/v1/suspend", json={"reason": "why"}, headers=headers) as got:
            assert (got.status, got.headers["Retry-After"]) == (503, "5")
            assert (await got.json())["error"]["code"] == "database_away"
        async with session.post("/v1/status", data=msgspec.json.encode(BEAT)) as got:
            assert got.status == 204
        await asyncio.to_thread(postgres.start)
        second = await publisher.newer_than(first.event_id)
        assert second is not None
        assert second.pointer.revision == commit
        assert (second.pointer.epoch, second.pointer.seq) == (first.pointer.epoch, 2)
        record = make_record(2, bundle=second.pointer.digest)
        assert (await sent_until_taken(session, record))["booked"] == 1
        assert await is_available(session)
        _, sums = await get(session, "/v1/usage?by=team")
        assert [(row["team"], row["requests"]) for row in sums["rows"]] == [("", 1), ("support-platform", 1)]
        async with asyncio.timeout(BACK_SECONDS):
            while await asyncio.to_thread(controller.parts.ledger.read, names_of_sidecars) != ["s1"]:
                pass


async def test_a_controller_starts_without_its_database_and_finds_it_by_itself(
    postgres: PostgresServer, tmp_path: Path, repo: RulesRepo, make_record: MakeRecord
) -> None:
    url = postgres.new_database()
    repo.commit()
    await asyncio.to_thread(postgres.kill)
    async with fleet_controller(url, tmp_path / "state", repo) as (controller, session):
        status, said = await get(session, "/readyz")
        assert (status, said["error"]["code"]) == (503, "database_away")
        assert (await get(session, "/v1/bundle"))[0] == 503
        assert not await is_available(session)
        assert (await get(session, "/v1/spend"))[0] == 503
        await asyncio.to_thread(postgres.start)
        assert await controller.parts.publisher.newer_than("") is not None
        assert (await get(session, "/readyz"))[0] == 200
        async with asyncio.timeout(BACK_SECONDS):
            while not await is_available(session):
                pass
        assert (await get(session, "/v1/spend"))[0] == 200
        assert (await sent_until_taken(session, make_record(1)))["booked"] == 1
