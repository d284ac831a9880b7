"""Every statistic against numbers that were computed elsewhere, or published: to six digits."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from controller.evals.stats.curves import (
    Ends,
    Point,
    average_gap_recovered,
    average_quality_of_hull,
    calls_for_gap,
    chord,
    cost_of_quality,
    gap_recovered,
    lift,
    pareto,
)
from controller.evals.stats.holm import holm
from controller.evals.stats.judge import Agreement, prediction_powered_mean, rogan_gladen
from controller.evals.stats.mcnemar import mcnemar_exact
from controller.evals.stats.money import percentile_interval, ratio, ratio_interval, ratio_se, resampled_sums, seed_of
from controller.evals.stats.paired import paired_mean
from controller.evals.stats.power import (
    minimal_detectable_difference,
    n_non_inferiority,
    n_superiority,
    n_with_repeats,
    n_without_disagreement,
)
from controller.evals.stats.proportions import (
    PairCounts,
    newcombe_independent,
    newcombe_paired,
    non_inferiority_p,
    tango,
    tango_z,
    wilson,
    z_of,
)
from controller.evals.stats.quantiles import t_quantile, t_tail
from controller.evals.stats.sequential import (
    best_rho,
    beta_binomial,
    beta_binomial_evidence,
    cusum,
    half_width,
    half_width_one_sided,
    two_arms,
)

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[4] / "golden" / "evals" / "vectors.json").read_text(encoding="utf-8")
)


def six(value: Any) -> Any:
    return pytest.approx(value, abs=6e-7)


def numbers_of(key: str) -> list[float]:
    return [float(word) for word in key.strip("()").replace("/", ",").split(",")]


@pytest.mark.parametrize("row", VECTORS["asymptotic_cs"], ids=lambda row: str(row["n"]))
def test_confidence_sequence(row: dict[str, float]) -> None:
    n, deviation, rho, alpha = int(row["n"]), row["sd"], row["rho"], row["alpha"]
    assert half_width(n, deviation, rho, alpha) == six(row["two"])
    assert half_width_one_sided(n, deviation, rho, alpha) == six(row["one"])
    assert z_of(alpha) * deviation / math.sqrt(n) == six(row["fixed_ci"])


@pytest.mark.parametrize(("key", "value"), VECTORS["rho_opt"].items())
def test_best_rho(key: str, value: float) -> None:
    n, alpha = numbers_of(key)
    assert best_rho(int(n), alpha) == six(value)


def test_two_arms() -> None:
    assert two_arms(170, 200, 1640, 1800, best_rho(5000)) == six(tuple(VECTORS["two_arm_cs"]["out"]))


@pytest.mark.parametrize(("key", "ends"), VECTORS["beta_binomial_cs_alpha05_uniform_prior"].items())
def test_beta_binomial(key: str, ends: list[float]) -> None:
    successes, failures = numbers_of(key)
    assert beta_binomial(int(successes), int(failures)) == six(tuple(ends))


def test_beta_binomial_evidence() -> None:
    assert beta_binomial_evidence(180, 20, 0.95) == six(VECTORS["beta_binomial_logE_s180_f20_p0_095"])


@pytest.mark.parametrize(("difference", "discordance", "n"), VECTORS["power"]["n_paired"])
def test_n_superiority(difference: float, discordance: float, n: int) -> None:
    assert n_superiority(difference, discordance) == n


@pytest.mark.parametrize(("margin", "discordance", "expected", "n"), VECTORS["power"]["n_ni"])
def test_n_non_inferiority(margin: float, discordance: float, expected: float, n: int) -> None:
    assert n_non_inferiority(margin, discordance, expected) == n


@pytest.mark.parametrize(("key", "n"), VECTORS["ni_sample_table"].items())
def test_n_non_inferiority_table(key: str, n: int) -> None:
    margin, discordance = (float(part.lstrip("mpsi")) for part in key.split("_"))
    assert n_non_inferiority(margin, discordance) == n


def test_no_number_of_samples_proves_a_loss_beyond_the_margin_harmless() -> None:
    assert n_non_inferiority(0.02, 0.1, expected=-0.02) is None


@pytest.mark.parametrize(("d", "w", "a", "b", "ka", "kb", "n"), VECTORS["power"]["miller"])
def test_n_with_repeats(d: float, w: float, a: float, b: float, ka: int, kb: int, n: int) -> None:
    assert n_with_repeats(d, w, a, b, ka, kb) == n


@pytest.mark.parametrize(("n", "discordance", "value"), VECTORS["mde"])
def test_minimal_detectable_difference(n: int, discordance: float, value: float) -> None:
    assert minimal_detectable_difference(n, discordance) == six(value)


@pytest.mark.parametrize("margin", [0.01, 0.02, 0.05, 0.1])
def test_two_models_that_never_differ_need_that_many_samples(margin: float) -> None:
    n = n_without_disagreement(margin)
    assert -tango(PairCounts(n, 0, 0, 0)).low <= margin < -tango(PairCounts(n - 1, 0, 0, 0)).low


def test_cusum() -> None:
    found = VECTORS["cusum"]
    sums = list(cusum(map(bool, found["y"]), healthy=0.95, broken=0.85))
    assert sums == six([float(value) for value in found["S"]])
    assert math.log(20_000) == six(found["h"])


def test_judge() -> None:
    judge = Agreement(80, 10, 5, 105)
    assert (judge.observed, judge.by_chance, judge.kappa) == six(tuple(VECTORS["kappa_tp80_fp10_fn5_tn105"]))
    corrected = rogan_gladen(0.70, judge.sensitivity, judge.specificity)
    assert (judge.sensitivity, judge.specificity, corrected) == six(tuple(VECTORS["rogan_gladen_obs070"]))


def test_prediction_powered_mean() -> None:
    found = prediction_powered_mean(2000, 0.78, 0.78 * 0.22, 200, 0.025, 0.0744)
    assert (found.mean, found.se, *found.interval) == six(tuple(VECTORS["ppi"]))


def test_clustered_error() -> None:
    row = VECTORS["clustered"]
    found = paired_mean([float(s) for s in row["s"]], row["g"])
    assert (found.mean, found.se_iid) == six((row["mean"], row["se"]))
    assert [found.se_cr0, found.se_cr1, found.clusters] == six(row["cl"])


def test_samples_that_stand_alone_are_clusters_of_one() -> None:
    values = [0.5, 0.0, -1.0, 1.0, 0.25]
    assert paired_mean(values, range(5)).se_cr1 == pytest.approx(paired_mean(values).se_iid, rel=1e-14)


def test_cost_per_success() -> None:
    costs, successes = [0.1, 0.2, 0.1, 0.4, 0.2], [1.0, 0.0, 1.0, 1.0, 0.0]
    value, error = VECTORS["ratio_c_1_2_1_4_2_s_10110"]
    assert ratio(costs, successes) == six(value)
    assert ratio_se(costs, successes) == six(error)
    assert ratio(costs, [0.0] * 5) is None


def test_bootstrap_agrees_with_the_delta_method_and_with_itself() -> None:
    costs = [0.01 * (1 + index % 7) for index in range(400)]
    successes = [float(index % 5 != 0) for index in range(400)]
    seed = seed_of(costs, successes)
    sums = resampled_sums([costs, successes], seed)
    low, high = ratio_interval(sums[:, 0], sums[:, 1])
    error = ratio_se(costs, successes)
    assert error is not None
    assert (high - low) / 2 == pytest.approx(1.96 * error, rel=0.03)
    assert (resampled_sums([costs, successes], seed) == sums).all()
    assert percentile_interval(sums[:, 1]).low < sum(successes) < percentile_interval(sums[:, 1]).high


def test_ratio_without_any_success_in_many_resamples_has_no_upper_end() -> None:
    sums = resampled_sums([[1.0] * 10, [1.0] + [0.0] * 9], seed=1)
    assert ratio_interval(sums[:, 0], sums[:, 1]).high == math.inf


def test_paired_100() -> None:
    row = VECTORS["paired100_a40_b10_c5_d45"]
    counts = PairCounts(row["a"], row["b_onlyB"], row["c_onlyA"], row["d"])
    values = [1.0] * counts.only_candidate + [-1.0] * counts.only_incumbent + [0.0] * (counts.both + counts.neither)
    mean = paired_mean(values)
    assert (counts.n, counts.difference, counts.discordance) == six((row["n"], row["diff"], row["psi"]))
    assert (mean.mean, mean.se_iid) == six((row["diff"], row["se"]))
    z = z_of(0.05)
    assert [mean.mean - z * mean.se_iid, mean.mean + z * mean.se_iid] == six(row["ci_z"])
    assert newcombe_paired(counts) == six(tuple(row["newcombe"]))
    assert tango(counts) == six(tuple(row["tango"]))
    assert mcnemar_exact(10, 5) == six(row["mcnemar_exact"])
    for margin in (0.02, 0.05):
        expected = row[f"m{margin:g}"]
        assert tango_z(counts, -margin) == six(expected["tango_z"])
        assert non_inferiority_p(counts, margin) == six(expected["p_ni"])
        assert n_non_inferiority(margin, 0.15, counts.difference) == expected["n_total_needed_at_observed"]
        assert n_non_inferiority(margin, 0.15) == expected["n_total_needed_at_zero"]


@pytest.mark.parametrize(("key", "row"), VECTORS["paired500"].items())
def test_paired_500(key: str, row: dict[str, Any]) -> None:
    counts = PairCounts(*(int(number) for number in numbers_of(key)))
    assert newcombe_paired(counts) == six(tuple(row["newc"]))
    assert tango(counts) == six(tuple(row["tango"]))
    assert mcnemar_exact(counts.only_candidate, counts.only_incumbent) == six(row["mcn"])
    assert (tango_z(counts, -0.02), non_inferiority_p(counts, 0.02)) == six((row["z02"], row["p02"]))


def test_published_intervals() -> None:
    """Fagerland, Lydersen and Laake 2014, on Bentur's data; printed to three digits."""
    row, counts = VECTORS["published"]["bentur_a1_b1_c7_d12"], PairCounts(1, 1, 7, 12)
    assert [round(end, 3) for end in newcombe_paired(counts)] == row["newcombe"]
    assert [round(end, 3) for end in tango(counts)] == row["tango"]


