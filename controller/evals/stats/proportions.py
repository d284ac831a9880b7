"""Intervals for shares and for differences of shares: Wilson, Newcombe, Tango.

Of two models on the same n samples, `only_candidate` counts those that only the candidate got right, `only_incumbent`
those that only the incumbent did, `both` and `neither` the rest.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from controller.evals.stats.interval import Interval
from controller.evals.stats.quantiles import normal_quantile, normal_tail


@dataclass(frozen=True, slots=True)
class PairCounts:
    both: int
    only_candidate: int
    only_incumbent: int
    neither: int

    @property
    def n(self) -> int:
        return self.both + self.only_candidate + self.only_incumbent + self.neither

    @property
    def difference(self) -> float:
        return (self.only_candidate - self.only_incumbent) / self.n

    @property
    def discordance(self) -> float:
        """The share of samples on which the two differ."""
        return (self.only_candidate + self.only_incumbent) / self.n

    @property
    def swapped(self) -> "PairCounts":
        return PairCounts(self.both, self.only_incumbent, self.only_candidate, self.neither)


def z_of(alpha: float) -> float:
    """The two-sided critical value: 1.959964 for 0.05."""
    return normal_quantile(1 - alpha / 2)


def wilson(successes: float, n: int, alpha: float = 0.05) -> Interval:
    """Wilson's score interval for a share (1927); a fractional number of successes is allowed."""
    z = z_of(alpha)
    share, z2 = successes / n, z * z
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = z * math.sqrt(max(0.0, share * (1 - share)) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    # At the ends the score interval touches 0 and 1 exactly; rounding would leave 1e-17 there.
    return Interval(0.0 if successes <= 0 else centre - half, 1.0 if successes >= n else centre + half)


def newcombe_independent(x1: int, n1: int, x2: int, n2: int, alpha: float = 0.05) -> Interval:
    """For x1/n1 - x2/n2 of two groups of different samples (Newcombe 1998, method 10)."""
    p1, p2 = x1 / n1, x2 / n2
    one, two = wilson(x1, n1, alpha), wilson(x2, n2, alpha)
    return Interval(
        p1 - p2 - math.hypot(p1 - one.low, two.high - p2), p1 - p2 + math.hypot(one.high - p1, p2 - two.low)
    )


def newcombe_paired(counts: PairCounts, alpha: float = 0.05) -> Interval:
    """For the difference on the same samples (Newcombe 1998, paired, method 10 with the corrected correlation)."""
    n = counts.n
    right_b, right_a = counts.both + counts.only_candidate, counts.both + counts.only_incumbent
    margins = right_b * (n - right_b) * right_a * (n - right_a)
    cross = counts.both * counts.neither - counts.only_candidate * counts.only_incumbent
    cross_corrected = max(cross - n / 2, 0.0) if cross > 0 else float(cross)
    phi = cross_corrected / math.sqrt(margins) if margins else 0.0
    pb, pa = right_b / n, right_a / n
    b, a = wilson(right_b, n, alpha), wilson(right_a, n, alpha)

    def reach(down: float, up: float) -> float:
        return math.sqrt(max(0.0, down * down - 2 * phi * down * up + up * up))

    d = counts.difference
    return Interval(d - reach(pb - b.low, a.high - pa), d + reach(b.high - pb, pa - a.low))


def tango_z(counts: PairCounts, delta: float) -> float:
    """How many standard errors the difference lies above `delta` (Tango 1998, score statistic)."""
    n, b, c = counts.n, counts.only_candidate, counts.only_incumbent
    two_n = 2 * n
    linear = -b - c + (two_n - b + c) * delta
    constant = -c * delta * (1 - delta)
    root = math.sqrt(max(0.0, linear * linear - 4 * two_n * constant))
    # Of the two equal ways to write the root, the one without a difference of near-equal numbers.
    q = (root - linear) / (2 * two_n) if linear <= 0 else (-2 * constant / (root + linear) if root + linear else 0.0)
    variance = n * (2 * q + delta * (1 - delta))
    above = b - c - n * delta
    if variance <= 0:
        return math.copysign(math.inf, above) if above else 0.0
    return above / math.sqrt(variance)


def tango(counts: PairCounts, alpha: float = 0.05) -> Interval:
    """Where Tango's statistic is within the critical value: sound for small n and for few disagreements."""
    z = z_of(alpha)
    low = _lower_end(counts, z)
    # The mirror, rather than a second search, so that swapping the models swaps the signs to the last bit.
    return Interval(low, -_lower_end(counts.swapped, z))


def non_inferiority_p(counts: PairCounts, margin: float) -> float:
    """One-sided: how likely such data are if the candidate were worse by the whole margin."""
    return normal_tail(tango_z(counts, -margin))


def _lower_end(counts: PairCounts, z: float) -> float:
    if counts.only_incumbent == counts.n:
        return -1.0
    return _falls_through(lambda delta: tango_z(counts, delta) - z, -1.0, counts.difference)


def _falls_through(function: Callable[[float], float], low: float, high: float) -> float:
    """Where a falling function passes zero between `low` and `high`, to the last bit."""
    while True:
        middle = (low + high) / 2
        if middle <= low or middle >= high:
            return middle
        if function(middle) > 0:
            low = middle
        else:
            high = middle
