"""The quality bar of one call: a plain answer that fails a check leads to one call of a better model, never to less."""

import asyncio
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from schemas.bundle import Ceiling, HardCeiling, QualityBar
from sidecar.core.call import CallFailed, PlainReply
from sidecar.errors import StreamCut, Unreachable
from sidecar.routing.facts import Facts
from sidecar.routing.quality_window import is_quality_probe
from tests.fakes import core_bundles as bundles
from tests.fakes import core_wire as wire
from tests.fakes.core import GOOD, Core, lost, status
from tests.fakes.ports import PARK, Script, at_rest

JSON = {"response_format": {"type": "json_object"}}
BAR = QualityBar(checks=("complete", "json_valid"), then=("beta",))


def says(text: str) -> Script:
    return Script((wire.chat_answer(text),))


def core(*scripts: Script, bar: QualityBar = BAR, **rules: Any) -> Core:
    return Core(*scripts, chain=["alpha"], bar=bar, **rules)


def text_of(reply: object) -> str:
    assert isinstance(reply, PlainReply)
    return str(json.loads(reply.body)["choices"][0]["message"]["content"])


async def test_an_answer_that_passes_is_handed_over_and_the_record_says_so() -> None:
    made = core(says('{"a": 1}'))
    assert text_of(await made.run(wire.request(**JSON))) == '{"a": 1}'
    assert made.sink.only.quality == {"complete": "pass", "json_valid": "pass"}
    assert made.upstream.models == ["alpha@one"]


async def test_a_check_with_nothing_to_look_at_is_not_on_the_record() -> None:
    made = core(says("no JSON, and none was asked for"))
    await made.run()
    assert made.sink.only.quality == {"complete": "pass"}


async def test_without_a_bar_nothing_is_checked() -> None:
    made = Core(says("no JSON"))
    await made.run(wire.request(**JSON))
    assert made.sink.only.quality == {}


async def test_an_answer_below_the_bar_leads_to_the_better_model_and_both_are_paid() -> None:
    made = core(says("no JSON"), says("{}"))
    reply = await made.run(wire.request(**JSON))
    record = made.sink.only
    assert text_of(reply) == "{}"
    assert reply.headers["x-pointsman-reason"] == record.reason == "quality_escalation.json_valid"
    assert (record.model, record.quality) == ("beta", {"complete": "pass", "json_valid": "pass"})
    assert [(tried.model, tried.outcome) for tried in record.attempts] == [("alpha", "below_bar"), ("beta", "ok")]
    assert record.wasted_usd == record.attempts[0].cost_usd == Decimal("0.00006")
    assert record.cost_usd == record.attempts[1].cost_usd


async def test_the_better_answer_is_handed_over_even_where_it_fails_too() -> None:
    made = core(says("no"), says("neither"))
    assert text_of(await made.run(wire.request(**JSON))) == "neither"
    assert made.sink.only.quality == {"complete": "pass", "json_valid": "fail"}
    assert len(made.upstream.sent) == 2, "one call of a better model, not more"


@pytest.mark.parametrize("broken", [status(500), status(400), status(429), lost(Unreachable("down"))])
async def test_where_the_better_model_fails_the_caller_gets_what_is_in_hand(broken: Script) -> None:
    made = core(says("no JSON"), broken)
    reply = await made.run(wire.request(**JSON))
    record = made.sink.only
    assert text_of(reply) == "no JSON"
    assert reply.headers["x-pointsman-model"] == record.model == "alpha"
    assert (record.outcome, record.reason, record.quality["json_valid"]) == ("ok", "primary", "fail")
    assert record.attempts[-1].model == "alpha"
    assert record.cost_usd == Decimal("0.00006")


async def test_a_better_model_that_hangs_costs_the_deadline_and_not_the_answer() -> None:
    made = core(says("no JSON"), Script((PARK,)))
    reply = await made.pipeline.run(made.inbound(wire.request(**JSON), headers={"x-pointsman-deadline": "0.05"}))
    assert text_of(reply) == "no JSON"
    assert made.sink.only.outcome == "ok"


async def test_a_call_that_would_cost_too_much_with_both_keeps_its_answer() -> None:
    ceiling = Ceiling(per_request=Decimal("0.00084"))
    made = core(says("no JSON"), says("{}"), ceiling=ceiling)
    assert text_of(await made.run(wire.request(**JSON))) == "no JSON"
    assert [item.reason for item in made.sink.only.skipped] == ["cost_ceiling.per_request"]


