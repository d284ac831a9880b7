import csv
import io
from collections.abc import Callable

import aiohttp
import msgspec
import pytest

from controller.app import Running
from schemas.record import CallRecord, UsageBatch
from schemas.status import SidecarStatus


async def text(client: aiohttp.ClientSession, path: str) -> str:
    async with client.get(path) as got:
        assert got.status == 200, await got.text()
        return await got.text()


@pytest.mark.parametrize(("path", "advice"), [
    ("/", "No call is booked yet"),
    ("/fleet", "Start one with --rules"),
    ("/rollout", "Give one `canary:`"),
])  # fmt: skip
async def test_a_page_without_data_says_what_to_do(
    controller: Running, client: aiohttp.ClientSession, path: str, advice: str
) -> None:
    async with client.get(path) as got:
        assert got.content_type == "text/html"
        policy = got.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'")
        assert "unsafe" not in policy
        assert advice in await got.text()


async def test_the_overview_shows_what_was_spent_and_who_answered(
    controller: Running, client: aiohttp.ClientSession, loaded: str, make_record: Callable[..., CallRecord]
) -> None:
    today = controller.parts.ledger.spend().day
    records = [
        make_record(n, at=f"{today}T00:00:01Z", vendor="anthropic" if n < 4 else "openai",
                    reason="primary" if n < 4 else "fallback")
        for n in range(1, 5)
    ]  # fmt: skip
    body = msgspec.json.encode(UsageBatch(sidecar="s1", records=tuple(records)))
    async with client.post("/v1/usage", data=body) as got:
        assert got.status == 200
    assert loaded[:12] in await text(client, "/")
    traffic = list(csv.reader(io.StringIO(await text(client, "/?table=traffic"))))
    assert traffic[1] == ["support", "4", "0.0%", "25.0%"]
    vendors = list(csv.reader(io.StringIO(await text(client, "/?table=vendors"))))
    assert vendors[1:] == [["anthropic", "3", "75.0%"], ["openai", "1", "25.0%"]]


async def test_what_a_sidecar_says_is_text_in_html_and_no_formula_in_csv(
    controller: Running, client: aiohttp.ClientSession, loaded: str
) -> None:
    status = SidecarStatus(id="=1+1", version="1", state="STARTING", error="<script>alert(1)</script>")
    async with client.post("/v1/status", data=msgspec.json.encode(status)) as got:
        assert got.status == 204
    page = await text(client, "/fleet")
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "'=1+1" in await text(client, "/fleet?table=sidecars")
    assert msgspec.json.decode(await text(client, "/fleet?format=json"))["tables"][0]["rows"][0][0] == "=1+1"


@pytest.mark.parametrize("question", ["table=nothing", "format=pdf"])
async def test_a_wrong_question_names_what_would_be_right(client: aiohttp.ClientSession, question: str) -> None:
    async with client.get(f"/fleet?{question}") as got:
        assert got.status == 400
        assert "must be" in (await got.json())["error"]["message"]


async def test_calls_are_filtered_paged_and_told_with_their_trail(
    controller: Running, client: aiohttp.ClientSession, loaded: str, make_record: Callable[..., CallRecord]
) -> None:
    today = controller.parts.ledger.spend().day
    records = [make_record(n, at=f"{today}T00:00:01.{n:03}Z", agent="<b>") for n in range(1, 103)]
    async with client.post(
        "/v1/usage", data=msgspec.json.encode(UsageBatch(sidecar="s1", records=tuple(records)))
    ) as got:
        assert got.status == 200
    client.headers["Authorization"] = f"Bearer {controller.parts.tokens.admin}"
    page = await text(client, "/calls?use_case=support")
    assert page.index(records[-1].id) < page.index(records[-2].id)
    assert "<b>" not in page
    following = page.partition('<p><a href="/calls?use_case=support&amp;after=')[2].partition('"')[0]
    rows = list(csv.reader(io.StringIO(await text(client, f"/calls?use_case=support&after={following}&table=calls"))))
    assert [row[0] for row in rows[1:]] == [records[1].id, records[0].id]
    assert "Take a filter away" in await text(client, "/calls?use_case=another")
    trail = await text(client, f"/calls/{records[0].id}")
    for attempt in records[0].attempts:
        assert attempt.provider in trail
    async with client.get("/calls/nothing") as got:
        assert got.status == 404
    async with client.get("/calls?since=soon") as got:
        assert got.status == 400
