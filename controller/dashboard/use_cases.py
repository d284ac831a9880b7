"""The page of all use cases: whose they are, who answers, what they spend, what is due. Pure."""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Final
from urllib.parse import quote

from controller.canaries.state import Canary
from controller.dashboard.view import Page, Table
from controller.ledger.query import Row
from schemas.bundle import Bundle, UseCase
from schemas.rules.rule_set import RuleSet
from schemas.spend import FleetSpend

UNKNOWN: Final = "unknown"
KEYS: Final = ("use_case", "reason")
"""What the sums of the last days are asked by."""
HEAD: Final = (
    "use case", "class", "owner", "primary", "calls", "answered by a fallback", "this month, USD", "review due",
    "canary",
)  # fmt: skip


def path_of(use_case: str) -> str:
    """Where its page is."""
    return f"/use-cases/{quote(use_case, safe='')}"


def use_cases_page(
    bundle: Bundle | None, rules: RuleSet | None, spend: FleetSpend | None, sums: Sequence[Row] | None,
    canaries: Sequence[Canary], *, today: date, days: int, trouble: str = "",
) -> Page:  # fmt: skip
    """
    Args:
        rules: of the revision that runs; None: its files cannot be read.
        spend, sums: None where the ledger cannot be read; sums by `KEYS`, over the last `days`.
        trouble: why the rule files cannot be read.
    """
    names = [] if bundle is None else sorted(bundle.use_cases)
    going = {canary.use_case: canary for canary in canaries}
    rows = [
        _row(name, bundle.use_cases[name], spend, sums, review_due(rules, name, today), going)
        for name in names
        if bundle is not None
    ]
    warnings = []
    if spend is None or sums is None:
        warnings.append("The ledger cannot be read just now: money and traffic are unknown.")
    if trouble:
        warnings.append(f"The rule files cannot be read just now: {trouble}")
    table = Table(
        "use-cases", "Use cases", HEAD, rows,
        "No rules run yet: see GET /v1/problems for the reason. `pointsman init` makes a repository to start from.",
        links=[path_of(name) for name in names], note=f"Calls and fallbacks are those of the last {days} days.",
    )  # fmt: skip
    return Page("/use-cases", "Use cases", (table,), warnings=tuple(warnings))


def _row(
    name: str, use_case: UseCase, spend: FleetSpend | None, sums: Sequence[Row] | None, due: str,
    canaries: Mapping[str, Canary],
) -> tuple[str, ...]:  # fmt: skip
    own = [row for row in sums or () if row["use_case"] == name]
    calls = sum(int(row["requests"]) for row in own)
    fallbacks = sum(int(row["requests"]) for row in own if row["reason"] == "fallback")
    spent = None if spend is None else spend.use_cases.get(name)
    month = UNKNOWN if spend is None else f"{Decimal(0) if spent is None else spent.per_month:,.4f}"
    canary = canaries.get(name)
    return (
        name, use_case.kind, use_case.owner, use_case.chain[0],
        UNKNOWN if sums is None else f"{calls:,}", f"{fallbacks / calls:.1%}" if calls else UNKNOWN,
        against(month, None if use_case.ceiling is None else use_case.ceiling.per_month), due,
        "none" if canary is None else f"{canary.model} {canary.state.replace('_', ' ')}, {canary.percent:f} %",
    )  # fmt: skip


def against(amount: str, ceiling: Decimal | None) -> str:
    return f"{amount}, no ceiling" if ceiling is None else f"{amount} of {ceiling:,f}"


def review_due(rules: RuleSet | None, name: str, today: date) -> str:
    own = None if rules is None else rules.use_cases.get(name)
    if own is None:
        return UNKNOWN
    review = own.content.review
    if review is None:
        return "no date"
    return f"{review.by}, overdue" if review.by < today else f"{review.by}"
