"""What the rules say of a canary, as the controller keeps it beside the name of their bundle. Values; no I/O."""

from decimal import Decimal
from typing import Final, Literal

import msgspec

from schemas.rules.rule_set import RuleSet
from schemas.rules.use_case import Canary, UseCase

Signal = Literal["checks", "outcome", "feedback"]
MAX_CALLS_TIMES: Final = 4
"""Of `planned_calls`, where the rules do not say: so many times too many calls, and it was no question of patience."""


class Terms(msgspec.Struct, frozen=True):
    """Of one use case. Shares are from 0 to 1, percentages of 100."""

    use_case: str
    model: str
    primary: str
    percent: Decimal
    """Where it starts."""
    ladder: tuple[Decimal, ...]
    signal: Signal
    margin: float
    planned_calls: int
    max_calls: int
    errors: float
    invalid: float
    cut_or_refused: float
    latency: float
    spend: float

    def rung_above(self, percent: Decimal) -> Decimal | None:
        return next((rung for rung in self.ladder if rung > percent), None)


def terms_of(rules: RuleSet) -> tuple[Terms, ...]:
    """Sorted by use case."""
    use_cases = [rules.use_cases[name].content for name in sorted(rules.use_cases)]
    return tuple(_terms(use_case, use_case.canary) for use_case in use_cases if use_case.canary is not None)


def _terms(use_case: UseCase, canary: Canary) -> Terms:
    guardrails = canary.guardrails
    return Terms(
        use_case=use_case.use_case,
        model=canary.model,
        primary=use_case.primary,
        percent=canary.percent,
        ladder=canary.ladder,
        signal=canary.signal,
        margin=float(canary.margin),
        planned_calls=canary.planned_calls,
        max_calls=canary.max_calls or MAX_CALLS_TIMES * canary.planned_calls,
        errors=float(guardrails.errors),
        invalid=float(guardrails.invalid),
        cut_or_refused=float(guardrails.cut_or_refused),
        latency=float(guardrails.latency),
        spend=float(guardrails.spend),
    )
