"""Whether a bundle on trial goes on, waits or is taken back: a decision over figures. Pure.

The sidecars that run it are compared with the others, by use case, over the calls since the current stage began.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Final

from schemas.bundle import Bundle, Model, Provider, UseCase, models_named

CLEAR_CALLS: Final = 30
"""From so many calls on, what is beyond chance by `CLEAR_SIGMAS` is not waited for any longer."""
CLEAR_SIGMAS: Final = 5.0
"""Figures are looked at every few seconds: with few calls, three sigmas would often be reached by chance."""
SIGMAS: Final = 3.0
MIN_ERRORS_MORE: Final = 0.005
MIN_FALLBACKS_MORE: Final = 0.02
MIN_REFUSALS_MORE: Final = 0.02
FALLBACKS_TIMES: Final = 2.0
LATENCY_TIMES: Final = 1.5
MIN_SECONDS_MORE: Final = 0.1
COST_TIMES: Final = Decimal("1.5")
CLEAR_COST_TIMES: Final = Decimal(3)
COHORT_FROM: Final = 3
"""A stage of one percent has at least so many sidecars, where they are no more than a quarter."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Calls of one use case under one bundle."""

    calls: int = 0
    errors: int = 0
    """What callers saw fail; refusals apart."""
    refusals: int = 0
    """By a limit or a ceiling."""
    fallbacks: int = 0
    """Calls for which another model than the first was asked."""
    priced: int = 0
    """Calls whose cost is known."""
    cost_usd: Decimal = Decimal(0)
    """Of those, wasted attempts included."""
    slow_seconds: float | None = None
    """95th percentile to the first token, or to the answer where it was not streamed; None: no call was good."""


NO_CALLS: Final = Figures()


@dataclass(frozen=True, slots=True)
class Arms:
    trial: Figures = NO_CALLS
    control: Figures = NO_CALLS


@dataclass(frozen=True, slots=True)
class Hold:
    waits_for: str


@dataclass(frozen=True, slots=True)
class Advance:
    pass


@dataclass(frozen=True, slots=True)
class RollBack:
    reason: str


Verdict = Hold | Advance | RollBack


def verdict(
    figures: Mapping[str, Arms], *, affected: Sequence[str], removed: Sequence[str] = (), rejected_by: Sequence[str],
    min_calls: int, seconds_left: float,
) -> Verdict:  # fmt: skip
    """What to do with the trial now.

    Args:
        figures: by use case; one that nobody called is missing.
        affected: use cases that the trial may change.
        removed: use cases that the trial does not know: on trial their calls are refused, and no figure says so.
        rejected_by: sidecars that will not run it.
        min_calls: of each side and use case, before a stage counts as passed.
        seconds_left: of this stage's bake.
    """
    if rejected_by:
        return RollBack(f"{rejected_by[0]} does not run it ({len(rejected_by)} in all)")
    for use_case in removed:
        if calls := figures.get(use_case, Arms()).control.calls:
            return RollBack(f"{use_case}: it is gone, and {calls} calls of it were made beside it")
    for use_case in affected:
        for regression in regressions(figures.get(use_case, Arms()), min_calls=min_calls):
            return RollBack(f"{use_case}: {regression}")
    called = {name: arms for name in affected if (arms := figures.get(name, Arms())) != Arms()}
    if affected and not called:
        return Hold("calls: none of the use cases that it changes was called")
    for use_case, arms in called.items():
        if min(arms.trial.calls, arms.control.calls) < min_calls:
            return Hold(
                f"calls of {use_case}: {arms.trial.calls} on trial, {arms.control.calls} beside it, {min_calls} needed"
            )
    return Hold(f"the bake: {seconds_left:.0f} s") if seconds_left > 0 else Advance()