@pytest.mark.parametrize(("key", "ends"), VECTORS["wilson"].items())
def test_wilson(key: str, ends: list[float]) -> None:
    successes, n = numbers_of(key)
    assert wilson(successes, int(n)) == six(tuple(ends))


def test_newcombe_independent() -> None:
    assert newcombe_independent(56, 70, 48, 80) == six(tuple(VECTORS["newcombe_indep"]["56/70 - 48/80"]))


@pytest.mark.parametrize(("key", "p"), [*VECTORS["mcnemar_exact"].items(), ("28,54", 0.0054359)])
def test_mcnemar(key: str, p: float) -> None:
    only_candidate, only_incumbent = map(int, numbers_of(key))
    assert mcnemar_exact(only_candidate, only_incumbent) == six(p)
    assert mcnemar_exact(only_incumbent, only_candidate) == mcnemar_exact(only_candidate, only_incumbent)


def test_mcnemar_of_thousands_of_disagreements_is_a_number() -> None:
    assert 0 < mcnemar_exact(4_000, 4_600) < 1e-9
    assert mcnemar_exact(5_000, 5_000) == 1.0


@pytest.mark.parametrize(
    ("counts", "ends"),
    [
        (PairCounts(0, 0, 0, 30), None),
        (PairCounts(30, 0, 0, 0), None),
        (PairCounts(0, 30, 0, 0), (None, 1.0)),
        (PairCounts(0, 0, 30, 0), (-1.0, None)),
        (PairCounts(1, 0, 0, 0), None),
        (PairCounts(0, 1, 0, 0), (None, 1.0)),
    ],
)
def test_tango_at_the_edges(counts: PairCounts, ends: tuple[float | None, float | None] | None) -> None:
    low, high = tango(counts)
    assert -1 <= low <= counts.difference <= high <= 1
    for found, expected in zip((low, high), ends or (None, None), strict=True):
        assert expected is None or found == expected