@pytest.mark.parametrize(("stream", "passes"), [(True, True), (False, False)])
async def test_money_for_a_better_answer_is_held_only_where_one_may_be_asked(stream: bool, passes: bool) -> None:
    """The ceiling holds one answer and not two: a stream, which is asked once, needs no more."""
    ceiling = Ceiling(per_day=Decimal("0.0010"), hard=HardCeiling(per_day=Decimal("0.0010")))
    script = Script((wire.OPENING + wire.CONTENT + wire.FINISH + wire.USAGE + wire.DONE,)) if stream else says("{}")
    made = core(script, ceiling=ceiling)
    asked = made.run(wire.request(stream=stream, **JSON))
    if passes:
        await asked
        return
    with pytest.raises(CallFailed) as failed:
        await asked
    assert failed.value.error.status == 402


async def test_a_bar_that_rejects_answers_with_an_error_that_names_the_check() -> None:
    made = core(says("no JSON"), bar=QualityBar(checks=("json_valid",), reject=True))
    with pytest.raises(CallFailed) as failed:
        await made.run(wire.request(**JSON))
    assert (failed.value.error.status, failed.value.error.code) == (502, "below_bar")
    assert '"json_valid"' in failed.value.error.message
    record = made.sink.only
    assert (record.outcome, record.quality, record.wasted_usd) == (
        "below_bar", {"json_valid": "fail"}, Decimal("0.00006"),
    )  # fmt: skip


async def test_a_caller_that_leaves_during_the_second_call_pays_for_both() -> None:
    made = core(says("no JSON"), Script((PARK,)))
    work = asyncio.ensure_future(made.pipeline.run(made.inbound(wire.request(**JSON))))
    await at_rest()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    record = made.sink.only
    assert [tried.outcome for tried in record.attempts] == ["below_bar", "client_closed"]
    assert record.wasted_usd == Decimal("0.00006")
    assert record.cost_usd is not None


async def test_a_model_below_the_bar_is_not_an_unhealthy_one() -> None:
    made = core(*[says("no JSON"), says("{}")] * 8)
    for _ in range(8):
        await made.run(wire.request(**JSON))
    assert made.pipeline.books.health.resting(made.clock.monotonic()) == {}


async def test_the_explanation_names_who_would_be_asked() -> None:
    made = core(models={
        "alpha": bundles.model("one"), "beta": bundles.model("two", capabilities=()), "gamma": bundles.model("two"),
    }, bar=QualityBar(checks=("complete",), then=("beta", "gamma")))  # fmt: skip
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
    plan = made.pipeline.explain(made.inbound(wire.request(tools=tools)))
    assert [target.model for target in plan.better] == ["gamma"]


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
async def test_a_translated_answer_is_checked_as_the_caller_reads_it(dialect: Any) -> None:
    made = core(says(""), GOOD)
    reply = await made.run(dialect=dialect)
    assert reply.headers["x-pointsman-reason"] == "quality_escalation.complete"


async def test_a_model_that_fails_too_often_gives_way_but_for_its_probes() -> None:
    bar = QualityBar(checks=("json_valid",), then=("beta",), min_score=Decimal("0.9"))
    made = core(*[says("no JSON"), says("{}")] * 10, *[says("{}")] * 200, bar=bar)
    for _ in range(10):
        await made.run(wire.request(**JSON))
    made.sink.booked.clear()
    for _ in range(60):
        await made.run(wire.request(**JSON))
    first = [(record.model, record.reason) for record in made.sink.booked]
    probes = first.count(("alpha", "primary"))
    assert probes == sum(is_quality_probe(record.id) for record in made.sink.booked) > 0
    assert first.count(("beta", "quality_bar.rolling")) == 60 - probes
    plan = made.pipeline.plan_for(made.snapshot.use_cases["chat"], Facts(), datetime(2026, 11, 2, tzinfo=UTC))
    assert [(step.target.model, step.reason) for step in plan.steps] == [
        ("beta", "quality_bar.rolling"), ("alpha", "primary"),
    ]  # fmt: skip


@pytest.mark.parametrize(("text", "verdict"), [("{}", "pass"), ("no JSON", "fail")])
async def test_a_stream_is_checked_when_it_has_ended_and_passed_on_as_it_is(text: str, verdict: str) -> None:
    chunks = (wire.OPENING, wire.chat_chunk({"content": text}), wire.FINISH, wire.USAGE, wire.DONE)
    made, plain = core(Script(chunks)), Core(Script(chunks))
    assert await made.stream(**JSON) == await plain.stream(**JSON)
    assert made.sink.only.quality == {"complete": "pass", "json_valid": verdict}
    assert len(made.upstream.sent) == 1


async def test_a_stream_that_breaks_says_nothing_of_the_model_s_quality() -> None:
    made = core(Script((wire.CONTENT, StreamCut("cut"))))
    await made.stream(**JSON)
    assert made.sink.only.quality == {}
