"""What the two models cost on the same samples. Pure.

Figures are estimates with an error, hence floats; amounts that were paid stay `Decimal` in the rows.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from controller.evals.pairs import Pair
from controller.evals.stats.interval import Interval
from controller.evals.stats.money import RESAMPLES, ratio, ratio_interval, ratio_se, resampled_sums, seed_of


@dataclass(frozen=True, slots=True)
class Estimate:
    value: float
    se: float | None
    """By the delta method, as if samples were independent."""
    interval: Interval | None
    """Percentile bootstrap by sample, or by cluster where there are clusters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    n: int
    """Samples whose cost is known in both arms; nothing else is looked at here."""
    incumbent_usd: float
    """Per sample."""
    candidate_usd: float
    ratio: Estimate | None
    """Candidate over incumbent; None where the incumbent cost nothing."""
    incumbent_per_success: Estimate | None
    """None where it never succeeded."""
    candidate_per_success: Estimate | None

    def saves(self, share: float) -> bool:
        """Whether the candidate saves that share even at the unfavourable end of the interval."""
        return self.ratio is not None and self.ratio.interval is not None and self.ratio.interval.high < 1 - share


def spending_on(pairs: Sequence[Pair], alpha: float = 0.05, resamples: int = RESAMPLES) -> Spending | None:
    """None where no sample has a known cost in both arms."""
    priced = [pair for pair in pairs if pair.incumbent_usd is not None and pair.candidate_usd is not None]
    if not priced:
        return None
    columns = _Columns(priced, alpha, resamples)
    return Spending(
        n=len(priced),
        incumbent_usd=math.fsum(columns.values[0]) / len(priced),
        candidate_usd=math.fsum(columns.values[1]) / len(priced),
        ratio=columns.estimate(1, 0),
        incumbent_per_success=columns.estimate(0, 2),
        candidate_per_success=columns.estimate(1, 3),
    )


class _Columns:
    """Costs and successes of both arms by sample, and their sums over resamples of the independent units."""

    def __init__(self, pairs: Sequence[Pair], alpha: float, resamples: int) -> None:
        rows = [(p.incumbent_usd or 0.0, p.candidate_usd or 0.0, p.incumbent, p.candidate) for p in pairs]
        self.values = list(zip(*rows, strict=True))
        self.alpha = alpha
        units: defaultdict[tuple[str, str], list[tuple[float, ...]]] = defaultdict(list)
        for pair, row in zip(pairs, rows, strict=True):
            units[pair.unit].append(row)
        sums = [[math.fsum(column) for column in zip(*units[unit], strict=True)] for unit in sorted(units)]
        self.resampled = None
        if len(sums) > 1:
            self.resampled = resampled_sums(list(zip(*sums, strict=True)), seed_of(sums), resamples=resamples)

    def estimate(self, over: int, under: int) -> Estimate | None:
        value = ratio(self.values[over], self.values[under])
        if value is None:
            return None
        interval = None
        if self.resampled is not None:
            interval = ratio_interval(self.resampled[:, over], self.resampled[:, under], self.alpha)
        return Estimate(value, ratio_se(self.values[over], self.values[under]), interval)
