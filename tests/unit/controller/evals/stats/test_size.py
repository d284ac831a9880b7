"""How often the methods are wrong: exactly where all outcomes can be counted, else over 1,000 salts of one world."""

import math
from functools import cache

import numpy as np
import pytest

from controller.evals.stats.paired import paired_mean
from controller.evals.stats.proportions import PairCounts, non_inferiority_p, tango
from controller.evals.stats.sequential import best_rho, two_arms

SALTS = 1_000
BY_CHANCE = 3.5 * math.sqrt(0.05 * 0.95 / SALTS)
"""How far a rate of 5 % may come out above that over so many salts."""


@cache
def proved(only_new: int, only_old: int, n: int, margin: float) -> bool:
    return non_inferiority_p(PairCounts(0, only_new, only_old, n - only_new - only_old), margin) <= 0.025


def chance_of_proof(n: int, margin: float, discordance: float, difference: float) -> float:
    """The exact probability, over all outcomes that are not beyond seven deviations."""
    new, old = (discordance + difference) / 2, (discordance - difference) / 2
    reach = [int(n * p + 7 * math.sqrt(n * p)) + 3 for p in (new, old)]
    total = 0.0
    for b in range(reach[0]):
        for c in range(min(reach[1], n - b + 1)):
            if proved(b, c, n, margin):
                log = math.lgamma(n + 1) - math.lgamma(b + 1) - math.lgamma(c + 1) - math.lgamma(n - b - c + 1)
                log += b * math.log(new) + c * math.log(old) + (n - b - c) * math.log(1 - new - old)
                total += math.exp(log)
    return total


@pytest.mark.parametrize(("n", "margin", "simulated"), [(100, 0.05, 0.0203), (300, 0.03, 0.02375)])
def test_a_candidate_worse_by_the_margin_rarely_passes(n: int, margin: float, simulated: float) -> None:
    size = chance_of_proof(n, margin, discordance=0.12, difference=-margin)
    assert size <= 0.0255
    assert size == pytest.approx(simulated, abs=0.004)


def test_the_number_of_samples_asked_for_suffices_four_times_in_five() -> None:
    assert chance_of_proof(1309, 0.03, discordance=0.15, difference=0.0) == pytest.approx(0.801, abs=0.01)


def test_equal_models_compared_over_a_thousand_salts() -> None:
    """Each sample has its own difficulty; both arms are the same model, asked again."""
    world = np.random.default_rng(1).beta(2, 1, size=500)
    excludes_zero = harm = 0
    for salt in range(SALTS):
        old, new = np.random.default_rng(salt).random((2, 500)) < world
        b, c = int((new & ~old).sum()), int((old & ~new).sum())
        low, high = tango(PairCounts(int((old & new).sum()), b, c, 500 - b - c - int((old & new).sum())))
        excludes_zero += not low <= 0 <= high
        harm += high < -0.02
    assert excludes_zero / SALTS <= 0.05 + BY_CHANCE
    assert harm / SALTS <= 0.025


def test_equal_models_on_clustered_samples_over_a_thousand_salts() -> None:
    """Each cluster leans to one model by chance: the plain error would be wrong far more often."""
    groups = np.repeat(np.arange(30), 10)
    clustered = plain = 0
    for salt in range(SALTS):
        rng = np.random.default_rng(salt)
        values = rng.normal(0, 1, 30)[groups] + rng.normal(0, 1, 300)
        mean = paired_mean(values.tolist(), groups.tolist())
        low, high = mean.interval()
        clustered += not low <= 0 <= high
        plain += abs(mean.mean) > 1.96 * mean.se_iid
    assert clustered / SALTS <= 0.05 + BY_CHANCE
    assert plain / SALTS > 0.3


def test_equal_arms_looked_at_all_the_time_over_a_thousand_salts() -> None:
    """A canary of 10 % on one stream of 5,000 calls, looked at every 50 once its arm has 100."""
    answers = np.random.default_rng(7).random(5_000) < 0.8
    rho = best_rho(5_000)
    excludes_zero = rollbacks = 0
    for salt in range(SALTS):
        is_canary = np.random.default_rng(salt).random(5_000) < 0.1
        n1, s1 = np.cumsum(is_canary), np.cumsum(is_canary & answers)
        n, s = np.arange(1, 5_001), np.cumsum(answers)
        looks = [
            two_arms(int(s1[i]), int(n1[i]), int(s[i] - s1[i]), int(n[i] - n1[i]), rho)
            for i in range(49, 5_000, 50)
            if n1[i] >= 100
        ]
        excludes_zero += any(abs(difference) > half for difference, half in looks)
        rollbacks += any(difference + half < -0.02 for difference, half in looks)
    assert excludes_zero / SALTS <= 0.05
    assert rollbacks == 0
