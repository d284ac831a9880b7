"""A cheap model, a check, a strong model: against a random mix of the two."""

import random
from typing import Any

import pytest

from controller.evals.cascade import Cascade
from controller.evals.compare import compare
from controller.evals.decision import Decision
from controller.evals.report_json import as_json

from .results import NEW, OLD, Rows, arms, changed, two_models


def run(accuracy: float | None, *, seed: int = 5) -> tuple[Rows, Rows]:
    """The cheap model is right on 60 %, the strong on 85 %; the check is right in `accuracy` of all cases."""
    rng = random.Random(seed)
    old, new = two_models(600, 0, 0, 0, new_usd="0.001")
    strong = [float(rng.random() < 0.85) for _ in old]
    cheap = [float(rng.random() < 0.60) for _ in old]

    def check(i: int) -> dict[str, Any]:
        if accuracy is None:
            return {"check": rng.random() + 0.3 * cheap[i]}
        return {"check": cheap[i] if rng.random() < accuracy else 1 - cheap[i]}

    return (
        changed(old, lambda i, row: {"success": strong[i]}),
        changed(new, lambda i, row: {"success": cheap[i], "scores": check(i)}),
    )


def cascade(rows: tuple[Rows, Rows], checker: str = "check") -> Cascade | None:
    return compare(*arms(rows), Decision(), checker=checker, resamples=1000).cascade


def test_a_check_that_is_always_right_is_lawful_and_as_good_as_perfect() -> None:
    found = cascade(run(1.0))
    assert found is not None
    assert (found.cheap, found.strong, found.threshold) == (NEW, OLD, 1.0)
    assert found.is_lawful
    assert found.reached.quality > found.ends.strong.quality
    assert found.reached.quality == found.perfect.quality
    assert found.random_usd is None


def test_a_check_that_tosses_a_coin_is_refused() -> None:
    found = cascade(run(0.5))
    assert found is not None
    assert not found.is_lawful
    assert found.lift_interval is not None
    assert found.lift_interval.low < 0


def test_a_check_that_is_worse_than_chance_has_a_negative_lift() -> None:
    found = cascade(run(0.2))
    assert found is not None
    assert found.lift < 0
    assert not found.is_lawful


def test_the_threshold_of_a_graded_check_is_chosen_by_the_other_half() -> None:
    rows = run(None)
    found = cascade(rows)
    assert found is not None
    assert 0 < found.escalated < 1
    assert found.n < 600
    # What the testing half says has no say in the threshold.
    tested = {p.sample_id for p in _held_out(rows)}
    other = (rows[0], changed(rows[1], lambda i, row: {"success": 0.0} if row.sample_id in tested else {}))
    changed_half = cascade(other)
    assert changed_half is not None
    assert changed_half.threshold == found.threshold


def _held_out(rows: tuple[Rows, Rows]) -> list[Any]:
    from controller.evals.pairs import pair_up

    return [pair for pair in pair_up(*arms(rows)) if pair.is_held_out]


def test_figures_are_those_of_the_definition() -> None:
    found = cascade(run(0.9))
    assert found is not None
    weak, strong = found.ends
    share = (found.reached.cost - weak.cost) / (strong.cost - weak.cost)
    assert found.chord == pytest.approx(weak.quality + share * (strong.quality - weak.quality))
    assert found.lift == pytest.approx(found.reached.quality - found.chord)
    assert found.reached.cost == pytest.approx(weak.cost + found.escalated * strong.cost)


def test_a_random_mix_as_good_costs_more_than_a_good_check() -> None:
    found = cascade(run(0.7))
    assert found is not None
    assert found.is_lawful
    assert found.random_usd is not None
    assert found.random_usd > found.reached.cost


def test_where_the_dearer_model_is_no_better_the_cheap_one_alone_is_what_to_beat() -> None:
    old, new = run(0.5)
    worse = changed(old, lambda i, row: {"success": float(i % 2)})
    found = cascade((worse, new))
    assert found is not None
    assert found.chord == found.ends.weak.quality
    assert not found.is_lawful


@pytest.mark.parametrize("change", [{"cost_usd": None}, {"scores": {}}])
def test_without_costs_or_checks_there_is_no_cascade(change: dict[str, Any]) -> None:
    old, new = run(1.0)
    assert cascade((old, changed(new, lambda i, row: change))) is None


def test_a_lawful_cascade_is_offered_where_the_model_alone_is_not_promoted() -> None:
    found = as_json(compare(*arms(run(1.0)), Decision(), checker="check", resamples=1000))
    assert found["verdict"] == "inferior"
    assert found["also"] == ["cascade"]
    assert found["cascade"]["lawful"] is True
