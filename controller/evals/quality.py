"""How much better or worse the candidate is on the same samples, and how sure that is. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from controller.evals.pairs import Pair, units_of
from controller.evals.stats.interval import Interval
from controller.evals.stats.mcnemar import mcnemar_exact
from controller.evals.stats.paired import paired_mean
from controller.evals.stats.power import (
    minimal_detectable_difference,
    n_non_inferiority,
    n_without_disagreement,
)
from controller.evals.stats.proportions import PairCounts, non_inferiority_p, tango, wilson

Method = Literal["tango", "t"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    n: int
    clusters: int
    """Independent units; `n` where every sample stands alone."""
    incumbent: float
    candidate: float
    incumbent_interval: Interval
    candidate_interval: Interval
    difference: float
    interval: Interval
    method: Method
    """Tango's score for right or wrong on samples that stand alone, else the mean ± t(G-1) times the larger error."""
    counts: PairCounts | None
    """None where samples are graded by degrees."""
    candidate_better: int
    incumbent_better: int
    se_iid: float
    se_clustered: float
    design_effect: float
    mcnemar_p: float
    """On samples graded by degrees: the same test on which of the two did better."""
    non_inferior_p: float
    margin: float
    smallest_proved_margin: float
    """m*: the least margin for which these data prove "not worse"."""
    detectable: float
    """The true difference that this many samples would show with the wanted power."""
    needed: int
    """Samples in all to prove the margin if the two are equal in truth."""
    needed_at_observed: int | None
    """The same if the observed difference is the truth; None: no number would do."""

    @property
    def is_clustered(self) -> bool:
        return self.clusters < self.n

    def more(self, min_samples: int) -> int:
        return max(0, max(self.needed, min_samples) - self.n)

    def more_at_observed(self, min_samples: int) -> int | None:
        needed = self.needed_at_observed
        return None if needed is None else max(0, max(needed, min_samples) - self.n)


def estimate(pairs: Sequence[Pair], margin: float, alpha: float = 0.05, power: float = 0.8) -> Quality | None:
    """None without any pair."""
    if not pairs:
        return None
    n = len(pairs)
    differences = [pair.difference for pair in pairs]
    units = units_of(pairs)
    mean = paired_mean(differences, units)
    counts = _counts(pairs)
    if counts is not None and units is None:
        method: Method = "tango"
        difference, interval, p = counts.difference, tango(counts, alpha), non_inferiority_p(counts, margin)
        spread = counts.discordance
    else:
        method = "t"
        difference, interval, p = mean.mean, mean.interval(alpha), mean.p_above(-margin)
        if not mean.se:
            interval, p = _without_spread(mean.mean, mean.clusters, margin, alpha)
        interval = Interval(max(-1.0, interval.low), min(1.0, interval.high))
        spread = (mean.se_iid**2 * n if n > 1 else 1.0) + difference**2
    better = sum(d > 0 for d in differences)
    worse = sum(d < 0 for d in differences)
    incumbent, candidate = (
        math.fsum(values) for values in zip(*((p.incumbent, p.candidate) for p in pairs), strict=True)
    )
    # From one cluster alone nothing is known of what clustering costs.
    effect = mean.design_effect if units is not None and mean.clusters > 1 else 1.0
    observed = n_non_inferiority(margin, spread, difference, alpha, power)
    least = n_without_disagreement(margin, alpha) if spread == 0 else 0
    return Quality(
        n=n,
        clusters=mean.clusters,
        incumbent=incumbent / n,
        candidate=candidate / n,
        incumbent_interval=wilson(incumbent, n, alpha),
        candidate_interval=wilson(candidate, n, alpha),
        difference=difference,
        interval=interval,
        method=method,
        counts=counts,
        candidate_better=better,
        incumbent_better=worse,
        se_iid=mean.se_iid,
        se_clustered=mean.se_cr1,
        design_effect=effect,
        mcnemar_p=mcnemar_exact(better, worse),
        non_inferior_p=p,
        margin=margin,
        smallest_proved_margin=max(0.0, -interval.low),
        detectable=minimal_detectable_difference(n, spread * effect, alpha, power),
        needed=max(least, _times(n_non_inferiority(margin, spread, 0.0, alpha, power) or 0, effect)),
        needed_at_observed=None if observed is None else max(least, _times(observed, effect)),
    )


def _counts(pairs: Sequence[Pair]) -> PairCounts | None:
    if any(value not in (0.0, 1.0) for pair in pairs for value in (pair.incumbent, pair.candidate)):
        return None
    both = sum(pair.candidate == pair.incumbent == 1 for pair in pairs)
    better = sum(pair.difference > 0 for pair in pairs)
    worse = sum(pair.difference < 0 for pair in pairs)
    return PairCounts(both, better, worse, len(pairs) - both - better - worse)


def _without_spread(difference: float, clusters: int, margin: float, alpha: float) -> tuple[Interval, float]:
    """Differences that are all equal have no error, which is not certainty: as sure as so many equal pairs are."""
    equal = PairCounts(clusters, 0, 0, 0)
    reach = tango(equal, alpha)
    interval = Interval(difference + reach.low, difference + reach.high)
    return interval, non_inferiority_p(equal, min(1.0, margin + difference)) if margin + difference > 0 else 1.0


def _times(n: int, effect: float) -> int:
    # A product that is whole but for rounding is not one sample more.
    return math.ceil(n * effect - 1e-9)
