import gzip
import io
import json
from collections.abc import Callable

import aiohttp
import msgspec
import pytest

from controller.api.answers import MAX_BODY_BYTES
from schemas.record import CallRecord, UsageBatch

MakeRecord = Callable[..., CallRecord]


def batch(*records: CallRecord) -> bytes:
    return msgspec.json.encode(UsageBatch(sidecar="s1", records=records))


async def test_a_batch_is_receipted_and_shows_up_in_the_sums(
    client: aiohttp.ClientSession, make_record: MakeRecord
) -> None:
    body = batch(make_record(1), make_record(2, model="other"))
    for receipt in ({"booked": 2, "known": 0}, {"booked": 0, "known": 2}):
        async with client.post("/v1/usage", data=body) as got:
            assert (got.status, await got.json()) == (200, receipt)
    async with client.get("/v1/usage", params={"by": "use_case,model", "since": "2026-11-01"}) as got:
        assert await got.json() == {
            "rows": [
                {
                    "use_case": "support", "model": model, "requests": 1, "errors": 0, "input_tokens": 100,
                    "output_tokens": 20, "cache_read_tokens": 40, "cache_write_tokens": 0, "reasoning_tokens": 0,
                    "cost_usd": "0.0012", "wasted_usd": "0.0000", "unpriced_requests": 0,
                }
                for model in ("m", "other")
            ]
        }  # fmt: skip
    async with client.get("/v1/usage", params={"until": "2026-11-01"}) as got:
        assert await got.json() == {"rows": []}


async def test_a_compressed_batch_is_taken(client: aiohttp.ClientSession, make_record: MakeRecord) -> None:
    body = gzip.compress(batch(*(make_record(n) for n in range(500))))
    async with client.post("/v1/usage", data=body, headers={"Content-Encoding": "gzip"}) as got:
        assert (got.status, await got.json()) == (200, {"booked": 500, "known": 0})


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


@pytest.mark.parametrize("query", [{"by": "colour"}, {"by": ""}, {"since": "yesterday"}, {"until": "x' OR '1'='1"}])
async def test_a_question_that_makes_no_sense_is_400(client: aiohttp.ClientSession, query: dict[str, str]) -> None:
    async with client.get("/v1/usage", params=query) as got:
        assert (got.status, (await got.json())["error"]["code"]) == (400, "bad_query")
