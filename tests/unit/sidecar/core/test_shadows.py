"""Shadow traffic: asked after the caller has its answer, apart from everything that callers rely on, and counted."""

import asyncio
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from schemas.bundle import Caller, Limits, QualityBar, Requirements
from schemas.record import CallRecord
from sidecar.core.shadows import BUSY_SECONDS, CLOSE_SECONDS, MAX_HELD, PAUSE_SECONDS
from sidecar.errors import Unreachable
from sidecar.routing.lots import is_mirrored
from tests.fakes import core_bundles as bundles
from tests.fakes import core_wire as wire
from tests.fakes.core import STREAM, Core, lost, status
from tests.fakes.core_bundles import shadow
from tests.fakes.ports import PARK, Script, at_rest

HANGS = Script((PARK,))


def core(*shadow_scripts: Script, chain: tuple[str, ...] = ("alpha",), **rules: Any) -> Core:
    return Core(chain=chain, shadow_scripts=shadow_scripts, **{"shadow": shadow()} | rules)


async def answered(made: Core, body: bytes | None = None, **inbound: Any) -> None:
    """A call, and its reply in the caller's hands."""
    reply = await made.run(body, **inbound)
    if reply.after is not None:
        reply.after()
    await made.clock.turn(PAUSE_SECONDS)


async def cut_off(made: Core) -> None:
    for task in made.shadows._tasks:
        task.cancel()
    await at_rest()


def shadows_of(made: Core) -> list[CallRecord]:
    return [record for record in made.sink.booked if record.shadow is not None]


async def test_it_is_asked_what_the_caller_was_answered_and_both_sides_are_in_its_record() -> None:
    bar = QualityBar(checks=("complete", "json_valid"))
    made = core(Script((wire.chat_answer("no JSON"),)), bar=bar)
    made.upstream._scripts = [Script((wire.chat_answer("{}"),))]
    await answered(made, wire.request(response_format={"type": "json_object"}, temperature=0.5))
    live, mirrored = made.sink.booked
    (sent,) = made.shadow_upstream.sent
    asked = json.loads(sent.body)
    assert (asked["model"], asked["messages"], asked["temperature"]) == ("two-name", wire.MESSAGES, 0.5)
    assert sent.headers == {"x-pointsman-request-id": "pm-1.shadow"}
    assert (mirrored.id, mirrored.reason, mirrored.outcome, mirrored.model) == ("pm-1.shadow", "shadow", "ok", "beta")
    assert mirrored.quality == {"complete": "pass", "json_valid": "fail"}
    assert mirrored.cost_usd == Decimal("0.00006")
    assert mirrored.shadow is not None
    assert (mirrored.shadow.call, mirrored.shadow.model) == (live.id, "alpha")
    assert (mirrored.shadow.quality, mirrored.shadow.cost_usd) == (live.quality, live.cost_usd)
    assert made.sink.shadows == {("sent", ""): 1}
    assert made.sink.observed == [live], "no call of anybody's"
    assert made.recent.get(mirrored.id) is None


async def test_a_stream_is_mirrored_plain() -> None:
    made = core()
    made.upstream._scripts = [STREAM]
    reply = await made.run(wire.request(stream=True, stream_options={"include_usage": True}))
    got: list[bytes] = []

    async def write(data: bytes) -> None:
        got.append(data)

    await reply.pump(write)  # type: ignore[union-attr]
    assert made.shadow_upstream.sent == []
    reply.after()  # type: ignore[misc]
    assert made.shadow_upstream.sent == [], "not while the caller may ask again at once"
    await made.clock.turn(PAUSE_SECONDS)
    assert b"stream" not in made.shadow_upstream.sent[0].body
    assert made.sink.shadows == {("sent", ""): 1}


