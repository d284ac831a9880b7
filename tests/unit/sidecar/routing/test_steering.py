"""What a controller decides of a canary, over the rules as they are written."""

from decimal import Decimal
from typing import Any

import pytest

from schemas.bundle import Share, Steered
from sidecar.routing.facts import Facts
from sidecar.routing.plan import Plan, Spend, plan
from sidecar.routing.steering import steered
from tests.fakes import core_bundles as bundles
from tests.unit.sidecar.routing.test_plan import AT

MODELS = {name: bundles.model("one") for name in ("alpha", "beta", "gamma")}
CONVERSATIONS = range(400)


def by(percent: str, model: str = "beta") -> dict[str, Steered]:
    return {"chat": Steered(model=model, canary_percent=Decimal(percent), reason=f"now {percent} %")}


def plans(steering: dict[str, Steered], resting: dict[str, str] | None = None, **rules: Any) -> list[Plan]:
    written = bundles.snapshot(models=MODELS, chain=["alpha"], **{"canary": share("5")} | rules)
    use_case = steered(written, steering).use_cases["chat"]
    return [
        plan(use_case, Facts(conversation=f"c-{number}"), resting=resting or {}, spend=Spend(), at=AT)
        for number in CONVERSATIONS
    ]


def share(percent: str, model: str = "beta") -> Share:
    return Share(model=model, percent=Decimal(percent))


@pytest.mark.parametrize(
    ("steering", "told"),
    [
        ({}, {("alpha", 0.95, ""), ("beta", 0.05, "")}),
        (by("25"), {("alpha", 0.75, "now 25 %"), ("beta", 0.25, "now 25 %")}),
        (by("100"), {("beta", 1.0, "now 100 %")}),
        (by("0"), {("", None, "now 0 %")}),
        # Another canary, another use case, and what is no percentage: the rules as they are written.
        (by("25", "gamma"), {("alpha", 0.95, ""), ("beta", 0.05, "")}),
        ({"other": by("25")["chat"]}, {("alpha", 0.95, ""), ("beta", 0.05, "")}),
        *((by(bad), {("alpha", 0.95, ""), ("beta", 0.05, "")}) for bad in ("-1", "101", "NaN", "Infinity")),
    ],
)
def test_arm_chance_and_reason_are_those_of_the_share_that_counts(
    steering: dict[str, Steered], told: set[tuple[str, float | None, str]]
) -> None:
    assert {(made.arm, made.propensity, made.steering) for made in plans(steering)} == told


def test_who_was_in_the_canary_stays_in_it_as_it_grows() -> None:
    in_it: set[int] = set()
    for steering in ({}, by("5"), by("25"), by("50"), by("100")):
        drawn = {number for number, made in zip(CONVERSATIONS, plans(steering), strict=True) if made.arm == "beta"}
        assert in_it <= drawn
        in_it = drawn
    assert len(in_it) == len(CONVERSATIONS)


def test_a_canary_that_was_taken_back_leaves_the_split_as_it_is() -> None:
    made = plans(by("0"), split=(share("50", "gamma"),))
    assert {(one.arm, one.propensity, one.steering) for one in made} == {
        ("alpha", 0.5, "now 0 %"), ("gamma", 0.5, "now 0 %"),
    }  # fmt: skip


@pytest.mark.parametrize(("steering", "first"), [({}, "beta"), (by("100"), "beta"), (by("0"), "alpha")])
def test_a_conversation_leaves_a_canary_that_was_taken_back_though_it_is_a_fallback(
    steering: dict[str, Steered], first: str
) -> None:
    written = bundles.snapshot(models=MODELS, chain=["alpha", "beta"], canary=share("5"), sticky=True)
    use_case = steered(written, steering).use_cases["chat"]
    facts = Facts(conversation="c-0")
    made = plan(use_case, facts, resting={}, spend=Spend(), at=AT, answered_by="beta@one")
    assert made.steps[0].target.model == first


def test_a_draw_without_the_canary_is_no_draw_of_its_step() -> None:
    """Or calls that could not go to it would count as calls that its lot had sent elsewhere."""
    made = plans(by("25"), {"beta": "breaker_open"}, split=(share("50", "gamma"),))
    assert {(one.arm, one.steering) for one in made} == {("alpha", ""), ("gamma", "")}
    assert {(one.arm, one.steering) for one in plans(by("25"), {"beta": "breaker_open"})} == {("", "")}
