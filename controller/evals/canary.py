"""Whether a canary's step is passed, failed or undecided: a decision over figures. Pure.

It may be asked as often as one likes. The two sides are compared by a confidence sequence (`stats.sequential`), which
holds at every look at once; guardrails are sums that forget what was good (CUSUM), with alarms far between.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Protocol

from controller.evals.canary_figures import Figures, Minute, Side, Sums
from controller.evals.stats.sequential import best_rho, beta_binomial_evidence, half_width

MIN_CONVERSATIONS: Final = 100
"""Of the smaller side: the sequence is asymptotic."""
ALPHA: Final = 0.05
"""Of the confidence sequence, two-sided, in each step."""
ALARM: Final = math.log(100_000)
"""Of a guardrail's sum: conversations of the candidate between two false alarms, at least."""
BELOW: Final = 0.5
ABOVE: Final = 1.5
"""Of what a guardrail allows: a sum tells these two apart, and grows from about the middle on, which is the limit."""
MISMATCH: Final = math.log(1_000)
"""Evidence that lots did not fall as they were drawn: the chance that healthy ones ever show it is below 0.001."""
SLOW_USUAL: Final = 0.02
SLOW_TOO_OFTEN: Final = 0.10
"""Of the candidate's answers beyond the line: between these two lies one in twenty, which puts its 95th percentile
there."""
SPREAD_OF_COST: Final = 0.5
"""The standard deviation of a call's cost is taken for at least so much of its mean."""
SIGMAS_OF_COST: Final = 2.0
"""So much above what was seen the incumbent's mean may lie."""