@pytest.mark.parametrize(
    ("rules", "inbound", "body", "reason"),
    [
        ({}, {"headers": {"x-pointsman-shadow": "off"}}, {}, "opt_out"),
        ({"shadow": shadow(no_agents=("legal-*",))}, {"headers": {"x-pointsman-agent": "legal-bot"}}, {}, "opt_out"),
        ({"shadow": shadow(no_callers=("bot",))}, {"caller": Caller(name="bot", key_sha256="")}, {}, "opt_out"),
        ({"shadow": shadow(model="alpha")}, {}, {}, "same_model"),
        ({}, {"headers": {"x-pointsman-target": "alpha"}}, {}, "pinned"),
        ({}, {}, {"web_search_options": {}}, "server_tools"),
        ({}, {}, {"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "cannot_carry.tool"),
        ({"capabilities": ()}, {}, {"tools": [{"type": "function", "function": {"name": "x"}}]}, "capability.tools"),
        ({"requires": Requirements(regions=("eu",))}, {}, {}, "region"),
        ({"requires": Requirements(zero_retention=True)}, {}, {}, "zero_retention"),
        ({"window": 5}, {}, {}, "context_window"),
        ({"prices": ()}, {}, {}, "no_price"),
        ({"provider": {"caller_key": True}}, {}, {}, "caller_key"),
        ({"provider": {"limits": Limits(concurrency=1)}}, {}, {}, "limit.provider.concurrency"),
        ({"shadow": shadow(per_day="0.00001")}, {}, {}, "shadow.per_day"),
    ],
)
async def test_a_call_that_must_not_be_mirrored_is_counted_with_the_reason(
    rules: dict[str, Any], inbound: dict[str, Any], body: Mapping[str, Any], reason: str
) -> None:
    of_model = {name: rules.pop(name) for name in ("window", "prices", "capabilities") if name in rules}
    data: dict[str, Any] = {"regions": ("eu",), "zero_retention": True}
    providers = {"one": bundles.provider(**data), "two": bundles.provider(**rules.pop("provider", {}))}
    models = {
        "alpha": bundles.model("one"),
        "beta": bundles.model("two", vendor="other", **of_model),
    }
    made = core(providers=providers, models=models, **rules)
    await answered(made, wire.request(**body), **inbound)
    assert made.sink.shadows == {("skipped", reason): 1}
    assert made.shadow_upstream.sent == []
    assert made.sink.only.outcome == "ok"


async def test_what_was_not_answered_is_not_mirrored() -> None:
    made = core()
    made.upstream._scripts = [Script((wire.CONTENT, PARK))]
    reply = await made.run(wire.request(stream=True))
    task = asyncio.ensure_future(reply.pump(lambda _data: asyncio.sleep(0)))  # type: ignore[union-attr]
    await at_rest()
    task.cancel()
    await at_rest()
    reply.after()  # type: ignore[misc]
    assert (made.sink.only.outcome, made.sink.shadows) == ("client_closed", {})


@pytest.mark.parametrize(
    ("script", "outcome", "is_billed"),
    [
        (lost(Unreachable("down")), "unreachable", False),
        (status(429), "throttled", False),
        (status(500), "server_fault", False),
        (status(401), "provider_auth", False),
        (Script((b"<html>",)), "malformed_answer", True),
        (Script((RuntimeError("a bug"),)), "gateway_error", True),
    ],
)
async def test_one_that_fails_is_counted_and_nothing_that_callers_rely_on_has_changed(
    script: Script, outcome: str, is_billed: bool
) -> None:
    made = core(script, chain=("alpha", "beta"))
    for _ in range(20):
        await answered(made)
    assert {record.outcome for record in shadows_of(made)} == {outcome}
    first = shadows_of(made)[0]
    assert (first.usage, first.cost_usd, first.wasted_usd > 0) == (None, None, is_billed)
    assert made.sink.shadows["failed", outcome] >= 5
    assert sum(made.sink.shadows.values()) == 20
    if outcome in ("unreachable", "server_fault", "malformed_answer"):
        assert made.sink.shadows["skipped", "breaker_open"] > 0
    books = made.pipeline.books
    assert books.health.resting(made.clock.monotonic()) == {}
    plan = made.pipeline.explain(made.inbound())
    assert [step.target.model for step in plan.steps] == ["alpha", "beta"]


async def test_a_429_that_names_a_time_is_heeded() -> None:
    made = core(Script((b"{}",), status=429, headers={"retry-after": "60"}))
    for _ in range(3):
        await answered(made)
    assert made.sink.shadows == {("failed", "throttled"): 1, ("skipped", "throttled"): 2}
    await made.clock.turn(61)
    await answered(made)
    assert made.sink.shadows["failed", "throttled"] == 2


async def test_one_that_hangs_holds_its_places_and_a_short_queue_and_the_rest_is_skipped() -> None:
    made = core(HANGS, shadow=shadow(concurrency=2))
    calls = 2 + MAX_HELD + 3
    for _ in range(calls):
        await answered(made)
    assert len(made.sink.booked) == calls, "callers have waited for nothing"
    assert len(made.shadow_upstream.sent) == 2
    assert made.sink.shadows == {("skipped", "queue_full"): 3}
    made.shadows.stop_taking()
    await cut_off(made)


async def test_where_calls_wait_for_the_processor_shadows_are_left_out() -> None:
    made = core()
    reply = await made.run()
    reply.after()  # type: ignore[misc]
    (timer,) = made.clock.waiting()
    made.clock._elapsed += PAUSE_SECONDS + 2 * BUSY_SECONDS
    timer.callback()
    assert made.sink.shadows == {("skipped", "busy"): 1}


async def test_what_waits_is_asked_when_a_place_is_free() -> None:
    gate = asyncio.Event()
    made = core(Script((gate, wire.chat_answer())), shadow=shadow(concurrency=1))
    for _ in range(3):
        await answered(made)
    assert len(made.shadow_upstream.sent) == 1
    gate.set()
    await at_rest()
    assert made.sink.shadows == {("sent", ""): 3}
    assert [record.id for record in shadows_of(made)] == ["pm-1.shadow", "pm-2.shadow", "pm-3.shadow"]


async def test_the_budget_counts_what_is_in_flight_and_what_was_spent() -> None:
    gate = asyncio.Event()
    # At 50 tokens of output and a few of input, two are reserved for, and a third is not.
    made = core(Script((gate, wire.chat_answer())), shadow=shadow(per_day="0.0017"))
    for _ in range(4):
        await answered(made)
    assert made.sink.shadows == {("skipped", "shadow.per_day"): 2}
    gate.set()
    await at_rest()
    await answered(made)
    assert made.sink.shadows["sent", ""] == 3, "what was really spent is less than what was reserved"


async def test_a_shutdown_drops_what_waits_waits_for_a_moment_and_books_what_is_cut_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sidecar.core.shadows.CLOSE_SECONDS", CLOSE_SECONDS / 100)
    made = core(HANGS, shadow=shadow(concurrency=1))
    for _ in range(3):
        await answered(made)
    reply = await made.run()
    reply.after()  # type: ignore[misc]
    made.shadows.stop_taking()
    assert made.sink.shadows == {("skipped", "shutdown"): 3}, "two that wait, and one in its pause"
    await answered(made)
    await made.shadows.close()
    assert made.sink.shadows == {("skipped", "shutdown"): 4, ("failed", "not_ready"): 1}
    (cut,) = shadows_of(made)
    assert (cut.outcome, cut.usage, cut.estimated, cut.wasted_usd > 0) == ("not_ready", None, True, True)
    assert made.shadow_upstream.answers[0].times_closed == 1


async def test_every_attempt_is_on_disk_before_it_leaves() -> None:
    made = core(HANGS)
    await answered(made)
    (begun,) = [record for record in made.sink.begun if record.shadow is not None]
    assert (begun.id, begun.outcome, begun.shadow and begun.shadow.call) == ("pm-1.shadow", "unknown_outcome", "pm-1")
    assert begun.wasted_usd > 0
    await cut_off(made)


def test_a_larger_share_takes_calls_in_and_leaves_none_out() -> None:
    few, many = (bundles.snapshot(shadow=shadow(percent=percent)).use_cases["chat"] for percent in (5, 20))
    assert few.shadow is not None
    assert many.shadow is not None
    ids = [f"pm-{number}" for number in range(5_000)]
    first = {call for call in ids if is_mirrored("chat", few.shadow, call)}
    later = {call for call in ids if is_mirrored("chat", many.shadow, call)}
    assert first < later
    assert 200 < len(first) < 300
    assert 900 < len(later) < 1_100
