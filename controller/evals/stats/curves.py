"""Quality against cost: routing curves, the line that a random mix reaches, the front and its hull."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple


class Point(NamedTuple):
    cost: float
    quality: float


class Ends(NamedTuple):
    """The two models that a router chooses between."""

    weak: Point
    strong: Point


def gap_recovered(quality: float, weak: float, strong: float) -> float:
    """PGR: 0 is as good as the weak model, 1 as good as the strong one."""
    return (quality - weak) / (strong - weak)


def calls_for_gap(strong_shares: Sequence[float], qualities: Sequence[float], share_of_gap: float) -> float:
    """CPT: the share of strong calls at which `share_of_gap` of the gap is recovered (RouteLLM, Ong et al. 2024).

    The curve runs from no strong call to all. Where quality falls on the way, its running maximum counts: more
    strong calls could have been left out.
    """
    points = sorted(zip(strong_shares, qualities, strict=True))
    weak, strong = points[0][1], points[-1][1]
    wanted = weak + share_of_gap * (strong - weak)
    best_share, best = points[0]
    if best >= wanted:
        return best_share
    for share, quality in points[1:]:
        if quality >= wanted:
            return best_share + (share - best_share) * (wanted - best) / (quality - best)
        if quality > best:
            best_share, best = share, quality
        else:
            best_share = share
    return points[-1][0]


def average_gap_recovered(strong_shares: Sequence[float], qualities: Sequence[float]) -> float:
    """APGR: the area between the curve and the weak model, as a share of what the strong model alone would have."""
    points = sorted(zip(strong_shares, qualities, strict=True))
    width = points[-1][0] - points[0][0]
    weak, strong = points[0][1], points[-1][1]
    return (_area(points) / width - weak) / (strong - weak)


def chord(ends: Ends, cost: float) -> float:
    """The quality that a random mix of the two models has at this cost per call."""
    weak, strong = ends
    return weak.quality + (strong.quality - weak.quality) * (cost - weak.cost) / (strong.cost - weak.cost)


def lift(ends: Ends, reached: Point) -> float:
    """How much better than a random mix at the same cost."""
    return reached.quality - chord(ends, reached.cost)


def cost_of_quality(ends: Ends, quality: float) -> float:
    """What a random mix pays per call to reach this quality."""
    weak, strong = ends
    return weak.cost + (strong.cost - weak.cost) * (quality - weak.quality) / (strong.quality - weak.quality)


@dataclass(frozen=True, slots=True)
class Front:
    front: tuple[str, ...]
    """Names that no other beats in both cost and quality, cheapest first."""
    hull: tuple[str, ...]
    """Those of the front that a random mix of others does not beat either."""


def pareto(points: Mapping[str, Point]) -> Front:
    front: list[str] = []
    best = -math.inf
    for name in sorted(points, key=lambda name: (points[name].cost, -points[name].quality, name)):
        if points[name].quality > best:
            front.append(name)
            best = points[name].quality
    hull: list[str] = []
    for name in front:
        while len(hull) > 1 and not _is_above(points[hull[-2]], points[hull[-1]], points[name]):
            hull.pop()
        hull.append(name)
    return Front(tuple(front), tuple(hull))


def average_quality_of_hull(points: Mapping[str, Point]) -> float | None:
    """AIQ: the mean height of the hull over the range of costs of all models; past its last point it stays level.

    RouterBench divides by the dearest cost instead, which also counts money that no model asks for.
    """
    low, high = min(p.cost for p in points.values()), max(p.cost for p in points.values())
    if high == low:
        return None
    hull = [points[name] for name in pareto(points).hull]
    return _area([*hull, Point(high, hull[-1].quality)]) / (high - low)


def _area(points: Sequence[tuple[float, float]]) -> float:
    return math.fsum((x2 - x1) * (y1 + y2) / 2 for (x1, y1), (x2, y2) in pairwise(points))


def _is_above(left: Point, middle: Point, right: Point) -> bool:
    """Whether the middle lies above the line from left to right."""
    return (middle.quality - left.quality) * (right.cost - left.cost) > (right.quality - left.quality) * (
        middle.cost - left.cost
    )
