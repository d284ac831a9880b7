"""Keep, shift or retire: one table per kind, read from the top; the first line that holds decides. Pure.

| use case | decision |
| --- | --- |
| no call in the period, by recorded calls | retire |
| its primary is gone, or goes within `SOON_DAYS`, and its vendor names a successor | shift to the successor |
| valid evidence permits to promote a candidate, and callers did not have it taken back | shift, the cheapest first |
| else | keep |

| model | decision |
| --- | --- |
| no use case names it, and no call in the period went to it, by recorded calls | retire |
| its vendor has ended it | retire |
| else | keep |

Without recorded calls nothing is retired for want of traffic: unknown is not zero.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Final, Literal, TypeAlias

from controller.concentration import hhi, level_of, shares_of
from controller.review.findings import Compared, Drilled, Findings, Tried
from controller.review.period import Period
from controller.review.traffic import Books, Traffic
from schemas.checks.severity import STRICT_CLASSES
from schemas.rules.model import Model
from schemas.rules.price import Price
from schemas.rules.rule_set import RuleSet
from schemas.rules.use_case import UseCase

Decision: TypeAlias = Literal["keep", "shift", "retire"]
SOON_DAYS: Final = 90
"""About a quarter: what goes away until the next review."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model that the use case could call and does not call first."""

    model: str
    state: str
    """`not evaluated`, `expired`, or the verdict of evidence that holds."""
    evidence: Compared | None


@dataclass(frozen=True, slots=True)
class UseCaseReview:
    use_case: str
    owner: str
    kind: str
    primary: str
    decision: Decision
    reason: str
    to: str
    """The model to shift to; else empty."""
    traffic: Traffic | None
    """None: no records were given."""
    candidates: tuple[Candidate, ...]
    drills: tuple[Drilled, ...]
    canaries: tuple[Tried, ...]
    """The newest first."""
    open: tuple[str, ...]
    """What somebody has to look at, as sentences."""
    due: date | None
    is_overdue: bool


@dataclass(frozen=True, slots=True)
class ModelReview:
    model: str
    vendor: str
    decision: Decision
    reason: str
    calls: int | None
    """None: no records were given."""


@dataclass(frozen=True, slots=True)
class PriceChange:
    model: str
    provider: str
    """Empty: wherever no price of a provider's own says otherwise."""
    since: date
    before: Price | None
    """None: the first one."""
    after: Price


@dataclass(frozen=True, slots=True)
class Concentration:
    by: str
    shares: dict[str, Decimal]
    index: Decimal
    """Herfindahl-Hirschman."""
    level: str


@dataclass(frozen=True, slots=True)
class Review:
    today: date
    period: Period
    use_cases: tuple[UseCaseReview, ...]
    models: tuple[ModelReview, ...]
    prices: tuple[PriceChange, ...]
    concentration: tuple[Concentration, ...]
    unknown_use_cases: tuple[str, ...]
    """Called in the period, and not in the rules."""


def review(rules: RuleSet, findings: Findings, books: Books | None, period: Period, today: date) -> Review:
    """`books`: the period's calls; None: nobody gave them."""
    return Review(
        today, period,
        tuple(_use_case(rules, one.content, findings, books, today) for _, one in sorted(rules.use_cases.items())),
        tuple(_model(rules, rules.models[name].content, books, today) for name in sorted(rules.models)),
        tuple(sorted(_price_changes(rules, period), key=lambda one: (one.since, one.model, one.provider))),
        () if books is None else tuple(_concentration(rules, books)),
        () if books is None else tuple(sorted(set(books.use_cases) - set(rules.use_cases))),
    )  # fmt: skip


def models_of(use_case: UseCase) -> frozenset[str]:
    """Every model that it names."""
    named = {use_case.primary, *use_case.fallbacks, *(share.model for share in use_case.split)}
    for rule in use_case.rules:
        named |= {rule.primary, *rule.fallbacks, *(share.model for share in rule.split)}
    named |= {share.model for share in (use_case.canary, use_case.shadow) if share is not None}
    for way in (use_case.cost_ceiling, use_case.quality_bar):
        then = None if way is None else way.then
        named |= set() if then is None or isinstance(then, str) else set(then)
    return frozenset(named)


