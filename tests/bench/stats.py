"""The numbers of a bench run, made from the numbers of its rounds. Pure.
Neighbours on the machine disturb a round as a whole, so bursts are compared inside a round, seconds apart."""

from collections.abc import Mapping, Sequence
from statistics import median

Round = Mapping[str, float]
"""What one row measured in one round, by metric; a metric that failed is absent."""


def medians(rounds: Sequence[Round]) -> dict[str, float]:
    """The median of each metric over the rounds that have it."""
    return {metric: median(r[metric] for r in rounds if metric in r) for metric in _metrics(rounds)}


def ratios(rounds: Sequence[Round], base: Sequence[Round]) -> dict[str, float]:
    """The median over rounds of `rounds[i] / base[i]`. A metric that no round has on both sides has none; nor has one
    whose base is zero or below, which happens to differences that drown in noise."""
    inside = {
        metric: [
            ours[metric] / theirs[metric]
            for ours, theirs in zip(rounds, base, strict=True)
            if metric in ours and theirs.get(metric, 0.0) > 0
        ]
        for metric in _metrics(rounds)
    }
    return {metric: median(found) for metric, found in inside.items() if found}


def with_added(rounds: Sequence[Round], direct: Sequence[Round], metrics: Mapping[str, str]) -> list[Round]:
    """Each round with `metrics[name] = rounds[i][name] - direct[i][name]`: what the proxy adds to a direct call."""
    return [
        {**ours, **{new: ours[name] - theirs[name] for name, new in metrics.items() if name in ours and name in theirs}}
        for ours, theirs in zip(rounds, direct, strict=True)
    ]


def _metrics(rounds: Sequence[Round]) -> list[str]:
    return list(dict.fromkeys(metric for r in rounds for metric in r))
