"""Ratios of sums, such as cost per success or one model's cost over another's, with their error."""

import hashlib
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from controller.evals.stats.interval import Interval

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

RESAMPLES = 10_000
CELLS_AT_ONCE = 2_000_000  # 16 MB of draws: thousands of samples, without the memory of all resamples at once


def ratio(over: Sequence[float], under: Sequence[float]) -> float | None:
    """None where the lower sum is not above zero: no success, or nothing paid, is no basis."""
    total = math.fsum(under)
    return math.fsum(over) / total if total > 0 else None


def ratio_se(over: Sequence[float], under: Sequence[float]) -> float | None:
    """By the delta method, for independent samples."""
    value, n = ratio(over, under), len(over)
    if value is None or n < 2:
        return None
    residuals = [o - value * u for o, u in zip(over, under, strict=True)]
    mean = math.fsum(residuals) / n
    variance = math.fsum((r - mean) ** 2 for r in residuals) / (n - 1)
    return math.sqrt(variance / n) / (math.fsum(under) / n)


def resampled_sums(
    columns: Sequence[Sequence[float]], seed: int, *, resamples: int = RESAMPLES
) -> "npt.NDArray[np.float64]":
    """The sums of each column over units drawn with replacement: a row per resample, one draw for all columns.

    Units are samples; where samples cluster, the sums of each cluster, since only clusters are independent.
    """
    import numpy as np

    units = np.asarray(columns, dtype=np.float64)
    n = units.shape[1]
    generator = np.random.Generator(np.random.PCG64(seed))
    sums = np.empty((resamples, len(columns)))
    step = max(1, CELLS_AT_ONCE // n)
    for start in range(0, resamples, step):
        drawn = generator.integers(0, n, size=(min(step, resamples - start), n), dtype=np.int32)
        for index, column in enumerate(units):
            sums[start : start + step, index] = column[drawn].sum(axis=1)
    return sums


def percentile_interval(values: "npt.NDArray[np.float64]", alpha: float = 0.05) -> Interval:
    import numpy as np

    low, high = np.quantile(values, [alpha / 2, 1 - alpha / 2], method="inverted_cdf")
    return Interval(float(low), float(high))


def ratio_interval(over: "npt.NDArray[np.float64]", under: "npt.NDArray[np.float64]", alpha: float = 0.05) -> Interval:
    """Percentile bootstrap of a ratio of sums. High is infinite where resamples without anything below are common."""
    import numpy as np

    return percentile_interval(np.divide(over, under, out=np.full_like(over, np.inf), where=under > 0), alpha)


def seed_of(*parts: object) -> int:
    """A seed that is a function of the data, so that a rerun gives the same digits."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:8], "big")
