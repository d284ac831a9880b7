import gzip
import io
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

import aiohttp
import msgspec
import pytest

from controller.api.answers import MAX_BODY_BYTES
from controller.app import Running
from schemas.record import CallFacts, CallRecord, Feedback, Mirrored, UsageBatch, UsageReceipt
from schemas.spend import CallerSpend, FleetSpend, UseCaseSpend

MakeRecord = Callable[..., CallRecord]


def batch(*records: CallRecord) -> bytes:
    return msgspec.json.encode(UsageBatch(sidecar="s1", records=records))


async def test_a_batch_is_receipted_and_shows_up_in_the_sums(
    client: aiohttp.ClientSession, make_record: MakeRecord
) -> None:
    body = batch(make_record(1), make_record(2, model="other"))
    for receipt in ({"booked": 2, "known": 0}, {"booked": 0, "known": 2}):
        async with client.post("/v1/usage", data=body) as got:
            said = await got.json()
            assert (got.status, {name: said[name] for name in receipt}) == (200, receipt)
    async with client.get("/v1/usage", params={"by": "use_case,model", "since": "2026-11-01"}) as got:
        assert await got.json() == {
            "rows": [
                {
                    "use_case": "support", "model": model, "requests": 1, "errors": 0, "input_tokens": 100,
                    "output_tokens": 20, "cache_read_tokens": 40, "cache_write_tokens": 0, "reasoning_tokens": 0,
                    "cost_usd": "0.0012", "wasted_usd": "0.0000", "shadow_usd": "0.0000", "unpriced_requests": 0,
                }
                for model in ("m", "other")
            ]
        }  # fmt: skip
    async with client.get("/v1/usage", params={"until": "2026-11-01"}) as got:
        assert await got.json() == {"rows": []}


async def test_feedback_is_taken_with_a_batch_and_shown_by_kind(
    client: aiohttp.ClientSession, make_record: MakeRecord
) -> None:
    said = Feedback(call="call-1", at="2026-11-03T10:00:00.000Z", sidecar="s1", score=0.5)
    body = msgspec.json.encode(UsageBatch(sidecar="s1", records=(make_record(1),), feedback=(said,)))
    async with client.post("/v1/usage", data=body) as got:
        assert (got.status, (await got.json())["booked"]) == (200, 1)
    async with client.get("/v1/feedback", params={"by": "model"}) as got:
        row = {"model": "m", "kind": "user", "scores": 1, "mean": 0.5, "good": 1}
        assert await got.json() == {"rows": [row], "unmatched": 0}
    async with client.get("/v1/feedback", params={"by": "colour"}) as got:
        assert (got.status, (await got.json())["error"]["code"]) == (400, "bad_query")
    wrong = msgspec.structs.replace(said, score=2.0)
    body = msgspec.json.encode(UsageBatch(sidecar="s1", records=(), feedback=(said, wrong)))
    async with client.post("/v1/usage", data=body) as got:
        assert (got.status, (await got.json())["error"]["message"]) == (400, "feedback[1].score must be 0 to 1")


async def test_what_a_shadow_answered_is_shown_beside_its_call(
    client: aiohttp.ClientSession, make_record: MakeRecord
) -> None:
    live = Mirrored(call="call-1", model="m", provider="p", seconds=1.0, cost_usd=Decimal("0.002"))
    async with client.post("/v1/usage", data=batch(make_record(1, model="n", reason="shadow", shadow=live))) as got:
        assert (got.status, (await got.json())["booked"]) == (200, 1)
    async with client.get("/v1/shadows", params={"since": "2026-11-02"}) as got:
        (row,) = (await got.json())["rows"]
        assert (row["live_model"], row["model"], row["cost_usd"], row["live_cost_usd"]) == (
            "m",
            "n",
            "0.0012",
            "0.0020",
        )
    async with client.get("/v1/shadows", params={"since": "soon"}) as got:
        assert (got.status, (await got.json())["error"]["code"]) == (400, "bad_query")


async def test_a_compressed_batch_is_taken(client: aiohttp.ClientSession, make_record: MakeRecord) -> None:
    body = gzip.compress(batch(*(make_record(n) for n in range(500))))
    async with client.post("/v1/usage", data=body, headers={"Content-Encoding": "gzip"}) as got:
        assert (got.status, (await got.json())["booked"]) == (200, 500)


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
async def test_a_body_over_the_limit_is_refused_compressed_or_not(client: aiohttp.ClientSession, encoding: str) -> None:
    body = b" " * (MAX_BODY_BYTES + 1)
    data = gzip.compress(body) if encoding == "gzip" else body
    async with client.post("/v1/usage", data=io.BytesIO(data), headers={"Content-Encoding": encoding}) as got:
        assert (got.status, (await got.json())["error"]["code"]) == (413, "body_too_large")


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"", {}),
        (b"{", {}),
        (b"\xff", {}),
        (b"[" * 100_000, {}),
        (b'{"sidecar": "s"}', {}),
        (b'{"sidecar": "s", "records": [{"id": 1}]}', {}),
        (b"not gzip", {"Content-Encoding": "gzip"}),
    ],
)
async def test_what_is_no_batch_is_refused_with_the_reason(
    client: aiohttp.ClientSession, body: bytes, headers: dict[str, str]
) -> None:
    async with client.post("/v1/usage", data=body, headers=headers) as got:
        assert got.status == 400
        assert got.content_type == "application/json"
        assert (await got.json())["error"]["message"]


