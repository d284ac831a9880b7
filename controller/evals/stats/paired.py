"""The mean of differences on the same samples, with its error: plain, and where samples come in clusters."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from controller.evals.stats.interval import Interval
from controller.evals.stats.quantiles import t_quantile, t_tail


@dataclass(frozen=True, slots=True)
class PairedMean:
    mean: float
    n: int
    clusters: int
    """How many independent groups; equal to `n` where every sample stands alone."""
    se_iid: float
    """Standard error as if samples were independent."""
    se_cr0: float
    """Standard error by cluster (Liang and Zeger 1986)."""
    se_cr1: float
    """The same, corrected for few clusters by G/(G-1): what statsmodels calls `cov_type="cluster"`."""

    @property
    def se(self) -> float:
        """The larger of the two: a cluster error that comes out small by chance must not help."""
        return max(self.se_iid, self.se_cr1)

    @property
    def design_effect(self) -> float:
        """How many times more samples clustering asks for; never below 1."""
        return max(1.0, (self.se_cr1 / self.se_iid) ** 2) if self.se_iid else 1.0

    def interval(self, alpha: float = 0.05) -> Interval:
        """Mean ± t(G-1)·se. One cluster alone says nothing of how clusters vary: then all of [-1, 1]."""
        if self.clusters < 2:
            return Interval(-1.0, 1.0)
        half = t_quantile(1 - alpha / 2, self.clusters - 1) * self.se
        return Interval(self.mean - half, self.mean + half)

    def p_above(self, value: float) -> float:
        """One-sided p of "the mean is not above `value`"."""
        if self.clusters < 2:
            return 1.0
        above = self.mean - value
        if not self.se:
            return 0.0 if above > 0 else 1.0
        return t_tail(above / self.se, self.clusters - 1)


def paired_mean(differences: Sequence[float], clusters: Sequence[object] | None = None) -> PairedMean:
    """`clusters` names each sample's; without it every sample stands alone. Order changes no digit."""
    n = len(differences)
    mean = math.fsum(differences) / n
    residuals = [d - mean for d in differences]
    se_iid = math.sqrt(math.fsum(r * r for r in residuals) / (n * (n - 1))) if n > 1 else math.inf
    if clusters is None:
        cr0 = math.sqrt(math.fsum(r * r for r in residuals)) / n
        return PairedMean(mean, n, n, se_iid, cr0, se_iid)
    groups: defaultdict[object, list[float]] = defaultdict(list)
    for residual, cluster in zip(residuals, clusters, strict=True):
        groups[cluster].append(residual)
    g = len(groups)
    cr0 = math.sqrt(math.fsum(math.fsum(group) ** 2 for group in groups.values())) / n
    return PairedMean(mean, n, g, se_iid, cr0, cr0 * math.sqrt(g / (g - 1)) if g > 1 else math.inf)
