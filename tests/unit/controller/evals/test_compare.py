"""What a comparison must not depend on, and what it must find in data whose answer is known."""

import random
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.evals.arms import gather
from controller.evals.compare import compare
from controller.evals.decision import Decision
from controller.evals.report_json import as_json
from controller.evals.rows import Row

from .results import FEW, NEW, OLD, Rows, arms, changed, compared, two_models

SETS = two_models(60, 12, 9, 39)


def shaped(rows: Rows) -> Rows:
    """Slices, clusters, costs and times that differ by sample."""

    def shape(i: int, row: Row) -> dict[str, Any]:
        return {
            "slice": f"part-{i % 3}",
            "cluster": f"c{i // 4}",
            "cost_usd": (row.cost_usd or Decimal(0)) * (1 + i % 5),
            "latency_ms": 100.0 + i * 7 % 40,
        }

    return changed(rows, shape)


SHAPED = shaped(SETS[0]), shaped(SETS[1])


@settings(max_examples=20, deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_no_digit(order: random.Random) -> None:
    shuffled = tuple(order.sample(rows, len(rows)) for rows in SHAPED)
    mixed = compared((tuple(shuffled[0]), tuple(shuffled[1])))
    assert as_json(mixed) == as_json(compared(SHAPED))


@pytest.mark.parametrize("rows", [SETS, SHAPED], ids=["right or wrong", "clustered"])
def test_swapping_the_models_swaps_the_signs(rows: tuple[Rows, Rows]) -> None:
    there, back = compared(rows).quality, compared((rows[1], rows[0])).quality
    assert there is not None
    assert back is not None
    assert back.difference == -there.difference
    assert back.interval == (-there.interval.high, -there.interval.low)
    assert (back.mcnemar_p, back.se_iid, back.se_clustered) == (there.mcnemar_p, there.se_iid, there.se_clustered)
    assert (back.candidate_better, back.incumbent_better) == (there.incumbent_better, there.candidate_better)


def test_swapping_the_models_turns_the_cost_ratio_over() -> None:
    there, back = as_json(compared(SHAPED)), as_json(compared((SHAPED[1], SHAPED[0])))
    assert back["cost_ratio"] == pytest.approx(1 / there["cost_ratio"])
    assert back["cost_per_success"]["incumbent"] == there["cost_per_success"]["candidate"]


@pytest.mark.parametrize("copy", [{"run_id": "again"}, {"epoch": 2}], ids=["as another run", "as another epoch"])
def test_a_run_given_twice_counts_once(copy: dict[str, Any]) -> None:
    twice = tuple(rows + tuple(replace(row, **copy) for row in rows) for rows in SHAPED)
    once, doubled = as_json(compared(SHAPED)), as_json(compared((twice[0], twice[1])))
    for told in ("incumbent", "candidate"):
        assert doubled[told].pop("rows") == 2 * once[told].pop("rows")
        assert (once[told].pop("epochs"), doubled[told].pop("epochs")) == ([1, 1], [2, 2])
    assert doubled == once


def test_exact_duplicates_are_named_and_change_no_number() -> None:
    once = as_json(compared(SHAPED, accepted=frozenset({"L1"})))
    doubled = as_json(compared((SHAPED[0] + SHAPED[0], SHAPED[1]), accepted=frozenset({"L1"})))
    assert [lint["code"] for lint in doubled.pop("lints")] == ["L1"]
    assert once.pop("lints") == []
    assert doubled.pop("incumbent")["rows"] == 2 * once.pop("incumbent")["rows"]
    assert doubled == once


def test_a_rerun_gives_the_same_digits() -> None:
    assert as_json(compared(SHAPED)) == as_json(compared(SHAPED))


def test_epochs_are_averaged_before_samples_are_paired() -> None:
    """Ten runs of one sample weigh as much as one run of another."""
    old = [Row(sample_id="a", model=OLD, success=1, epoch=e) for e in range(1, 11)] + [
        Row(sample_id="b", model=OLD, success=0)
    ]
    new = [Row(sample_id=s, model=NEW, success=0.5) for s in ("a", "b")]
    quality = compare(gather(OLD, old), gather(NEW, new), Decision(), resamples=FEW).quality
    assert quality is not None
    assert (quality.incumbent, quality.candidate, quality.difference) == (0.5, 0.5, 0.0)
    assert quality.method == "t"


def test_repeated_runs_by_family_are_not_the_pooled_mean() -> None:
    """Many runs of the easy tasks: pooled by run the candidate gains 33 points, by task it gains 10."""
    old, new = [], []
    for task in range(20):
        runs, gain = (10, 0.5) if task < 4 else (1, 0.0)
        for run in range(runs):
            old.append(Row(sample_id=f"t{task}", model=OLD, success=0.5, epoch=run, cluster=f"f{task // 2}"))
            new.append(Row(sample_id=f"t{task}", model=NEW, success=0.5 + gain, epoch=run))
    found = compare(
        gather(OLD, old), gather(NEW, new), Decision(min_samples=10, accepted=frozenset({"L8"})), resamples=FEW
    )
    assert found.quality is not None
    assert found.quality.difference == pytest.approx(0.1)
    assert found.quality.clusters == 10
    assert found.quality.interval.low < 0
    assert {lint.code for lint in found.lints} == {"L5", "L8", "L9"}


def test_recorded_swe_bench_counts() -> None:
    """(343, 28, 29, 100): 74.4 % against 74.2 % on 500 samples, 36 % cheaper."""
    found = as_json(compared(two_models(343, 28, 29, 100, new_usd="0.0064")))
    assert (found["verdict"], found["action"], found["n"]) == ("inconclusive", "need_more", 500)
    assert found["interval"] == pytest.approx([-0.0323823, 0.02830176], abs=6e-7)
    assert found["m_star"] == pytest.approx(0.0323823, abs=6e-7)
    assert (found["needed"], found["quality"]["more"]) == (2237, 1737)
    assert found["quality"]["needed_at_observed"] == 2762
    assert (found["mcnemar_p"], found["cost_ratio"]) == (1.0, pytest.approx(0.64))
    wider = compared(two_models(343, 28, 29, 100, new_usd="0.0064"), margin=0.05)
    assert (wider.outcome.verdict, wider.outcome.action) == ("non_inferior", "promote")


def test_clusters_widen_the_interval_and_ask_for_more_samples() -> None:
    """All disagreements of a cluster go one way, as where domains differ."""
    alone = two_models(200, 60, 60, 80)
    together = tuple(
        changed(rows, lambda i, row: {"cluster": f"c{(i - 200) // 12 if 200 <= i < 320 else 10 + i % 10}"})
        for rows in alone
    )
    plain, clustered = compared(alone).quality, compared((together[0], together[1])).quality
    assert plain is not None
    assert clustered is not None
    assert clustered.method == "t"
    assert clustered.interval.high - clustered.interval.low > 1.5 * (plain.interval.high - plain.interval.low)
    assert clustered.needed > 2 * plain.needed


def test_clusters_known_to_one_arm_hold_for_both() -> None:
    one_arm = SHAPED[0], changed(SHAPED[1], lambda i, row: {"cluster": None, "slice": None})
    assert as_json(compared(one_arm)) == as_json(compared(SHAPED))


def test_one_cluster_alone_proves_nothing() -> None:
    rows = tuple(changed(rows, lambda i, row: {"cluster": "c"}) for rows in two_models(80, 40, 0, 0))
    quality = compared((rows[0], rows[1])).quality
    assert quality is not None
    assert quality.interval == (-1, 1)


def test_models_that_never_differ_are_not_sure_for_that() -> None:
    small = compared(two_models(90, 0, 0, 60), accepted=frozenset()).quality
    assert small is not None
    assert small.interval.low == pytest.approx(-0.02497, abs=1e-4)
    assert (small.needed, compared(two_models(120, 0, 0, 80)).outcome.verdict) == (189, "non_inferior")
    graded = tuple(changed(rows, lambda i, row: {"success": 0.5}) for rows in two_models(90, 0, 0, 60))
    assert compared((graded[0], graded[1])).quality == replace(
        small,
        method="t",
        counts=None,
        incumbent=0.5,
        candidate=0.5,
        incumbent_interval=pytest.approx((0.42, 0.58), abs=0.01),
        candidate_interval=pytest.approx((0.42, 0.58), abs=0.01),
    )


def test_failures_count_as_wrong_and_ungraded_samples_do_not_count() -> None:
    old, new = two_models(100, 0, 0, 0)
    failing = changed(new, lambda i, row: {"status": "timeout", "success": None} if i < 10 else {})
    ungraded = changed(new, lambda i, row: {"status": "grader_error", "success": 0.0} if i < 10 else {})
    assert as_json(compared((old, failing)))["diff"] == pytest.approx(-0.1)
    found = as_json(compared((old, ungraded)))
    assert (found["diff"], found["n"]) == (0, 90)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_next_to_nothing_is_no_verdict_and_no_crash(number: int) -> None:
    old, new = (rows[:number] for rows in SETS)
    found = compare(gather(OLD, old), gather(NEW, new), Decision(), resamples=FEW)
    assert (found.outcome.verdict, as_json(found)["n"]) == ("inconclusive", number)


def test_no_sample_in_common_is_no_verdict() -> None:
    old, new = SETS[0], changed(SETS[1], lambda i, row: {"sample_id": f"x{i}"})
    found = as_json(compared((old, new)))
    assert (found["verdict"], found["n"], found["interval"], found["needed"]) == ("inconclusive", 0, [None, None], None)
    assert found["lints"][0]["code"] == "L1"


def test_the_front_holds_every_model_on_these_samples() -> None:
    others = [
        gather(
            name,
            [
                replace(row, model=name, success=float(i % 10 < good), cost_usd=Decimal(usd))
                for i, row in enumerate(SETS[0])
            ],
        )
        for name, good, usd in (("dear", 5, "0.02"), ("great", 9, "0.03"))
    ]
    models = compare(*arms(SETS), Decision(), others=others, resamples=FEW).models
    assert models is not None
    assert models.front.front == (NEW, "great")
    assert set(models.points) == {OLD, NEW, "dear", "great"}


def test_the_worst_samples_are_named() -> None:
    found = compared(two_models(10, 0, 25, 65))
    assert len(found.worst) == 20
    assert found.worst[0].sample_id == "s0010"
