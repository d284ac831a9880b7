"""Taken at once, or in turn: the same calls pass, and what is taken is the same."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.bundle import Limits
from sidecar.limiter.rates import Rates
from sidecar.limiter.scopes import Meters, Taken, closed, take_at_once
from sidecar.limits.fleet import FleetSize
from sidecar.limits.meters import RateMeter, SlotMeter
from sidecar.limits.rules import Refusal, rules_of
from tests.fakes.ports import HandClock
from tests.fakes.spend import Verdicts


def meters(name: str = "chat", **limits: Any) -> Meters:
    rules = rules_of("use_case", name, document := Limits(**limits))
    places = SlotMeter(rules.pop("concurrency")) if "concurrency" in rules else None
    return Meters(document, {kind: RateMeter(rule) for kind, rule in rules.items()}, places)


def take(scopes: Sequence[Meters], tokens: int = 1, now: float = 0.0, sidecars: int = 1) -> Taken | None:
    return take_at_once(scopes, tokens, sidecars, now, Verdicts())


def test_each_rule_is_charged_what_it_counts_and_says_so_once() -> None:
    verdicts = Verdicts()
    scope = meters(requests_per_minute=60, tokens_per_minute=600, concurrency=1)
    taken = take_at_once([scope], 20, 1, 0.0, verdicts)
    assert taken is not None
    assert [(charge.meter.rule.kind, charge.amount) for charge in taken.charges] == [
        ("requests_per_minute", 1), ("tokens_per_minute", 20),
    ]  # fmt: skip
    assert taken.places == [scope.places]
    assert [rule.rpartition(".")[2] for rule, said in verdicts.all if said == "allowed"] == [
        "concurrency", "requests_per_minute", "tokens_per_minute",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "narrow",
    [{"requests_per_minute": 30}, {"tokens_per_minute": 30}, {"concurrency": 1}],
)
def test_one_rule_that_refuses_leaves_all_of_them_untouched(narrow: dict[str, int]) -> None:
    wide = meters("wide", requests_per_minute=60_000, tokens_per_minute=60_000, concurrency=1_000)
    small = meters("small", **narrow)
    assert take([small], tokens=1) is not None
    assert take([wide, small], tokens=1_000) is None
    assert wide.places is not None
    assert wide.places.slots.in_use == 0
    assert all(meter.alone(1, 0.0).reset_seconds(0.0) == 0.0 for meter in wide.rates.values())


@pytest.mark.parametrize(
    ("limits", "kind"),
    [
        ({"requests_per_minute": 30}, "requests_per_minute"),
        ({"tokens_per_minute": 30}, "tokens_per_minute"),
        ({"concurrency": 1}, "concurrency"),
    ],
)
def test_a_rule_is_closed_while_it_would_refuse_and_never_in_shadow(limits: dict[str, int], kind: str) -> None:
    scope, shadow = meters(**limits), meters(**limits, enforce=False)
    assert closed(scope, 1, 1, 0.0) is None
    assert take([scope]) is not None
    assert take([shadow]) is not None
    rule = closed(scope, 1, 1, 0.0)
    assert rule is not None
    assert rule.kind == kind
    assert closed(shadow, 1, 1, 0.0) is None


def test_sidecars_share_a_limit() -> None:
    scope = meters(concurrency=4)
    assert take([scope], sidecars=4) is not None
    assert take([scope], sidecars=4) is None
    assert take([scope], sidecars=2) is not None


@given(
    st.lists(st.tuples(st.integers(1, 900), st.floats(0.0, 3.0), st.integers(1, 3)), max_size=25),
)
async def test_what_passes_at_once_is_what_passes_in_turn(steps: list[tuple[int, float, int]]) -> None:
    """Tokens, seconds until then, sidecars."""
    clock, fleet = HandClock(), FleetSize()
    rates = Rates(clock, fleet, None, Verdicts())
    limits = {"requests_per_minute": 60, "tokens_per_minute": 6_000}
    at_once, in_turn = meters(**limits), meters(**limits)
    for tokens, seconds, sidecars in steps:
        clock.jump(seconds)
        fleet.report(sidecars, clock.monotonic())
        live = fleet.live(clock.monotonic())
        passed = take([at_once], tokens, clock.monotonic(), live) is not None
        assert passed is not isinstance(await rates.take(in_turn.needs(tokens)), Refusal)
