"""The fault matrix: the next step, what the caller sees, what is booked, and whether the target rests."""

import asyncio
from typing import Any

import pytest

from .conftest import AFTER, BEFORE, Field, slug

TAKEN = {"first_token_timeout", "malformed_answer", "stream_cut", "stream_failed"}
"""Failures of requests that a provider had begun to answer."""

pytestmark = pytest.mark.asyncio(loop_scope="module")


def rows(kind: str) -> Any:
    chosen = [row for row in BEFORE if kind in row.get("in", ("plain", "stream", "alone"))]
    return pytest.mark.parametrize("row", chosen, ids=[row["fault"] for row in chosen])


async def check_failover(field: Field, row: dict[str, Any], *, stream: bool) -> None:
    name = f"{slug(row)}-{'stream' if stream else 'plain'}"
    seen = await field.call(name, stream=stream)
    record = await field.record(seen.headers["x-pointsman-request-id"])
    words = [attempt.outcome for attempt in record.attempts]
    assert seen.headers["x-pointsman-attempts"] == str(len(words))
    if row["then"] == "fallback":
        assert words == [row["word"]] * row["tries"] + ["ok"]
        assert (seen.status, seen.headers["x-pointsman-model"]) == (200, "good")
        assert seen.headers["x-pointsman-reason"] == row["word"]
        assert (record.outcome, record.model, record.estimated) == ("ok", "good", False)
        assert record.cost_usd is not None
        if stream:
            assert seen.body.endswith(b"data: [DONE]\n\n")
            assert b'"error"' not in seen.body
    else:
        assert words == [row["word"]] * row["tries"]
        assert (seen.status, seen.code) == (row["alone"], row["word"])
        assert seen.headers["x-should-retry"] == "false"
        assert (record.outcome, record.status, record.cost_usd) == (row["word"], row["alone"], None)
    if "does" in row:
        assert field.server.received[name] == row["tries"], "what is recorded is what was sent"
    assert (record.wasted_usd > 0) is (row["word"] in TAKEN), "what a provider had taken, it may bill"
    await asyncio.gather(*(field.call(name, stream=stream) for _ in range(4)))
    assert await field.is_resting(name) is row["rests"]


@rows("plain")
async def test_a_plain_call_meets(row: dict[str, Any], field: Field) -> None:
    await check_failover(field, row, stream=False)


@rows("stream")
async def test_a_stream_meets_before_its_first_byte(row: dict[str, Any], field: Field) -> None:
    await check_failover(field, row, stream=True)


@rows("alone")
async def test_a_call_without_another_target_meets(row: dict[str, Any], field: Field) -> None:
    if "alone" not in row:
        pytest.skip("a silence: what follows is the deadline's row")
    seen = await field.call(f"{slug(row)}-alone")
    record = await field.record(seen.headers["x-pointsman-request-id"])
    assert (seen.status, seen.code) == (row["alone"], row["word"])
    assert seen.headers["content-type"].startswith("application/json")
    assert seen.headers["x-should-retry"] == "false"
    assert seen.headers["x-pointsman-attempts"] == str(len(record.attempts)) <= "2"
    assert (record.outcome, record.status, record.usage, record.cost_usd) == (row["word"], row["alone"], None, None)


@pytest.mark.parametrize("row", AFTER, ids=[row["fault"] for row in AFTER])
async def test_a_stream_meets_after_its_first_byte(row: dict[str, Any], field: Field) -> None:
    name = f"{slug(row)}-stream"
    seen = await field.call(name, stream=True)
    record = await field.record(seen.headers["x-pointsman-request-id"])
    assert seen.status == 200
    assert field.server.received[name] == 1, "no second target behind a first byte"
    assert (record.outcome, record.estimated) == (row["outcome"], row["estimated"])
    assert [attempt.outcome for attempt in record.attempts] == [row["outcome"]]
    assert record.usage is not None
    assert record.cost_usd is not None
    assert record.first_token_seconds is not None
    events = seen.body.removesuffix(b"\n\n").split(b"\n\n")
    if row["outcome"] == "ok":
        assert b'"error"' not in seen.body
    else:
        assert events[-1].startswith(b'data: {"error":')
        assert row["outcome"].encode() in events[-1]
        assert b"[DONE]" not in seen.body
    await asyncio.gather(*(field.call(name, stream=True) for _ in range(4)))
    assert await field.is_resting(name) is row["rests"]


async def test_a_connection_that_went_stale_costs_one_silent_retry(field: Field) -> None:
    field.server.reset("stale")
    assert (await field.call("stale")).status == 200
    seen = await field.call("stale")
    record = await field.record(seen.headers["x-pointsman-request-id"])
    assert seen.status == 200
    assert [attempt.outcome for attempt in record.attempts] == ["connection_lost", "ok"]


async def test_a_provider_that_throttles_everything_for_long_holds_nobody_up(field: Field) -> None:
    first = await field.call("throttles")
    rest = await asyncio.gather(*(field.call("throttles", stream=number % 2 == 0) for number in range(40)))
    assert {seen.status for seen in (first, *rest)} == {200}
    assert field.server.received["throttles"] == 1, "it said when to come back"
    assert {seen.headers["x-pointsman-attempts"] for seen in rest} == {"1"}


@pytest.mark.parametrize("stream", [False, True])
async def test_a_caller_that_leaves_takes_its_upstream_call_with_it(field: Field, stream: bool) -> None:
    part = "streams" if stream else "hangs"
    field.server.reset(part)
    before = await calls_with(field, part, "client_closed")
    work = asyncio.ensure_future(field.call(part, stream=stream))
    await asyncio.wait_for(field.server.arrived[part].wait(), 5)
    await asyncio.sleep(0.05)
    work.cancel()
    await asyncio.wait_for(field.server.left[part].wait(), 1)
    for _ in range(500):
        if await calls_with(field, part, "client_closed") > before:
            break
        await asyncio.sleep(0.01)
    assert await calls_with(field, part, "client_closed") == before + 1


async def calls_with(field: Field, use_case: str, outcome: str) -> float:
    return sum(
        float(line.rsplit(" ", 1)[1])
        for line in (await field.metrics()).splitlines()
        if line.startswith("pointsman_calls_total{") and f'use_case="{use_case}"' in line and outcome in line
    )


@pytest.mark.parametrize("part", ["key", "bad-key"])
async def test_a_key_in_a_provider_s_words_reaches_nobody(field: Field, part: str) -> None:
    seen = await field.call(part)
    assert b"abcdef123456" not in seen.body
    assert not any("abcdef123456" in value for value in seen.headers.values())
