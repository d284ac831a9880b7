"""How much hangs on one vendor. Pure."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final

CONCENTRATED: Final = Decimal("0.25")
CRITICAL: Final = Decimal("0.50")


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
