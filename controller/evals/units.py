"""Whether the costs of one model were written in two units: dollars and cents, say. Pure."""

import math
from collections.abc import Sequence
from itertools import accumulate, pairwise
from statistics import median
from typing import Final

from controller.evals.rows import Row

APART: Final = 20.0
"""Prices of one model on one kind of work spread widely, but without such a hole in the middle."""
SMALLEST_GROUP: Final = 0.01
EXPLAINED: Final = 0.85
"""The share of the spread that lies between two groups: 1 for two points, 0.64 for one bell."""
GROUPS_APART: Final = 30.0
FEWEST: Final = 3
"""Rows in a group; fewer are outliers."""


def mixed_scales(rows: Sequence[Row]) -> float | None:
    """How many times apart the two groups are; None where costs are of one piece.

    By token where tokens are known, since long samples cost more; else by call.
    """
    paid = [row for row in rows if row.cost_usd and row.status == "ok"]
    by_token = [float(row.cost_usd or 0) / tokens for row in paid if (tokens := (row.in_tok or 0) + (row.out_tok or 0))]
    if len(by_token) == len(paid):
        return _two_groups(by_token)
    return _two_groups([float(row.cost_usd or 0) for row in paid])


def _two_groups(costs: Sequence[float]) -> float | None:
    logs = sorted(math.log(cost) for cost in costs)
    least = max(FEWEST, math.ceil(SMALLEST_GROUP * len(logs)))
    splits = range(least, len(logs) - least + 1)
    if not splits:
        return None
    gaps = [high - low for low, high in pairwise(logs)]
    hole = max(splits, key=lambda at: gaps[at - 1])
    if gaps[hole - 1] >= math.log(APART):
        return _times_apart(logs, hole)
    # Wide groups leave no hole. The split that explains most of the spread (Otsu 1979) tells two bells from one.
    total, n = math.fsum(logs), len(logs)
    sums = list(accumulate(logs))
    mean = total / n
    spread = math.fsum((value - mean) ** 2 for value in logs)

    def between(at: int) -> float:
        return at * (sums[at - 1] / at - mean) ** 2 + (n - at) * ((total - sums[at - 1]) / (n - at) - mean) ** 2

    best = max(splits, key=between)
    times = _times_apart(logs, best)
    return times if spread and between(best) / spread >= EXPLAINED and times >= GROUPS_APART else None


def _times_apart(logs: Sequence[float], at: int) -> float:
    return math.exp(median(logs[at:]) - median(logs[:at]))
