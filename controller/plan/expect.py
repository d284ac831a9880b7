"""What a replay lets expect: money a month with an interval, and how the models did that calls would go to. Pure."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

from controller.plan.figures import Figures
from controller.plan.replay import Money, Replay

DAYS_A_MONTH: Final = Decimal("30.4375")
MIN_DAYS: Final = 7
"""Fewer days show no week, and so no interval."""
RESAMPLES: Final = 2000
SHARE: Final = 0.90
"""Of the interval."""


@dataclass(frozen=True, slots=True)
class Monthly:
    """US dollars a month."""

    usd: Decimal
    low: Decimal | None = None
    high: Decimal | None = None
    """None: too few days."""


@dataclass(frozen=True, slots=True)
class Cost:
    before: Monthly
    after: Monthly
    difference: Monthly
    days: int


@dataclass(frozen=True, slots=True)
class Record:
    """How a model did so far."""

    model: str
    answers: int
    error_share: float
    p50_seconds: float
    p95_seconds: float
    in_this_use_case: bool
    """False: over all use cases, for want of enough answers in this one."""


def monthly_cost(days: Mapping[str, Money], first: str, last: str) -> Cost:
    """Over the days from `first` to `last` (ISO), those without calls included.

    The interval is a bootstrap of whole days, percentile method (Efron and Tibshirani, "An Introduction to the
    Bootstrap", 1993): days are what repeats, calls within one do not vary alone. The draws are the same at every run.
    """
    pairs = [(money.before_usd, money.after_usd) for money in (days.get(day, Money()) for day in _days(first, last))]
    before, after = ([pair[side] for pair in pairs] for side in (0, 1))
    differences = [new - old for old, new in pairs]
    return Cost(_monthly(before), _monthly(after), _monthly(differences), len(pairs))


def _days(first: str, last: str) -> list[str]:
    start, end = date.fromisoformat(first), date.fromisoformat(last)
    return [(start + timedelta(days=number)).isoformat() for number in range((end - start).days + 1)]


def _monthly(daily: Sequence[Decimal]) -> Monthly:
    mean = sum(daily, Decimal(0)) / len(daily) * DAYS_A_MONTH
    if len(daily) < MIN_DAYS:
        return Monthly(mean)
    draw = random.Random(0)
    values = [float(amount) for amount in daily]
    means = sorted(sum(draw.choices(values, k=len(values))) / len(values) for _ in range(RESAMPLES))
    edge = (1 - SHARE) / 2
    low, high = (Decimal(repr(means[int(part * (RESAMPLES - 1))])) * DAYS_A_MONTH for part in (edge, 1 - edge))
    return Monthly(mean, low, high)


def record_of(replay: Replay, use_case: str, model: str) -> Record | None:
    """From this use case's own calls where they are enough, else from all; None: nobody knows."""
    own = replay.figures.get((use_case, model))
    if own is not None and own.tells:
        return _record(model, own, True)
    everywhere = sum((figures for (_, name), figures in replay.figures.items() if name == model), Figures())
    return _record(model, everywhere, False) if everywhere.tells else None


def _record(model: str, figures: Figures, in_this_use_case: bool) -> Record:
    return Record(
        model, figures.attempts - figures.errors, figures.error_share, figures.quantile(0.5), figures.quantile(0.95),
        in_this_use_case,
    )  # fmt: skip