class Terms(Protocol):
    """`controller.canaries.terms.Terms`: what the rules say. Shares from 0 to 1."""

    @property
    def primary(self) -> str: ...
    @property
    def margin(self) -> float: ...
    @property
    def planned_calls(self) -> int: ...
    @property
    def max_calls(self) -> int: ...
    @property
    def errors(self) -> float: ...
    @property
    def invalid(self) -> float: ...
    @property
    def cut_or_refused(self) -> float: ...
    @property
    def latency(self) -> float: ...
    @property
    def spend(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Wait:
    waits_for: str


@dataclass(frozen=True, slots=True)
class Climb:
    """It is proved not to be worse by the margin."""

    reason: str


@dataclass(frozen=True, slots=True)
class TakeBack:
    """It is proved to be worse by the margin, or a guardrail gave way."""

    reason: str


@dataclass(frozen=True, slots=True)
class GiveUp:
    """As many calls as there may be have decided nothing."""

    reason: str


@dataclass(frozen=True, slots=True)
class Halt:
    """The figures cannot be trusted."""

    reason: str


Verdict = Wait | Climb | TakeBack | GiveUp | Halt


def verdict(terms: Terms, percent: Decimal, figures: Figures) -> Verdict:
    """What follows from a step's figures. `percent` is the candidate's share in it."""
    candidate, incumbent = figures.candidate.sums, figures.incumbent.sums
    for alarm in alarms(terms, figures):
        return TakeBack(alarm)
    smaller = min(candidate.conversations, incumbent.conversations)
    if smaller < MIN_CONVERSATIONS:
        if mismatch := lots_mismatch(percent, figures):
            return Halt(mismatch)
        if candidate.calls + incumbent.calls >= terms.max_calls:
            return GiveUp(f"{terms.max_calls} calls, and one side has only {smaller} conversations that say anything")
        return Wait(f"conversations: {smaller} on the smaller side say how good it is, {MIN_CONVERSATIONS} needed")
    difference, half = compare(candidate, incumbent, planned_calls=terms.planned_calls)
    shares = [f"{side.good / side.calls:.2%} of {side.calls} calls" for side in (candidate, incumbent)]
    seen = f"{shares[0]} good, {shares[1]} by {terms.primary}: {difference * 100:+.2f} ± {half * 100:.2f} points"
    margin = f"{terms.margin * 100:.4g} points"
    if difference + half < -terms.margin:
        return TakeBack(f"worse by more than {margin}: {seen}")
    if mismatch := lots_mismatch(percent, figures):
        return Halt(mismatch)
    if difference - half > -terms.margin:
        if not _sum(figures.candidate, _priced):
            return Wait("its cost: none of its calls has a known price")
        return Climb(f"not worse by {margin}: {seen}")
    if candidate.calls + incumbent.calls >= terms.max_calls:
        return GiveUp(f"undecided after {candidate.calls + incumbent.calls} calls: {seen}")
    return Wait(f"more calls: {seen}")


def compare(candidate: Sums, incumbent: Sums, *, planned_calls: int) -> tuple[float, float]:
    """The difference of the shares of good calls, and its half width at every look at once."""
    n = candidate.calls + incumbent.calls
    difference = candidate.good / candidate.calls - incumbent.good / incumbent.calls
    deviation = math.sqrt(n * (_variance(candidate) + _variance(incumbent)))
    return difference, half_width(n, deviation, best_rho(planned_calls), ALPHA)


def _variance(sums: Sums) -> float:
    """Of a side's share: as if calls were alone, or by conversations (Liang and Zeger), whichever is larger.

    A side that has only successes, or none, is taken as if one more of each were to come: nobody is perfect for sure.
    """
    n, good = sums.calls, sums.good
    share = good / n if 0 < good < n else (good + 1) / (n + 2)
    alone = share * (1 - share) / n
    mean = good / n
    between = sums.good_squared - 2 * mean * sums.good_times_calls + mean * mean * sums.calls_squared
    return max(alone, between / n**2)


def lots_mismatch(percent: Decimal, figures: Figures) -> str:
    """A sample ratio that the lots do not explain, tested so that it may be looked at at any time; empty: none."""
    drawn = figures.candidate.drawn
    others = figures.incumbent.drawn + figures.drawn_elsewhere
    if percent >= 100 or beta_binomial_evidence(drawn, others, float(percent) / 100) <= MISMATCH:
        return ""
    return (
        f"{drawn} of {drawn + others} conversations came to it, where its share is {percent:f} %: calls are lost, or "
        f"counted twice, and no figure can be trusted"
    )


def alarms(terms: Terms, figures: Figures) -> Iterator[str]:
    """What must not go on, whatever else the figures say."""
    candidate, incumbent = figures.candidate, figures.incumbent
    for name, share, more in (
        ("errors", lambda minute: minute.errors, terms.errors),
        ("invalid answers", lambda minute: minute.invalid, terms.invalid),
        ("answers cut or refused", lambda minute: minute.cut_or_refused, terms.cut_or_refused),
    ):
        if _has_more(candidate, incumbent, share, more):
            own, usual = (f"{_share(side, share):.2%}" for side in (candidate, incumbent))
            yield f"{name}: {own} of its calls, {usual} by {terms.primary}"
    if figures.slow_line is not None and _is_slower(candidate):
        slow = _sum(candidate, lambda minute: minute.slow) / _sum(candidate, lambda minute: minute.timed)
        yield f"latency: {slow:.1%} of its answers take longer than {figures.slow_line:.2f} s, 5 % may"
    if figures.cost_bound is not None and _is_dearer(candidate, incumbent, terms.spend):
        means = [_sum(side, lambda minute: minute.usd) / _sum(side, _priced) for side in (candidate, incumbent)]
        yield f"spend: a call costs {means[0]:.6f} USD, {means[1]:.6f} by {terms.primary}"


Count = Callable[[Minute], float]


def _has_more(candidate: Side, incumbent: Side, count: Count, more: float) -> bool:
    """CUSUM against what the incumbent has, over the step or in the same minute: an outage of both is nobody's."""
    tried = _sum(incumbent, lambda minute: minute.tried)
    usual = (_sum(incumbent, count) + 1) / (tried + 2)
    total = 0.0
    for at, minute in _in_order(candidate):
        beside = incumbent.minutes.get(at)
        healthy = max(usual, min(0.99, count(beside) / beside.tried) if beside is not None and beside.tried else 0.0)
        room = min(more, (1 - healthy) / 2)
        total = _added(total, count(minute), minute.tried, healthy + BELOW * room, healthy + ABOVE * room)
        if total > ALARM:
            return True
    return False


def _is_slower(candidate: Side) -> bool:
    total = 0.0
    for _, minute in _in_order(candidate):
        total = _added(total, minute.slow, minute.timed, SLOW_USUAL, SLOW_TOO_OFTEN)
        if total > ALARM:
            return True
    return False


def _added(total: float, bad: float, of: float, healthy: float, broken: float) -> float:
    """The sum after a minute; its calls together, so that it is never above the sum call by call."""
    return max(0.0, total + bad * math.log(broken / healthy) + (of - bad) * math.log((1 - broken) / (1 - healthy)))


def _is_dearer(candidate: Side, incumbent: Side, times: float) -> bool:
    """CUSUM of bounded costs, as of normal values; the incumbent's mean is taken for the largest that it may be."""
    if not _sum(candidate, _priced) or not (known := _sum(incumbent, _priced)):
        return False
    mean, variance = _moments_of_cost(incumbent)
    usual = mean + SIGMAS_OF_COST * math.sqrt(variance / known)
    if usual <= 0:
        return False
    well, broken = (usual * (1 + part * (times - 1)) for part in (BELOW, ABOVE))
    spread = max(variance, _moments_of_cost(candidate)[1], (SPREAD_OF_COST * usual) ** 2)
    if not spread:  # a cost so small that its square is nothing
        return False
    total = 0.0
    for _, minute in _in_order(candidate):
        beyond = minute.usd_bounded - minute.priced * (well + broken) / 2
        total = max(0.0, total + (broken - well) / spread * beyond)
        if total > ALARM:
            return True
    return False


def _moments_of_cost(side: Side) -> tuple[float, float]:
    priced = _sum(side, _priced)
    mean = _sum(side, lambda minute: minute.usd_bounded) / priced
    return mean, max(0.0, _sum(side, lambda minute: minute.usd_bounded_squared) / priced - mean * mean)


def _priced(minute: Minute) -> int:
    return minute.priced


def _in_order(side: Side) -> list[tuple[str, Minute]]:
    return sorted(side.minutes.items())


def _sum(side: Side, count: Count) -> float:
    return sum(map(count, side.minutes.values()))


def _share(side: Side, count: Count) -> float:
    tried = _sum(side, lambda minute: minute.tried)
    return _sum(side, count) / tried if tried else 0.0
