"""The ledger's sums as the audit reads them: the rows of `usage` by the keys of `BY`. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any, Final

BY: Final = ("use_case", "model", "vendor", "provider", "reason", "day")
NEEDED: Final = ("use_case", "model", "vendor", "requests", "cost_usd")
PINNED: Final = "pinned"


class UnclearUsage(ValueError):
    """What is missing, and how to get it."""


@dataclass(frozen=True, slots=True)
class Booked:
    use_case: str
    model: str
    vendor: str
    provider: str
    reason: str
    day: date | None
    requests: int
    usd: Decimal


def booked_rows(rows: Iterable[Mapping[str, Any]]) -> list[Booked]:
    """Raises `UnclearUsage`: a key is missing or holds what it cannot hold."""
    return [_booked(number, row) for number, row in enumerate(rows)]


def _booked(number: int, row: Mapping[str, Any]) -> Booked:
    if missing := [key for key in NEEDED if key not in row]:
        command = f"pointsman usage --format json --by {','.join(BY)}"
        raise UnclearUsage(f"rows[{number}] has no {', '.join(missing)}; print them by `{command}`")
    try:
        day = date.fromisoformat(row["day"]) if row.get("day") else None
        use_case, model, vendor, provider, reason = (str(row.get(key) or "") for key in BY[:-1])
        return Booked(use_case, model, vendor, provider, reason, day, int(row["requests"]), Decimal(row["cost_usd"]))
    except (TypeError, ValueError, InvalidOperation) as error:
        raise UnclearUsage(f"rows[{number}] is not a row of the ledger: {error}") from error


def amounts_by(rows: Sequence[Booked], key: str, *, by_cost: bool) -> dict[str, Decimal]:
    """Sums of dollars, or of calls."""
    sums: dict[str, Decimal] = {}
    for row in rows:
        name = getattr(row, key)
        if name:
            sums[name] = sums.get(name, Decimal(0)) + (row.usd if by_cost else Decimal(row.requests))
    return sums


def routed_share(rows: Sequence[Booked]) -> Decimal | None:
    """Calls that a rule routed; None where the rows do not say."""
    calls = sum(row.requests for row in rows)
    if not calls or not any(row.reason for row in rows):
        return None
    return 1 - Decimal(sum(row.requests for row in rows if row.reason == PINNED)) / calls


def billed_alike(rows: Sequence[Booked], payee: str, days: tuple[date, date] | None) -> list[Booked]:
    """What the ledger has of one payee, a provider or a vendor (several by commas), over the same days."""
    names = {name.strip() for name in payee.split(",")}
    ours = [row for row in rows if row.provider in names] or [row for row in rows if row.vendor in names]
    return [row for row in ours if days is None or row.day is None or days[0] <= row.day <= days[1]]
