"""How far a judge can be believed, and what its verdicts say once it is corrected by people's labels."""

import math
from dataclasses import dataclass

from controller.evals.stats.interval import Interval
from controller.evals.stats.proportions import z_of


@dataclass(frozen=True, slots=True)
class Agreement:
    """A judge against people: "true" means that the judge agrees with them."""

    true_pass: int
    false_pass: int
    false_fail: int
    true_fail: int

    @property
    def n(self) -> int:
        return self.true_pass + self.false_pass + self.false_fail + self.true_fail

    @property
    def observed(self) -> float:
        return (self.true_pass + self.true_fail) / self.n

    @property
    def by_chance(self) -> float:
        judged, meant = self.true_pass + self.false_pass, self.true_pass + self.false_fail
        return (judged * meant + (self.n - judged) * (self.n - meant)) / self.n**2

    @property
    def kappa(self) -> float:
        """Cohen's: agreement beyond chance. 0 where both only ever say one thing, which shows nothing."""
        if self.by_chance == 1:
            return 0.0
        return (self.observed - self.by_chance) / (1 - self.by_chance)

    @property
    def sensitivity(self) -> float:
        return self.true_pass / (self.true_pass + self.false_fail)

    @property
    def specificity(self) -> float:
        return self.true_fail / (self.true_fail + self.false_pass)


def rogan_gladen(observed_share: float, sensitivity: float, specificity: float) -> float:
    """The true share behind what an imperfect judge saw (Rogan and Gladen 1978), kept within 0 and 1."""
    informed = sensitivity + specificity - 1
    if informed <= 0:
        raise ValueError("this judge knows no more than a coin")
    return min(1.0, max(0.0, (observed_share + specificity - 1) / informed))


@dataclass(frozen=True, slots=True)
class Corrected:
    mean: float
    se: float
    interval: Interval


def prediction_powered_mean(
    judged: int, judged_mean: float, judged_variance: float,
    labelled: int, bias: float, bias_variance: float, alpha: float = 0.05,
) -> Corrected:  # fmt: skip
    """Many judged samples, corrected by the mean of judge minus human on a few (Angelopoulos et al. 2023)."""
    mean = judged_mean - bias
    se = math.sqrt(judged_variance / judged + bias_variance / labelled)
    half = z_of(alpha) * se
    return Corrected(mean, se, Interval(mean - half, mean + half))
