"""Recorded calls under other rules: where they go, what they cost, which ceilings have a say."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.plan.recorded import UnreadableCall, parse_lines
from controller.plan.replay import Replay
from controller.plan.side import Side
from schemas.record import CallFacts
from tests.system.rules import use_case

from .rules import call, side

EACH = Decimal("0.0045")
"""1000 tokens at 3 dollars a million, 100 at 15."""
GREEN = Decimal("0.006")


def replayed(before: Side, after: Side, calls: int = 20, **more: Any) -> Replay:
    replay = Replay(before, after)
    for number in range(calls):
        replay.add(call(number, **more))
    return replay


def moves(replay: Replay) -> dict[tuple[str, str], int]:
    return {(str(flow.before), str(flow.after)): money.calls for flow, money in replay.flows.items()}


def test_a_changed_primary_moves_every_call() -> None:
    replay = replayed(side(), side(use_case("green", "red")))
    assert moves(replay) == {("red@red-maker", "green@green-maker"): 20}
    assert (replay.total.before_usd, replay.total.after_usd) == (20 * EACH, 20 * GREEN)


def test_a_rule_moves_those_that_it_matches() -> None:
    long = use_case("red", more="rules:\n  - {when: {input_tokens: {over: 1000}}, primary: green}\n")
    replay = Replay(side(), side(long))
    for number, tokens in enumerate((999, 1000, 1001, 5000)):
        replay.add(call(number, facts=CallFacts(tokens)))
    assert moves(replay) == {("red@red-maker", "red@red-maker"): 2, ("red@red-maker", "green@green-maker"): 2}


def test_a_lower_ceiling_trips_in_the_course_of_the_day_and_opens_the_next() -> None:
    tight = use_case("red", "green", more=f"cost_ceiling: {{per_day: {3 * EACH}, then: [green]}}\n")
    replay = Replay(side(), side(tight))
    for number in (*range(5), *range(24 * 60, 24 * 60 + 5)):
        replay.add(call(number))
    trip = replay.trips["support", "cost_ceiling.per_day", "after"]
    assert (trip.calls, len(trip.days), trip.first_at) == (4, 2, "2026-11-01T00:03:00.000Z")


def test_an_outage_is_a_replay_with_its_targets_down() -> None:
    replay = replayed(side(), side(resting={"red-maker": "down"}))
    assert moves(replay) == {("red@red-maker", "green@green-maker"): 20}
    alone = replayed(side(), side(use_case("red"), resting={"red-maker": "down"}))
    assert {after for _, after in moves(alone)} == {"refused (no_target)"}


def test_a_use_case_that_is_gone_refuses_its_calls() -> None:
    replay = replayed(side(), side(use_case("red", name="support")), use_case="search")
    assert moves(replay) == {("refused (no_use_case)", "refused (no_use_case)"): 20}


def test_a_split_moves_its_share_the_same_conversations_each_time() -> None:
    half = use_case("red", more="split: [{model: green, percent: 50}]\n")
    one, other = (
        Replay(side(), side(half)),
        Replay(side(), side(half)),
    )
    for replay in (one, other):
        for number in range(400):
            replay.add(call(number, conversation=f"{number:032x}"))
    assert moves(one) == moves(other)
    assert 140 <= moves(one)["red@red-maker", "green@green-maker"] <= 260


def test_what_cannot_be_replayed_is_counted() -> None:
    replay = Replay(side(), side())
    replay.add(call(5))
    replay.add(call(4))
    replay.add(call(6, facts=None))
    replay.add(call(7, input_tokens=None, attempts=()))
    assert (replay.out_of_order, replay.without_facts, replay.total.without_usage, replay.total.calls) == (1, 1, 1, 2)


CALLS = st.fixed_dictionaries(
    {
        "facts": st.builds(
            CallFacts,
            st.integers(0, 300_000),
            st.none() | st.integers(1, 9000),
            st.sampled_from([(), ("tools",), ("vision",)]),
        ),
        "stream": st.booleans(),
        "agent": st.sampled_from(["", "bot"]),
        "conversation": st.sampled_from(["", "a" * 32, "b" * 32]),
    }
)


@given(st.lists(CALLS, max_size=30))
def test_equal_rules_move_nothing_and_cost_the_same(facts: list[dict[str, Any]]) -> None:
    text = use_case(
        "red", "green",
        more="sticky: {by: conversation}\nsplit: [{model: green, percent: 30}]\n"
        f"cost_ceiling: {{per_day: {5 * EACH}, per_request: 0.02, then: [green]}}\n"
        "rules:\n  - {when: {agent: b*, stream: true}, primary: green}\n",
    )  # fmt: skip
    replay = Replay(side(text), side(text))
    for number, more in enumerate(facts):
        replay.add(call(number, **more))
    assert all(flow.before == flow.after for flow in replay.flows)
    assert replay.total.before_usd == replay.total.after_usd


@pytest.mark.parametrize(("answered", "tells"), [(19, False), (20, True)])
def test_few_answers_tell_no_percentile(answered: int, tells: bool) -> None:
    replay = replayed(side(), side(), calls=answered)
    assert replay.figures["support", "red"].tells is tells


@pytest.mark.parametrize("at", ["yesterday", "", "2026-11-01T00:00:00"])
def test_a_call_without_a_time_is_named(at: str) -> None:
    with pytest.raises(UnreadableCall, match="call-0"):
        replayed(side(), side(), calls=1, at=at)


@pytest.mark.parametrize("line", [b"{", b"[]", b"5", b'{"id": "a"}', b"\xff", b'{"x":' + b"[" * 90_000])
def test_a_line_that_is_no_call_is_named(line: bytes) -> None:
    with pytest.raises(UnreadableCall, match="line 2"):
        list(parse_lines([b"\n", line]))
