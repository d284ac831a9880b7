"""Single model, multi-model with routing, or without: what is said of a use case, a service or a company. Pure."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final, Literal, TypeAlias

Verdict: TypeAlias = Literal[
    "multi-model-with-routing", "multi-model-without-routing", "single-model", "unknown", "unused"
]
WORDS: Final[Mapping[Verdict, str]] = {
    "multi-model-with-routing": "multi-model with routing",
    "multi-model-without-routing": "multi-model without routing",
    "single-model": "single model",
    "unknown": "unknown",
    "unused": "no calls",
}
COUNTS_FROM: Final = Decimal("0.05")
"""A model with less of the spend (of the calls, where no cost is known) is a trial, and no second model yet."""
ROUTED_FROM: Final = Decimal("0.80")
"""So many of the calls must have been routed by a rule."""


def by_use(shares: Mapping[str, Decimal], *, routed: Decimal | None, eligible: int | None) -> Verdict:
    """From what was really called.

    Args:
        shares: model to its part of the spend or the calls, together 1.
        routed: the part of the calls that followed a rule instead of a caller's pin; None: not known.
        eligible: how many models the rules would let answer; None: rules are not known.
    """
    if not shares:
        return "unused"
    used = sum(share >= COUNTS_FROM for share in shares.values())
    has_choice = eligible >= 2 if eligible is not None else used >= 2
    if has_choice and (routed is None or routed >= ROUTED_FROM):
        return "multi-model-with-routing"
    return "multi-model-without-routing" if used >= 2 else "single-model"


def by_rules(eligible: int) -> Verdict:
    """From a use case's chain alone."""
    return "multi-model-with-routing" if eligible >= 2 else "single-model"


def by_code(models: Iterable[str], *, has_routing: bool) -> Verdict:
    """From the models that code names."""
    count = len(set(models))
    if count >= 2:
        return "multi-model-with-routing" if has_routing else "multi-model-without-routing"
    return "single-model" if count else "unknown"
