"""The cheap model first, the strong one where a check of its answer says so: does that beat a random mix of the two?

A check that is no better than chance costs more than it brings, so a cascade is lawful only where its lift over the
line of random mixes is above zero for sure, on samples that did not choose its threshold. Pure.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from controller.evals.pairs import Pair
from controller.evals.stats.curves import Ends, Point, chord, cost_of_quality, lift
from controller.evals.stats.interval import Interval
from controller.evals.stats.money import RESAMPLES, percentile_interval, resampled_sums, seed_of

MOST_THRESHOLDS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Both:
    """One sample by the cheap and the strong model, with what the check said of the cheap answer."""

    unit: tuple[str, str]
    is_held_out: bool
    cheap: float
    strong: float
    cheap_usd: float
    strong_usd: float
    check: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Cascade:
    cheap: str
    strong: str
    checker: str
    threshold: float
    """The cheap answer is kept where the check gives at least this."""
    n: int
    """Samples that tested it: all where the check says yes or no, else the half that did not choose the threshold."""
    escalated: float
    """Share of calls that go on to the strong model."""
    ends: Ends
    reached: Point
    chord: float
    """The quality of a random mix at the same cost, or of the cheap model alone where the strong one is not better."""
    lift: float
    lift_interval: Interval | None
    random_usd: float | None
    """What a random mix costs to be as good; None where none is: past the strong model, or if that is not better."""
    perfect: Point
    """What a check that is always right would reach."""

    @property
    def is_lawful(self) -> bool:
        return self.lift_interval is not None and self.lift_interval.low > 0


def cascade_of(
    pairs: Sequence[Pair],
    names: tuple[str, str],
    checks: tuple[Mapping[str, float | None], Mapping[str, float | None]],
    checker: str,
    alpha: float = 0.05,
    resamples: int = RESAMPLES,
) -> Cascade | None:
    """Of two arms the cheaper answers first. `checks` are each arm's checks by sample.

    None where costs are unknown or equal, or no answer of the cheap model was checked.
    """
    priced = [pair for pair in pairs if pair.incumbent_usd is not None and pair.candidate_usd is not None]
    paid = [
        math.fsum(pair.incumbent_usd or 0 for pair in priced),
        math.fsum(pair.candidate_usd or 0 for pair in priced),
    ]
    cheap = 0 if paid[0] < paid[1] else 1
    samples = [both for pair in priced if (both := _both(pair, cheap, checks[cheap].get(pair.sample_id))) is not None]
    choosing = [both for both in samples if not both.is_held_out]
    testing = [both for both in samples if both.is_held_out]
    if all(both.check in (0.0, 1.0) for both in samples):
        # Yes or no leaves nothing to choose, so that every sample may test.
        choosing, testing = [], samples
    ends = _ends(testing)
    if ends is None:
        return None
    threshold = _best_threshold(choosing)
    reached = _reached(testing, threshold)
    mixed = max(chord(ends, reached.cost), ends.weak.quality)
    is_between = ends.weak.quality < ends.strong.quality >= reached.quality
    n = len(testing)
    return Cascade(
        cheap=names[cheap],
        strong=names[1 - cheap],
        checker=checker,
        threshold=threshold,
        n=n,
        escalated=sum(both.check < threshold for both in testing) / n,
        ends=ends,
        reached=reached,
        chord=mixed,
        lift=reached.quality - mixed,
        lift_interval=_lift_interval(testing, threshold, alpha, resamples),
        random_usd=cost_of_quality(ends, reached.quality) if is_between else None,
        perfect=Point(
            math.fsum(b.cheap_usd + (b.strong_usd if b.strong > b.cheap else 0) for b in testing) / n,
            math.fsum(max(b.cheap, b.strong) for b in testing) / n,
        ),
    )


def _both(pair: Pair, cheap: int, check: float | None) -> Both | None:
    if check is None or pair.incumbent_usd is None or pair.candidate_usd is None:
        return None
    scores, costs = (pair.incumbent, pair.candidate), (pair.incumbent_usd, pair.candidate_usd)
    return Both(
        unit=pair.unit,
        is_held_out=pair.is_held_out,
        cheap=scores[cheap],
        strong=scores[1 - cheap],
        cheap_usd=costs[cheap],
        strong_usd=costs[1 - cheap],
        check=check,
    )


def _ends(samples: Sequence[Both]) -> Ends | None:
    """None where the one model is not dearer than the other: then there is no line between them."""
    n = len(samples)
    if not n:
        return None
    weak = Point(math.fsum(b.cheap_usd for b in samples) / n, math.fsum(b.cheap for b in samples) / n)
    strong = Point(math.fsum(b.strong_usd for b in samples) / n, math.fsum(b.strong for b in samples) / n)
    return Ends(weak, strong) if strong.cost > weak.cost else None


def _routed(both: Both, threshold: float) -> tuple[float, float]:
    """Cost and quality of one sample; an escalated one pays for both answers."""
    if both.check >= threshold:
        return both.cheap_usd, both.cheap
    return both.cheap_usd + both.strong_usd, both.strong


def _reached(samples: Sequence[Both], threshold: float) -> Point:
    routed = [_routed(both, threshold) for both in samples]
    return Point(*(math.fsum(column) / len(samples) for column in zip(*routed, strict=True)))


def _best_threshold(samples: Sequence[Both]) -> float:
    """The one with the greatest lift; 1 where there is nothing to choose it by."""
    values = sorted({both.check for both in samples})
    ends = _ends(samples)
    if ends is None:
        return 1.0
    step = max(1, len(values) // MOST_THRESHOLDS)
    return max(values[::step], key=lambda threshold: lift(ends, _reached(samples, threshold)))


def _lift_interval(samples: Sequence[Both], threshold: float, alpha: float, resamples: int) -> Interval | None:
    import numpy as np

    units: defaultdict[tuple[str, str], list[tuple[float, ...]]] = defaultdict(list)
    for both in samples:
        row = (both.cheap_usd, both.cheap, both.strong_usd, both.strong, *_routed(both, threshold), 1.0)
        units[both.unit].append(row)
    if len(units) < 2:
        return None
    sums = [[math.fsum(column) for column in zip(*units[unit], strict=True)] for unit in sorted(units)]
    drawn = resampled_sums(list(zip(*sums, strict=True)), seed_of(sums), resamples=resamples)
    weak_usd, weak, strong_usd, strong, cost, quality = (drawn[:, :6] / drawn[:, 6:]).T
    gap = strong_usd - weak_usd
    # A resample in which the strong model is not dearer has no line to beat.
    rise = np.divide(strong - weak, gap, out=np.full_like(gap, np.nan), where=gap > 0)
    lifts = quality - weak - np.maximum(rise, 0) * (cost - weak_usd)
    lifts = lifts[np.isfinite(lifts)]
    return percentile_interval(lifts, alpha) if len(lifts) else None
