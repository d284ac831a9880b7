"""Every card of `golden/cost_cards.yaml`: the dollars worked out by hand are those that the sidecar books, plain and
streamed, whoever asks; and what stands when the caller of a stream leaves.
"""

import asyncio
import json
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from msgspec.structs import replace

from schemas.bundle import DialectName, Price, Tier
from schemas.record import CallRecord
from sidecar.dialects.base import InPath
from tests.fakes import core_bundles as bundles
from tests.fakes import core_wire as wire
from tests.fakes.core import Core
from tests.fakes.eventstream import pack
from tests.fakes.ports import PARK, Agent, Script, at_rest

GOLDEN = Path(__file__).parent / "golden"
CARDS: list[dict[str, Any]] = yaml.safe_load((GOLDEN / "cost_cards.yaml").read_text(encoding="utf-8"))
LINE = re.compile(r"(\d+) × ([\d.]+) / (1000|1000000)")
USAGE_KEYS = ("usage", "usageMetadata")

parametrize = pytest.mark.parametrize("card", CARDS, ids=lambda card: card["card"].replace(" ", "-"))


def price_of(row: dict[str, Any]) -> Price:
    tiers = tuple(Tier(**_decimals(tier)) for tier in row.get("tiers", ()))
    return Price(since="2026-01-01", tiers=tiers, **_decimals({k: v for k, v in row.items() if k != "tiers"}))


def _decimals(row: dict[str, Any]) -> dict[str, Any]:
    return {name: Decimal(value) if isinstance(value, str) else value for name, value in row.items()}


def with_usage(body: Any, usage: dict[str, Any]) -> Any:
    """A golden answer or event with the card's usage where it has one."""
    if not isinstance(body, dict):
        return body
    return {
        name: usage if name in USAGE_KEYS and isinstance(value, dict) else with_usage(value, usage)
        for name, value in body.items()
    }


def plain_answer(dialect: str, usage: dict[str, Any]) -> bytes:
    answer = json.loads((GOLDEN / "responses" / dialect / "text.json").read_bytes())
    return json.dumps(with_usage(without_tier(answer), usage)).encode()


def stream(dialect: str, usage: dict[str, Any], change: Callable[[str], str] = str) -> bytes:
    folder = GOLDEN / "streams" / dialect
    text = (folder / ("text.frames" if dialect == "bedrock" else "text.sse")).read_text(encoding="utf-8")
    lines = [_line(line, usage) for line in change(text).splitlines(keepends=True)]
    return pack("".join(lines)) if dialect == "bedrock" else "".join(lines).encode()


def _line(line: str, usage: dict[str, Any]) -> str:
    head, brace, rest = line.partition("{")
    if not brace:
        return line
    return head + json.dumps(with_usage(without_tier(json.loads(brace + rest)), usage)) + "\n"


def without_tier(body: Any) -> Any:
    """The card's answer came at the standard tier."""
    return {name: value for name, value in body.items() if name != "service_tier"} if isinstance(body, dict) else body


async def booked(
    card: dict[str, Any], script: Script, caller: DialectName, *, streams: bool, leaves: bool = False
) -> Core:
    dialect = card["dialect"]
    core = Core(
        script,
        providers={"one": bundles.provider(dialect=dialect)},
        models={"alpha": bundles.model("one", window=1_000_000, prices=(price_of(card["price"]),))},
        chain=["alpha"],
    )
    asked: dict[str, Any] = {"max_tokens": 50, "messages": wire.MESSAGES}
    if caller == "openai-responses":
        asked = {"input": "Hello"}
    if caller == "gemini":
        inbound = core.inbound(b'{"contents":[{"role":"user","parts":[{"text":"Hello"}]}]}', dialect=caller)
        method = "streamGenerateContent" if streams else "generateContent"
        inbound = replace(inbound, in_path=InPath("chat", streams, method))
    else:
        inbound = core.inbound(json.dumps({"model": "chat", "stream": streams, **asked}).encode(), dialect=caller)

    async def call() -> None:
        reply = await core.pipeline.run(inbound)
        if streams:
            await reply.pump(Agent().write)  # type: ignore[union-attr]

    work = asyncio.ensure_future(call())
    if leaves:
        await at_rest()
        work.cancel()
        await asyncio.wait([work])
    else:
        await core.clock.run_out(work)
    return core


def callers_of(card: dict[str, Any]) -> list[DialectName]:
    own = card["dialect"]
    return [name for name in ("openai", "anthropic") if name != own] + ([] if own == "bedrock" else [own])


@parametrize
def test_the_bill_adds_up_by_hand(card: dict[str, Any]) -> None:
    lines = [LINE.fullmatch(line) for line in card["bill"]]
    assert all(lines), card["bill"]
    total = sum(Decimal(line[1]) * Decimal(line[2]) / Decimal(line[3]) for line in lines if line)
    assert total == Decimal(card["usd"])


@pytest.mark.parametrize("streams", [False, True], ids=["plain", "streamed"])
@parametrize
async def test_the_sidecar_books_the_card_s_dollars(card: dict[str, Any], streams: bool) -> None:
    made = stream if streams else plain_answer
    for caller in callers_of(card):
        core = await booked(card, Script((made(card["dialect"], card["usage"]),)), caller, streams=streams)
        record: CallRecord = core.sink.only
        assert (record.outcome, record.estimated, record.wasted_usd) == ("ok", False, 0)
        assert record.cost_usd == Decimal(card["usd"]), caller


CACHED = next(card for card in CARDS if card["card"].startswith("anthropic, writes"))
CHAT = next(card for card in CARDS if card["card"].startswith("openai chat"))


async def left(card: dict[str, Any], heard: bytes) -> CallRecord:
    """The record of a stream whose caller leaves when it has these bytes of it."""
    core = await booked(card, Script((heard, PARK)), card["dialect"], streams=True, leaves=True)
    core.assert_nothing_left_open()
    return core.sink.only


async def test_who_leaves_a_stream_of_anthropic_pays_the_input_that_its_beginning_counted() -> None:
    """The input stands at `message_start`; the output is not counted before the end: a token an event."""
    begun = stream("anthropic", {**CACHED["usage"], "output_tokens": 1}).partition(b"event: content_block_stop")[0]
    record = await left(CACHED, begun)
    assert (record.outcome, record.estimated) == ("client_closed", True)
    assert record.usage is not None
    assert record.usage.output_tokens == begun.count(b"event: ")
    by_hand = (2048 * Decimal(3) + 1800 * Decimal("0.30") + 148 * Decimal("3.75") + 100 * Decimal(6)) / 1_000_000
    assert record.cost_usd == by_hand + record.usage.output_tokens * Decimal(15) / 1_000_000


async def test_who_leaves_a_stream_that_counts_at_its_end_pays_the_estimate() -> None:
    """Nothing was counted yet: the input at our own estimate, the output at a token an event."""
    begun = b"".join(stream("openai", CHAT["usage"]).partition(b'"finish_reason": "stop"')[0].rpartition(b"data: ")[:1])
    record = await left(CHAT, begun)
    assert (record.outcome, record.estimated) == ("client_closed", True)
    assert record.usage is not None
    assert record.usage.input_tokens > 0
    assert record.usage.output_tokens == begun.count(b"data: ")
    by_hand = record.usage.input_tokens * Decimal("2.50") + record.usage.output_tokens * Decimal(10)
    assert record.cost_usd == by_hand / 1_000_000