def _use_case(rules: RuleSet, use_case: UseCase, findings: Findings, books: Books | None, today: date) -> UseCaseReview:
    traffic = None if books is None else books.of(use_case.use_case)
    candidates = tuple(_candidates(rules, use_case, findings, today))
    canaries = tuple(one for one in findings.tried if one.use_case == use_case.use_case)
    decision, reason, to = _decide(rules, use_case, traffic, candidates, _taken_back(canaries), today)
    drills = findings.newest_drills(use_case.use_case)
    due = None if use_case.review is None else use_case.review.by
    return UseCaseReview(
        use_case.use_case, use_case.owner, use_case.kind, use_case.primary, decision, reason, to, traffic, candidates,
        drills, canaries, tuple(_open(use_case, traffic, candidates, drills, today)), due,
        due is not None and due < today,
    )  # fmt: skip


def _decide(
    rules: RuleSet,
    use_case: UseCase,
    traffic: Traffic | None,
    candidates: tuple[Candidate, ...],
    taken_back: frozenset[str],
    today: date,
) -> tuple[Decision, str, str]:
    if traffic is not None and not traffic.calls:
        return "retire", "no call in the period", ""
    primary = rules.models[use_case.primary].content if use_case.primary in rules.models else None
    leaves = None if primary is None or primary.deprecated is None else primary.deprecated
    if leaves and leaves.retires and leaves.replaced_by and leaves.retires <= today + timedelta(days=SOON_DAYS):
        return "shift", f"{use_case.primary} goes away on {leaves.retires}", leaves.replaced_by
    proved = [one.evidence for one in candidates if one.state not in NOT_PROVED and one.evidence is not None]
    better = [one for one in proved if one.action == "promote" and one.candidate not in taken_back]
    if better:
        best = min(better, key=lambda one: (one.cost_ratio is None, one.cost_ratio or 0.0, one.candidate))
        saved = "at an unknown cost" if best.cost_ratio is None else f"at {best.cost_ratio:.2f} times the cost"
        return "shift", f"{best.candidate} is {best.verdict.replace('_', '-')} {saved} ({best.file})", best.candidate
    if back := [one.candidate for one in proved if one.action == "promote"]:
        return "keep", f"the samples spoke for {', '.join(back)}, and callers had it taken back", ""
    said = "" if traffic is not None else "; its traffic is unknown"
    return "keep", f"no valid evidence permits to promote another model{said}", ""


def _taken_back(canaries: tuple[Tried, ...]) -> frozenset[str]:
    """Models of which the newest canary ended so: callers have shown what the samples had not."""
    newest: dict[str, Tried] = {}
    for one in canaries:
        newest.setdefault(one.model, one)
    return frozenset(model for model, one in newest.items() if one.state == "rolled_back")


NOT_PROVED: Final = frozenset({"not evaluated", "expired"})


def _candidates(rules: RuleSet, use_case: UseCase, findings: Findings, today: date) -> Iterator[Candidate]:
    """Models with all the capabilities of the primary that the use case requires, that no vendor has given up."""
    needed = set(use_case.requires.capabilities)
    for name in sorted(rules.models):
        model = rules.models[name].content
        if name == use_case.primary or model.deprecated is not None or not needed <= set(model.capabilities):
            continue
        found = findings.newest_of(use_case.use_case, use_case.primary, name)
        if found is not None:
            yield Candidate(name, "expired" if found.expires < today else found.verdict, found)
        elif _is_newer(model, rules, use_case.primary):
            yield Candidate(name, "not evaluated", None)


def _is_newer(model: Model, rules: RuleSet, primary: str) -> bool:
    """By their first prices; where one has none, nobody knows, and it is shown."""
    if primary not in rules.models:
        return True
    first, other = (
        min((row.since for row in one.prices), default=None) for one in (model, rules.models[primary].content)
    )
    return first is None or other is None or first >= other


