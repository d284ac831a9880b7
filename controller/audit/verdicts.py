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
CONCENTRATED: Final = Decimal("0.25")
CRITICAL: Final = Decimal("0.50")


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


def shares_of(amounts: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """Parts of the whole, largest first; nothing where the whole is nothing."""
    total = sum(amounts.values(), Decimal(0))
    if not total:
        return {}
    ordered = sorted(amounts.items(), key=lambda pair: (-pair[1], pair[0]))
    return {name: amount / total for name, amount in ordered if amount}


def hhi(shares: Iterable[Decimal]) -> Decimal:
    """Herfindahl-Hirschman index: the sum of the squared shares. Its inverse counts the equal vendors it is like."""
    return sum((share * share for share in shares), Decimal(0))


def level_of(index: Decimal) -> str:
    if index >= CRITICAL:
        return "critical"
    return "concentrated" if index >= CONCENTRATED else "spread"