@pytest.mark.parametrize(
    ("freedom", "value"),
    [
        (1, 12.7062047),
        (2, 4.3026527),
        (4, 2.7764451),
        (10, 2.2281389),
        (30, 2.0422725),
        (100, 1.9839715),
        (499, 1.9647294),
    ],
)
def test_t_quantile(freedom: int, value: float) -> None:
    """Student's table, 0.975."""
    assert t_quantile(0.975, freedom) == six(value)
    assert t_quantile(0.025, freedom) == six(-value)
    assert t_tail(value, freedom) == six(0.025)


def test_routing_by_chance_is_half_of_everything() -> None:
    shares = [index / 10 for index in range(11)]
    qualities = [0.6 + 0.3 * share for share in shares]
    assert calls_for_gap(shares, qualities, 0.5) == pytest.approx(0.5)
    assert calls_for_gap(shares, qualities, 0.8) == pytest.approx(0.8)
    assert average_gap_recovered(shares, qualities) == pytest.approx(0.5)
    assert gap_recovered(0.75, 0.6, 0.9) == pytest.approx(0.5)


def test_a_curve_that_falls_on_the_way_counts_by_its_running_maximum() -> None:
    assert calls_for_gap([0, 0.25, 0.5, 1], [0.5, 0.7, 0.6, 0.9], 0.5) == pytest.approx(0.25)
    assert calls_for_gap([0, 0.25, 0.5, 1], [0.5, 0.7, 0.6, 0.9], 0.75) == pytest.approx(0.75)


def test_chord_and_lift() -> None:
    ends = Ends(Point(1.0, 0.6), Point(5.0, 0.8))
    assert chord(ends, 3.0) == pytest.approx(0.7)
    assert lift(ends, Point(2.0, 0.75)) == pytest.approx(0.1)
    assert cost_of_quality(ends, 0.76) == pytest.approx(4.2)


def test_front_and_hull() -> None:
    points = {
        "small": Point(1, 0.5), "bent": Point(2, 0.55), "middle": Point(3, 0.8),
        "beaten": Point(4, 0.7), "large": Point(5, 0.9), "dear": Point(9, 0.9),
    }  # fmt: skip
    assert pareto(points).front == ("small", "bent", "middle", "large")
    assert pareto(points).hull == ("small", "middle", "large")
    assert average_quality_of_hull(points) == pytest.approx((0.65 * 2 + 0.85 * 2 + 0.9 * 4) / 8)


def test_holm() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx((0.03, 0.06, 0.06))
    assert holm([0.6, 0.7]) == (1.0, 1.0)
    assert holm([]) == ()