async def test_a_record_that_cannot_be_booked_is_named_and_nothing_of_its_batch_is(
    client: aiohttp.ClientSession, make_record: MakeRecord
) -> None:
    document = json.loads(batch(make_record(1), make_record(2)))
    document["records"][1]["cost_usd"] = "NaN"
    async with client.post("/v1/usage", json=document) as got:
        error = (await got.json())["error"]
    assert (got.status, error["code"]) == (400, "bad_record")
    assert error["message"].startswith("records[1].cost_usd")
    async with client.get("/v1/usage") as sums:
        assert await sums.json() == {"rows": []}


@pytest.mark.parametrize("query", [{"by": "colour"}, {"by": ""}, {"since": "earlier"}, {"until": "x' OR '1'='1"}])
async def test_a_question_that_makes_no_sense_is_400(client: aiohttp.ClientSession, query: dict[str, str]) -> None:
    async with client.get("/v1/usage", params=query) as got:
        assert (got.status, (await got.json())["error"]["code"]) == (400, "bad_query")


async def test_what_the_fleet_has_spent_comes_with_each_receipt_and_when_it_is_asked_for(
    client: aiohttp.ClientSession, loaded: str, make_record: MakeRecord
) -> None:
    today = datetime.fromtimestamp(time.time(), UTC).date()
    earlier = today.replace(day=1) if today.day > 1 else today
    records = [
        make_record(1, at=f"{today}T00:00:00.000Z", caller="bot", cost_usd=Decimal("1.25")),
        make_record(2, at=f"{earlier}T00:00:00.000Z", wasted_usd=Decimal("0.10")),
        make_record(3, at="2020-01-01T00:00:00.000Z", caller="gone"),
    ]
    async with client.get("/v1/watch", params={"id": "s1"}) as watching:
        await watching.content.readany()
        async with client.post("/v1/usage", data=batch(*records)) as got:
            receipt = msgspec.json.decode(await got.read(), type=UsageReceipt)
        async with client.get("/v1/spend") as got:
            spend = msgspec.json.decode(await got.read(), type=FleetSpend)
    assert receipt.spend is not None
    for told in (spend, receipt.spend):
        assert (told.day, told.at[:10]) == (today.isoformat(), today.isoformat())
        rest = Decimal("0.1012") if today == earlier else Decimal(0)
        assert told.use_cases == {"support": UseCaseSpend(Decimal("1.25") + rest, Decimal("1.3512"))}
        assert told.callers == {"bot": CallerSpend(Decimal("1.25"))}
        assert told.live_sidecars == 1


async def test_calls_come_page_by_page_each_once(
    controller: Running, client: aiohttp.ClientSession, make_record: MakeRecord
) -> None:
    records = [
        make_record(
            n, at=f"2026-11-{1 + n % 3:02}T12:00:00.000Z", agent="=cmd()", facts=CallFacts(90), steering="at 5 %",
            quality={"complete": "pass", "json_valid": "fail"},
        )
        for n in range(25)
    ]  # fmt: skip
    async with client.post("/v1/usage", data=batch(*records)) as got:
        assert got.status == 200
    calls, after, totals = [], "", []
    headers = {"Authorization": f"Bearer {controller.parts.tokens.admin}"}
    while after is not None:
        query = {"limit": "10", "since": "2026-11-02", "after": after}
        async with client.get("/v1/calls", params=query, headers=headers) as got:
            page = await got.json()
        calls += page["calls"]
        totals.append(page.get("total"))
        after = page["next"]
    assert totals == [16, None]
    assert [call["id"] for call in calls] == [
        record.id for record in sorted(records, key=lambda record: (record.at, record.id)) if record.at > "2026-11-02"
    ]
    assert calls[0] == {
        "steering": "at 5 %", "quality": "json_valid",
        "id": "call-1", "at": "2026-11-02T12:00:00.000Z", "day": "2026-11-02", "sidecar": "s1", "use_case": "support",
        "team": "", "agent": "=cmd()", "caller": "", "dialect": "openai", "stream": False, "outcome": "ok",
        "status": 200, "model": "m", "provider": "p", "vendor": "v", "reason": "primary", "bundle": "sha256:0",
        "revision": "", "input_tokens": 100, "output_tokens": 20, "cache_read_tokens": 40, "cache_write_tokens": 0,
        "reasoning_tokens": 0, "cost_usd": "0.0012", "wasted_usd": "0.0000", "estimated": False, "seconds": 0.0,
        "first_token_seconds": None, "dropped": [], "conversation": "", "arm": "", "propensity": None, "skipped": [],
        "facts": {"input_tokens": 90},
        "attempts": [
            {
                "model": "m", "provider": "p", "reason": "primary", "outcome": "ok", "seconds": 1.0,
                "cost_usd": "0.0012",
                "usage": {"input_tokens": 100, "output_tokens": 20, "cache_read_tokens": 40},
            }
        ],
    }  # fmt: skip


@pytest.mark.parametrize(
    "query", [{"after": "x"}, {"after": "W10"}, {"limit": "0"}, {"limit": "many"}, {"limit": "5001"}, {"since": "now"}]
)
async def test_a_page_that_is_none_is_400(
    controller: Running, client: aiohttp.ClientSession, query: dict[str, str]
) -> None:
    headers = {"Authorization": f"Bearer {controller.parts.tokens.admin}"}
    async with client.get("/v1/calls", params=query, headers=headers) as got:
        assert (got.status, (await got.json())["error"]["code"]) == (400, "bad_query")


async def test_status_and_metrics_say_whether_the_ledger_answers(client: aiohttp.ClientSession, loaded: str) -> None:
    async with client.get("/v1/status") as got:
        status = await got.json()
    assert status["revision"] == loaded
    assert status["ledger"] == {"database": "sqlite", "available": True, "error": "", "waiting_batches": 0}
    async with client.get("/metrics") as got:
        assert "pointsman_ledger_available 1.0" in await got.text()
