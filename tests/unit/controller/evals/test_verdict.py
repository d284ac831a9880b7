"""The table from verdict, cost and guardrails to what is done."""

from dataclasses import replace
from typing import Any

import pytest

from controller.evals.decision import Decision
from controller.evals.verdict import Verdict, points, verdict_of

from .results import changed, compared, two_models

BETTER = (300, 80, 20, 100)
SAME = (480, 6, 6, 108)
WORSE = (250, 20, 120, 110)
UNSURE = (343, 28, 29, 100)
UNSURE_AND_LOWER = (343, 20, 36, 101)
DEAR, EQUAL, CHEAP, VERY_CHEAP = "0.02", "0.01", "0.006", "0.002"

TABLE: list[tuple[tuple[int, int, int, int], str, dict[str, Any], Verdict, str, tuple[str, ...]]] = [
    (BETTER, DEAR, {}, "superior", "promote", ()),
    (BETTER, DEAR, {"ceiling_usd": 0.03}, "superior", "promote", ()),
    (BETTER, DEAR, {"ceiling_usd": 0.015}, "superior", "quality_fallback", ()),
    (SAME, CHEAP, {}, "non_inferior", "promote", ()),
    (SAME, EQUAL, {}, "non_inferior", "keep", ("diversity_fallback",)),
    (SAME, "0.0095", {}, "non_inferior", "keep", ("diversity_fallback",)),
    (SAME, "0.0095", {"min_saving": 0.02}, "non_inferior", "promote", ()),
    (UNSURE, CHEAP, {}, "inconclusive", "need_more", ()),
    (UNSURE, DEAR, {}, "inconclusive", "keep", ()),
    (UNSURE_AND_LOWER, CHEAP, {}, "inconclusive", "keep", ()),
    (UNSURE_AND_LOWER, CHEAP, {"floor": 0.6}, "inconclusive", "keep", ("cost_fallback",)),
    (UNSURE_AND_LOWER, CHEAP, {"floor": 0.9}, "inconclusive", "keep", ()),
    (WORSE, VERY_CHEAP, {"floor": 0.45}, "inferior", "cost_fallback", ()),
    (WORSE, VERY_CHEAP, {"floor": 0.6}, "inferior", "keep", ()),
    (WORSE, VERY_CHEAP, {}, "inferior", "keep", ()),
    (WORSE, CHEAP, {"floor": 0.45}, "inferior", "keep", ()),
    (SAME, CHEAP, {"min_samples": 601}, "inconclusive", "need_more", ()),
    (BETTER, DEAR, {"max_latency_ratio": 1.3}, "superior", "keep", ()),
    (SAME, CHEAP, {"max_refusals": 0.02}, "non_inferior", "promote", ()),
]  # fmt: skip


@pytest.mark.parametrize(("counts", "usd", "asked", "verdict", "action", "also"), TABLE)
def test_action(
    counts: tuple[int, int, int, int],
    usd: str,
    asked: dict[str, Any],
    verdict: Verdict,
    action: str,
    also: tuple[str, ...],
) -> None:
    outcome = compared(two_models(*counts, new_usd=usd), **asked).outcome
    assert (outcome.verdict, outcome.action, outcome.also) == (verdict, action, also)
    assert outcome.verdict_reason.endswith(".")
    assert outcome.action_reason.endswith(".")


@pytest.mark.parametrize(("counts", "asked"), [(SAME, {}), (BETTER, {"ceiling_usd": 0.03}), (WORSE, {"floor": 0.4})])
def test_unknown_costs_never_count_as_saving(counts: tuple[int, int, int, int], asked: dict[str, Any]) -> None:
    old, new = two_models(*counts)
    free = changed(new, lambda i, row: {"cost_usd": None})
    outcome = compared((old, free), accepted=frozenset({"L8"}), **asked).outcome
    assert outcome.action == "keep"


@pytest.mark.parametrize(
    ("old_ms", "new_ms", "action"), [(100, 125, "promote"), (100, 140, "keep"), (100, None, "keep")]
)
def test_guardrail_on_latency(old_ms: float, new_ms: float | None, action: str) -> None:
    old, new = two_models(*SAME, new_usd=CHEAP)
    rows = changed(old, lambda i, row: {"latency_ms": old_ms}), changed(new, lambda i, row: {"latency_ms": new_ms})
    found = compared(rows, max_latency_ratio=1.3)
    assert (found.outcome.verdict, found.outcome.action) == ("non_inferior", action)


def test_guardrail_on_refusals() -> None:
    old, new = two_models(*SAME, new_usd=CHEAP)
    refusing = changed(new, lambda i, row: {"status": "refusal"} if i % 25 == 0 else {})
    found = compared((old, refusing), max_refusals=0.02)
    assert found.outcome.action == "keep"
    assert "refuses 4.0%" in found.outcome.action_reason


def test_a_bound_that_touches_the_margin_proves_nothing() -> None:
    quality = compared(two_models(*SAME)).quality
    assert quality is not None
    for low, verdict in ((-0.02, "inconclusive"), (-0.0199, "non_inferior"), (0.0, "non_inferior"), (1e-9, "superior")):
        assert verdict_of(replace(quality, interval=quality.interval._replace(low=low, high=0.5)), 100) == verdict
    for high, verdict in ((-0.02, "inconclusive"), (-0.0201, "inferior")):
        assert verdict_of(replace(quality, interval=quality.interval._replace(low=-0.5, high=high)), 100) == verdict


def test_more_samples_are_said_both_ways() -> None:
    reason = compared(two_models(*UNSURE, new_usd=CHEAP)).outcome.action_reason
    assert "1,737 more samples (2,237 in all) if the two are equal in truth; 2,262 more if" in reason


@pytest.mark.parametrize(("difference", "words"), [(0.031, "+3.1"), (-0.002, "-0.2"), (0, "0.0"), (-1e-9, "0.0")])
def test_points(difference: float, words: str) -> None:
    assert points(difference) == words


def test_defaults_are_the_documented_ones() -> None:
    assert (Decision().margin, Decision().min_samples, Decision().min_saving) == (0.02, 100, 0.10)
