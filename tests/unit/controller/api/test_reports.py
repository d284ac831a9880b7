import csv
import io
from collections.abc import Callable

import aiohttp
import msgspec
import pytest

from controller.app import Running
from schemas.record import CallRecord, UsageBatch


async def text(client: aiohttp.ClientSession, path: str) -> str:
    async with client.get(path) as got:
        assert got.status == 200, await got.text()
        return await got.text()


async def rows_of(client: aiohttp.ClientSession, path: str, title: str) -> list[list[str]]:
    """The table of that title, by its CSV."""
    page = msgspec.json.decode(await text(client, f"{path}?format=json"))
    (name,) = [table["name"] for table in page["tables"] if table["title"] == title]
    return list(csv.reader(io.StringIO(await text(client, f"{path}?table={name}"))))[1:]


async def book(client: aiohttp.ClientSession, records: list[CallRecord]) -> None:
    body = msgspec.json.encode(UsageBatch(sidecar="s1", records=tuple(records)))
    async with client.post("/v1/usage", data=body) as got:
        assert got.status == 200


@pytest.fixture
async def called(
    controller: Running, client: aiohttp.ClientSession, loaded: str, make_record: Callable[..., CallRecord]
) -> None:
    today = controller.parts.ledger.spend().day
    reasons = ("primary", "primary", "primary", "fallback")
    records = [
        make_record(n, at=f"{today}T00:00:01Z", vendor="anthropic", reason=reason) for n, reason in enumerate(reasons)
    ]
    await book(client, records)


@pytest.mark.usefixtures("called")
async def test_the_review_judges_by_the_ledger_and_proposes_a_change(client: aiohttp.ClientSession) -> None:
    decisions = await rows_of(client, "/review", "Decisions")
    assert [row[:4] for row in decisions] == [["support", "keep", "sonnet", "4"]]
    page = await text(client, "/review")
    assert "not answered by the first choice: fallback 1" in page
    assert "+++ b/use-cases/support/use-case.yaml" in page
    assert "p95" not in page, "sums know no quantile"


@pytest.mark.usefixtures("called")
async def test_a_quarter_without_calls_retires(client: aiohttp.ClientSession) -> None:
    page = await text(client, "/review?quarter=2020Q1")
    assert "2020-01-01" in page
    assert "retire" in page
    async with client.get("/review?quarter=next") as got:
        assert got.status == 400
        assert "write it as 2026Q4" in (await got.json())["error"]["message"]


@pytest.mark.usefixtures("called")
async def test_the_audit_gives_a_verdict_and_the_concentration(client: aiohttp.ClientSession) -> None:
    assert [row[:4] for row in await rows_of(client, "/audit", "Use cases")] == [["support", "single model", "m", "4"]]
    assert ["requests", "anthropic", "100.0%"] in await rows_of(client, "/audit", "Vendors' shares")


@pytest.mark.parametrize("path", ["/review", "/audit"])
async def test_without_rules_it_says_where_the_reason_stands(
    controller: Running, client: aiohttp.ClientSession, path: str
) -> None:
    assert "see GET /v1/problems" in await text(client, path)