def _open(
    use_case: UseCase, traffic: Traffic | None, candidates: tuple[Candidate, ...], drills: tuple[Drilled, ...],
    today: date,
) -> Iterator[str]:  # fmt: skip
    if use_case.review is None:
        yield "it has no review date"
    elif use_case.review.by < today:
        yield f"its review was due by {use_case.review.by}"
    if use_case.emergency is not None:
        state = "until" if today <= use_case.emergency.expires else "expired on"
        yield f"an emergency, {state} {use_case.emergency.expires}: {use_case.emergency.reason}"
    for state in ("not evaluated", "expired"):
        if names := [one.model for one in candidates if one.state == state]:
            yield f"{state}: {', '.join(names)}"
    strict = use_case.kind in STRICT_CLASSES
    if not drills and strict:
        yield "no outage was rehearsed"
    for drill in drills:
        if drill.expires < today:
            yield f"the drill without {', '.join(drill.down)} expired on {drill.expires}"
        elif drill.verdict in ("stops", "degraded"):
            yield f"it {drill.verdict if drill.verdict == 'stops' else 'is degraded'} without {', '.join(drill.down)}"
    if traffic is not None:
        yield from _spending(use_case, traffic)


def _spending(use_case: UseCase, traffic: Traffic) -> Iterator[str]:
    ceiling = use_case.cost_ceiling
    if ceiling is not None:
        for name, limit, spent in (
            ("per_day", ceiling.per_day, traffic.days), ("per_month", ceiling.per_month, traffic.months),
        ):  # fmt: skip
            passed = [when for when, usd in sorted(spent.items()) if limit is not None and usd >= limit]
            if passed:
                yield f"cost_ceiling.{name} was reached {len(passed)} times, first in {passed[0]}"
    if traffic.unpriced:
        yield f"the cost of {traffic.unpriced:,} answered calls is unknown"


def _model(rules: RuleSet, model: Model, books: Books | None, today: date) -> ModelReview:
    calls = None if books is None else books.calls_of_model(model.model)
    users = [name for name, one in sorted(rules.use_cases.items()) if model.model in models_of(one.content)]
    ends = model.deprecated.retires if model.deprecated is not None else None
    if ends is not None and ends <= today:
        decision, reason = "retire", f"its vendor ended it on {ends}"
    elif not users and calls == 0:
        decision, reason = "retire", "no use case names it, and no call went to it"
    elif users and calls == 0:
        decision, reason = "keep", f"no call went to it; it stands by for {', '.join(users)}"
    elif users:
        decision, reason = "keep", f"named by {', '.join(users)}"
    else:
        decision, reason = "keep", "no use case names it" + ("; its traffic is unknown" if calls is None else "")
    return ModelReview(model.model, model.vendor, "retire" if decision == "retire" else "keep", reason, calls)


def _price_changes(rules: RuleSet, period: Period) -> Iterator[PriceChange]:
    for name, file in rules.models.items():
        lists = [("", file.content.prices), *((one.provider, one.prices or ()) for one in file.content.served_by)]
        for provider, rows in lists:
            before: Price | None = None
            for row in sorted(rows, key=lambda one: one.since):
                if period.holds(row.since):
                    yield PriceChange(name, provider, row.since, before, row)
                before = row


def _concentration(rules: RuleSet, books: Books) -> Iterator[Concentration]:
    for by in ("spend", "calls"):
        amounts: dict[str, Decimal] = {}
        for (_, model), traffic in books.models.items():
            vendor = rules.models[model].content.vendor if model in rules.models else "unknown"
            amount = traffic.spent_usd if by == "spend" else Decimal(traffic.calls)
            amounts[vendor] = amounts.get(vendor, Decimal(0)) + amount
        shares = shares_of(amounts)
        if shares:
            index = hhi(shares.values())
            yield Concentration(by, shares, index, level_of(index))
