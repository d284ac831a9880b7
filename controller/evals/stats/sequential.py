"""Looking as often as one likes: confidence sequences hold at every look at once, and CUSUM finds a fall."""

import math
from collections.abc import Callable, Iterable, Iterator

from controller.evals.stats.interval import Interval
from controller.evals.stats.quantiles import log_beta


def best_rho(n: int, alpha: float = 0.05) -> float:
    """The tuning for which the sequence is narrowest at `n` samples (Waudby-Smith et al. 2021, arXiv 2103.06476)."""
    log_alpha = -2 * math.log(alpha)
    return math.sqrt((log_alpha + math.log(1 + log_alpha)) / n)


def half_width(n: int, deviation: float, rho: float, alpha: float = 0.05) -> float:
    """Two-sided: mean ± this at every n at once. Asymptotic: wants 100 samples in the smaller arm."""
    return _width(n, deviation, rho, lambda root: math.log(root / alpha))


def half_width_one_sided(n: int, deviation: float, rho: float, alpha: float = 0.05) -> float:
    return _width(n, deviation, rho, lambda root: math.log(1 + root / (2 * alpha)))


def two_arms(
    successes_candidate: float, n_candidate: int, successes_incumbent: float, n_incumbent: int,
    rho: float, alpha: float = 0.05,
) -> tuple[float, float]:  # fmt: skip
    """Split traffic: the difference of the two shares, and its half width at every look at once."""
    p1, p0 = successes_candidate / n_candidate, successes_incumbent / n_incumbent
    n = n_candidate + n_incumbent
    variance = n * (p1 * (1 - p1) / n_candidate + p0 * (1 - p0) / n_incumbent)
    return p1 - p0, half_width(n, math.sqrt(variance), rho, alpha)


def beta_binomial_evidence(successes: int, failures: int, share: float) -> float:
    """Log of the e-value against `share`, under a uniform prior: exact at every n, above ln(1/alpha) it is refuted."""
    return (
        log_beta(1 + successes, 1 + failures)
        - (successes * math.log(share) if successes else 0.0)
        - (failures * math.log1p(-share) if failures else 0.0)
    )


def beta_binomial(successes: int, failures: int, alpha: float = 0.05) -> Interval:
    """The shares that are not refuted yet: a confidence sequence that is exact for any n."""
    n = successes + failures
    bar = -math.log(alpha)
    peak = successes / n if n else 0.5

    def refuted(share: float) -> bool:
        return beta_binomial_evidence(successes, failures, share) > bar

    low = _edge(peak, 0.0, refuted) if successes else 0.0
    high = _edge(peak, 1.0, refuted) if failures else 1.0
    return Interval(low, high)


def cusum(passes: Iterable[bool], healthy: float, broken: float) -> Iterator[float]:
    """The sum after each observation; above ln(observations between false alarms) the pass rate has fallen."""
    passed, failed = math.log(broken / healthy), math.log((1 - broken) / (1 - healthy))
    total = 0.0
    for is_pass in passes:
        total = max(0.0, total + (passed if is_pass else failed))
        yield total


def _width(n: int, deviation: float, rho: float, log_term: Callable[[float], float]) -> float:
    spread = n * rho * rho + 1
    return deviation * math.sqrt(2 * spread / (n * n * rho * rho) * log_term(math.sqrt(spread)))


def _edge(inside: float, outside: float, refuted: Callable[[float], bool]) -> float:
    while True:
        middle = (inside + outside) / 2
        if middle in (inside, outside):
            return inside
        if refuted(middle):
            outside = middle
        else:
            inside = middle