def regressions(arms: Arms, *, min_calls: int) -> list[str]:
    """What got worse beyond chance; the texts give both figures."""
    trial, control = arms.trial, arms.control
    calls = min(trial.calls, control.calls)
    if calls < min(CLEAR_CALLS, min_calls):
        return []
    sigmas = SIGMAS if calls >= min_calls else CLEAR_SIGMAS
    found = []
    for name, of_trial, of_control, least, times in (
        ("errors", trial.errors, control.errors, MIN_ERRORS_MORE, 1.0),
        ("fallbacks", trial.fallbacks, control.fallbacks, MIN_FALLBACKS_MORE, FALLBACKS_TIMES),
        ("refusals", trial.refusals, control.refusals, MIN_REFUSALS_MORE, 1.0),
    ):
        share, usual = of_trial / trial.calls, of_control / control.calls
        margin = max(least, sigmas * _sigma(of_trial + of_control, trial.calls, control.calls))
        if share - usual > margin and share > usual * times:
            found.append(f"{name} of {share:.1%} of the calls, {usual:.1%} beside it")
    return found + _dearer(trial, control, min_calls) + _slower(trial, control, min_calls)


def _sigma(both: int, one: int, other: int) -> float:
    """Of the difference of two shares, were they the same (pooled two-proportion z test)."""
    pooled = both / (one + other)
    return math.sqrt(pooled * (1 - pooled) * (1 / one + 1 / other))


def _dearer(trial: Figures, control: Figures, min_calls: int) -> list[str]:
    calls = min(trial.priced, control.priced)
    if calls < min(CLEAR_CALLS, min_calls):
        return []
    times = COST_TIMES if calls >= min_calls else CLEAR_COST_TIMES
    mean, usual = trial.cost_usd / trial.priced, control.cost_usd / control.priced
    return [f"a call costs {mean:.6f} USD, {usual:.6f} beside it"] if mean > usual * times else []


def _slower(trial: Figures, control: Figures, min_calls: int) -> list[str]:
    if min(trial.calls, control.calls) < min_calls or trial.slow_seconds is None or control.slow_seconds is None:
        return []
    slow, usual = trial.slow_seconds, control.slow_seconds
    if slow > usual * LATENCY_TIMES and slow - usual > MIN_SECONDS_MORE:
        return [f"95 % answer within {slow:.2f} s, {usual:.2f} s beside it"]
    return []


def affected_use_cases(stable: Bundle, candidate: Bundle) -> tuple[str, ...]:
    """Use cases of both that may be answered otherwise. One that is new takes nothing from those that were."""
    both = sorted(stable.use_cases.keys() & candidate.use_cases.keys())
    if stable.callers != candidate.callers:
        return tuple(both)
    return tuple(name for name in both if _seen_by(stable, name) != _seen_by(candidate, name))


def removed_use_cases(stable: Bundle, candidate: Bundle) -> tuple[str, ...]:
    """Names that meant a use case and mean none any more, not even as an alias of another."""
    aliases = [alias for use_case in candidate.use_cases.values() for alias in use_case.aliases]
    gone = sorted(stable.use_cases.keys() - candidate.use_cases.keys())
    return tuple(name for name in gone if not any(fnmatchcase(name, alias) for alias in aliases))


def _seen_by(bundle: Bundle, name: str) -> tuple[UseCase, dict[str, Model], dict[str, Provider]]:
    """All that a use case's calls may meet."""
    use_case = bundle.use_cases[name]
    models = {model: bundle.models[model] for model in models_named(use_case)}
    providers = {door.provider: bundle.providers[door.provider] for m in models.values() for door in m.served_by}
    return use_case, models, providers


def percent_for(stage: int, lots: Sequence[int]) -> float:
    """The share at which a stage of so many percent has its sidecars, some on either side.

    Args:
        stage: percent.
        lots: what the sidecars drew, 0 to 9,999 each (`schemas.cohort`); with fewer than two, the stage as it is.
    """
    count = len(lots)
    if count < 2:
        return float(stage)
    wanted = max(math.ceil(count * stage / 100), min(COHORT_FROM, count // 4), 1)
    wanted = min(wanted, count - 1)
    return (sorted(lots)[wanted - 1] + 1) / 100
