"""The first page: spend against ceilings, errors, answers by another than the first choice, vendors. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Final

from controller.dashboard.use_cases import path_of
from controller.dashboard.view import Page, Table
from controller.ledger.query import Row
from schemas.bundle import Bundle, Ceiling
from schemas.spend import FleetSpend

UNKNOWN: Final = "unknown"
KEYS: Final = ("use_case", "vendor", "reason")
"""What the sums of the last days are asked by."""


def overview_page(
    revision: str, bundle: Bundle | None, spend: FleetSpend | None, sums: Sequence[Row] | None, *, days: int
) -> Page:
    """
    Args:
        spend, sums: None where the ledger cannot be read: what it would say is shown as unknown.
        sums: by `KEYS`, over the last `days`.
    """
    is_away = spend is None or sums is None
    return Page(
        "/",
        "Overview",
        (_spend(bundle, spend), _traffic(sums, days), _vendors(sums, days)),
        facts=(("revision", revision[:12] or "none yet"),),
        warnings=("The ledger cannot be read just now: money and traffic are unknown.",) if is_away else (),
    )


def _spend(bundle: Bundle | None, spend: FleetSpend | None) -> Table:
    use_cases = {} if bundle is None else bundle.use_cases
    rows = []
    for name, use_case in sorted(use_cases.items()):
        ceiling = use_case.ceiling or Ceiling()
        spent = None if spend is None else spend.use_cases.get(name)
        day, month = (Decimal(0), Decimal(0)) if spent is None else (spent.per_day, spent.per_month)
        rows.append((
            name, use_case.owner,
            UNKNOWN if spend is None else _usd(day), _limit(ceiling.per_day),
            UNKNOWN if spend is None else _usd(month), _limit(ceiling.per_month),
        ))  # fmt: skip
    head = ("use case", "owner", "today, USD", "ceiling per day", "this month, USD", "ceiling per month")
    return Table(
        "spend",
        "Spend against ceilings",
        head,
        rows,
        "No rules run yet: see GET /v1/problems for the reason.",
        links=[path_of(name) for name, *_ in rows],
    )


def _traffic(sums: Sequence[Row] | None, days: int) -> Table:
    calls, errors = _by(sums, "use_case", "requests"), _by(sums, "use_case", "errors")
    fallbacks = _by([row for row in sums or () if row["reason"] == "fallback"], "use_case", "requests")
    rows = [
        (name, f"{number:,}", _share(errors[name], number), _share(fallbacks.get(name, 0), number))
        for name, number in sorted(calls.items())
    ]
    return Table(
        "traffic", f"Calls of the last {days} days", ("use case", "calls", "errors", "answered by a fallback"), rows,
        _no_calls(sums), links=[path_of(name) for name, *_ in rows],
    )  # fmt: skip


def _vendors(sums: Sequence[Row] | None, days: int) -> Table:
    calls = {vendor or UNKNOWN: number for vendor, number in _by(sums, "vendor", "requests").items() if number}
    total = sum(calls.values())
    ranked = sorted(calls.items(), key=lambda item: (-item[1], item[0]))
    rows = [(vendor, f"{number:,}", _share(number, total)) for vendor, number in ranked]
    title = f"Vendors of the last {days} days"
    return Table("vendors", title, ("vendor", "calls", "share of calls"), rows, _no_calls(sums))


def _by(sums: Iterable[Row] | None, key: str, figure: str) -> Mapping[str, int]:
    found: dict[str, int] = defaultdict(int)
    for row in sums or ():
        found[str(row[key])] += int(row[figure])
    return found


def _no_calls(sums: Sequence[Row] | None) -> str:
    if sums is None:
        return "Unknown while the ledger cannot be read."
    return "No call is booked yet. Point an agent's base URL at a sidecar; calls stand here some seconds later."


def _usd(amount: Decimal) -> str:
    return f"{amount:,.4f}"


def _limit(amount: Decimal | None) -> str:
    return "none" if amount is None else f"{amount:,f}"


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else UNKNOWN
