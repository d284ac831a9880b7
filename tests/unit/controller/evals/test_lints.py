"""Each lint on data made for it, and none on data that are sound."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from controller.evals.arms import gather
from controller.evals.compare import Comparison, compare
from controller.evals.decision import Decision
from controller.evals.judged import Judge, Judging, judging_in
from controller.evals.lints import LINTS
from controller.evals.rows import Row

from .results import FEW, NEW, OLD, Rows, arms, changed, compared, two_models

Case = Callable[[Rows, Rows], tuple[Rows, Rows]]
SOUND = two_models(280, 20, 18, 82, set_hash="h", harness_version="1", prompt_hash="p")


def sliced(rows: Rows) -> Rows:
    return changed(rows, lambda i, row: {"slice": f"part-{i % 8}"})


def wrong_on_one_slice(old: Rows, new: Rows) -> tuple[Rows, Rows]:
    broken = changed(sliced(old), lambda i, row: {"success": 0.0} if row.slice == "part-3" else {})
    return broken, sliced(new)


CASES: dict[str, tuple[Case, dict[str, Any], str]] = {
    "ids differ": (lambda a, b: (a[5:], b), {}, "L1"),
    "rows twice": (lambda a, b: (a + a[:3], b), {}, "L1"),
    "rows that contradict": (lambda a, b: ((*a, replace(a[0], success=0.0)), b), {}, "L1"),
    "a grader that fails on one slice": (wrong_on_one_slice, {}, "L2"),
    "below chance": (
        lambda a, b: tuple(changed(sliced(r), lambda i, row: {"success": float(i % 10 == 0)}) for r in (a, b)),
        {"chance": 0.25},
        "L2",
    ),
    "a published mean that these rows do not give": (lambda a, b: (a, b), {"published": {OLD: 0.528}}, "L3"),
    "a judge's mark for failed": (lambda a, b: (a, (*b[1:], replace(b[0], success=-1.0))), {}, "L4"),
    "a score below zero": (lambda a, b: (a, changed(b, lambda i, row: {"scores": {"judge": -1.0}})), {}, "L4"),
    "unequal epochs": (lambda a, b: (a, (*b, replace(b[0], epoch=2))), {}, "L5"),
    "another harness": (lambda a, b: (a, changed(b, lambda i, row: {"harness_version": "2"})), {}, "L6"),
    "another prompt": (lambda a, b: (a, changed(b, lambda i, row: {"prompt_hash": "q"})), {}, "L6"),
    "another grader": (
        lambda a, b: (
            changed(a, lambda i, row: {"grader_versions": {"g": "1"}}),
            changed(b, lambda i, row: {"grader_versions": {"g": "2"}}),
        ),
        {},
        "L6",
    ),
    "prices of another day": (
        lambda a, b: (
            changed(a, lambda i, row: {"price_version": "1"}),
            changed(b, lambda i, row: {"price_version": "2"}),
        ),
        {},
        "L6",
    ),
    "three of a hundred ungraded": (
        lambda a, b: tuple(changed(r, lambda i, row: {"success": None} if i % 33 == 0 else {}) for r in (a, b)),
        {},
        "L7",
    ),
    "ungraded in one arm only": (
        lambda a, b: (a, changed(b, lambda i, row: {"status": "grader_error"} if i < 7 else {})),
        {},
        "L7",
    ),
    "no costs": (lambda a, b: (changed(a, lambda i, row: {"cost_usd": None}), b), {}, "L8"),
    "costs of zero": (lambda a, b: (a, changed(b, lambda i, row: {"cost_usd": Decimal(0)} if i < 9 else {})), {}, "L8"),
    "few clusters": (
        lambda a, b: tuple(changed(r, lambda i, row: {"cluster": f"c{i % 12}"}) for r in (a, b)),
        {},
        "L9",
    ),
    "dollars and cents": (
        lambda a, b: (a, changed(b, lambda i, row: {"cost_usd": Decimal("0.5")} if i < 30 else {})),
        {},
        "L11",
    ),
}


def codes(found: Comparison) -> set[str]:
    return {lint.code for lint in found.lints}


def test_sound_data_trip_nothing() -> None:
    assert codes(compared(SOUND)) == set()
    assert compared(SOUND).outcome.verdict == "inconclusive"
    assert compared(SOUND, margin=0.05).outcome.verdict == "non_inferior"


@pytest.mark.parametrize("name", CASES)
def test_each_lint_trips_on_data_made_for_it(name: str) -> None:
    case, asked, code = CASES[name]
    found = compared(case(*SOUND), margin=0.2, **asked)
    assert codes(found) == {code}
    assert found.has_open_lints is LINTS[code][1]
    if LINTS[code][1]:
        assert (found.outcome.verdict, found.outcome.action) == ("inconclusive", "keep")
        assert code in found.outcome.verdict_reason
    accepted = compared(case(*SOUND), margin=0.2, accepted=frozenset({code}), **asked)
    assert [lint.accepted for lint in accepted.lints] == [True]
    assert accepted.outcome.verdict != "inconclusive"


def test_every_lint_has_a_case() -> None:
    assert {code for _, _, code in CASES.values()} | {"L10"} == set(LINTS)


@pytest.mark.parametrize(
    ("judging", "says"),
    [
        (Judging((Judge(kappa=0.41),)), "kappa 0.41"),
        (Judging((Judge(kappa=0.7, min_kappa=0.8),)), "kappa 0.70"),
        (Judging((Judge(model=NEW),)), "is new"),
        (Judging((Judge(model="large", vendor="v"),), {OLD: "v", NEW: "w"}), "of v, like old"),
        (Judging((Judge(model="large", vendor="x", kappa=0.8),), {OLD: "v", NEW: "w"}), ""),
    ],
)
def test_a_judge_that_cannot_be_believed(judging: Judging, says: str) -> None:
    found = compare(*arms(SOUND), Decision(), judging=judging, resamples=FEW)
    assert codes(found) == ({"L10"} if says else set())
    assert all(says in lint.message for lint in found.lints)


def test_kappa_comes_from_samples_that_people_labelled_too() -> None:
    cases = [(1.0, 1.0)] * 80 + [(1.0, 0.0)] * 10 + [(0.0, 1.0)] * 5 + [(0.0, 0.0)] * 105
    rows = [
        Row(sample_id=str(i), model="m", success=j, scores={"judge": j, "human": h}) for i, (j, h) in enumerate(cases)
    ]
    (judge,) = judging_in(rows).judges
    assert judge.kappa == pytest.approx(0.847716, abs=1e-6)
    assert judging_in(SOUND[0]) == Judging()


def test_costs_written_in_two_units() -> None:
    old, new = SOUND
    found = compare(gather(OLD, old, frozenset({"USD", "cent"})), gather(NEW, new), Decision(), resamples=FEW)
    assert codes(found) == {"L11"}


def test_costs_that_spread_widely_are_one_unit() -> None:
    def spread(i: int, row: Row) -> dict[str, Any]:
        return {"cost_usd": Decimal(str(round(0.001 * 1.02 ** (i % 400), 8)))}

    assert codes(compared((changed(SOUND[0], spread), changed(SOUND[1], spread)))) == set()


def test_wide_groups_of_two_units_are_found_by_token() -> None:
    def mixed(i: int, row: Row) -> dict[str, Any]:
        tokens = 100 + 97 * (i % 200)
        return {"in_tok": tokens, "cost_usd": Decimal(tokens) * Decimal("0.000003") * (100 if i % 2 else 1)}

    assert codes(compared((SOUND[0], changed(SOUND[1], mixed)))) == {"L11"}


def test_a_slice_that_is_hard_for_both_is_no_bug() -> None:
    hard = tuple(
        changed(sliced(rows), lambda i, row: {"success": float(i % 40 == 3)} if i % 8 == 3 else {}) for rows in SOUND
    )
    assert codes(compared((hard[0], hard[1]))) == set()
