"""A review in sections that Markdown, HTML and text share, and as JSON. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from html import escape
from typing import Any, Final

from controller.html_page import page, sentences, table
from controller.review.calendar import Due
from controller.review.decide import Candidate, Concentration, PriceChange, Review, UseCaseReview
from controller.review.diffs import Proposal
from controller.review.findings import Compared
from schemas.rules.price import Price

CENT: Final = Decimal("0.01")
UNKNOWN: Final = "unknown"
DECISIONS: Final = ("use case", "decision", "model", "calls", "spent")
Table = tuple[Sequence[str], Sequence[Sequence[str]]]


@dataclass(frozen=True, slots=True)
class Section:
    title: str
    lines: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    diff: str = ""


def heading(review: Review) -> str:
    return f"Review of model use, {review.period}"


def sections(review: Review, proposals: Sequence[Proposal], dues: Sequence[Due]) -> tuple[Section, ...]:
    """The company first, then each use case."""
    use_cases = [[one.use_case, one.decision, one.to or one.primary, *_money(one)] for one in review.use_cases]
    models = [[one.model, one.vendor, one.decision, _count(one.calls), one.reason] for one in review.models]
    company = [
        Section("Decisions", _company_lines(review), ((DECISIONS, use_cases),)),
        *(_of_use_case(one) for one in review.use_cases),
        Section("Models", (), ((("model", "vendor", "decision", "calls", "why"), models),)),
        _prices(review.prices),
        _concentration(review.concentration),
        Section("Due", () if dues else ("Nothing has a date.",), (_due(dues, review),) if dues else ()),
    ]  # fmt: skip
    changes = [Section(f"Proposed: {one.title}", _by_hand(one), (), one.diff) for one in proposals]
    return (*company, *changes)


def as_markdown(review: Review, parts: Sequence[Section]) -> str:
    blocks = [f"# {heading(review)}"]
    for part in parts:
        blocks.append(f"## {part.title}")
        if part.lines:
            blocks.append("\n".join(f"- {line}" for line in part.lines))
        blocks += [_markdown_table(head, rows) for head, rows in part.tables]
        if part.diff:
            blocks.append(f"```diff\n{part.diff}```")
    return "\n\n".join(blocks) + "\n"


def as_html(review: Review, parts: Sequence[Section]) -> str:
    body = [f"<h1>{escape(heading(review))}</h1>"]
    for part in parts:
        body += [f"<h2>{escape(part.title)}</h2>", sentences(part.lines), *(table(*one) for one in part.tables)]
        if part.diff:
            body.append(f"<pre>{escape(part.diff)}</pre>")
    return page(heading(review), body)


def as_json(review: Review, proposals: Sequence[Proposal], dues: Sequence[Due]) -> dict[str, Any]:
    return {
        "period": {"first": review.period.first.isoformat(), "last": review.period.last.isoformat()},
        "today": review.today.isoformat(),
        "use_cases": [_use_case_json(one) for one in review.use_cases],
        "models": [
            {"model": one.model, "vendor": one.vendor, "decision": one.decision, "reason": one.reason,
             "calls": one.calls}
            for one in review.models
        ],
        "prices": [
            {"model": one.model, "provider": one.provider or None, "from": one.since.isoformat(),
             "before": _rates(one.before), "after": _rates(one.after)}
            for one in review.prices
        ],
        "concentration": [
            {"by": one.by, "hhi": str(one.index), "level": one.level,
             "shares": {vendor: str(share) for vendor, share in one.shares.items()}}
            for one in review.concentration
        ],
        "unknown_use_cases": list(review.unknown_use_cases),
        "proposals": [{"title": one.title, "diff": one.diff or None} for one in proposals],
        "due": due_json(dues),
    }  # fmt: skip


def due_json(dues: Sequence[Due]) -> list[dict[str, str]]:
    return [{"day": one.day.isoformat(), "kind": one.kind, "about": one.about, "what": one.what} for one in dues]


def _company_lines(review: Review) -> tuple[str, ...]:
    lines = []
    if any(one.traffic is None for one in review.use_cases):
        lines.append("No recorded calls were given: traffic, spend and concentration are unknown.")
    if overdue := [one.use_case for one in review.use_cases if one.is_overdue]:
        lines.append(f"Overdue: {', '.join(overdue)}")
    if review.unknown_use_cases:
        lines.append(f"Called, and not in the rules: {', '.join(review.unknown_use_cases)}")
    return tuple(lines)


def _of_use_case(one: UseCaseReview) -> Section:
    lines = [f"{one.decision}: {one.reason}", f"{one.kind}, owned by {one.owner}, primary {one.primary}"]
    if one.traffic is not None and one.traffic.calls:
        lines += _traffic_lines(one)
    lines += [f"open: {line}" for line in one.open]
    tables: list[Table] = []
    if evaluated := [(candidate, candidate.evidence) for candidate in one.candidates if candidate.evidence]:
        head = ("model", "evidence", "m*", "cost ratio", "until")
        tables.append((head, [_candidate(candidate, evidence) for candidate, evidence in evaluated]))
    if one.drills:
        rows = [
            [", ".join(drill.down), drill.verdict, drill.on, str(drill.day), str(drill.expires)] for drill in one.drills
        ]
        tables.append((("outage of", "outcome", "on", "rehearsed", "until"), rows))
    if one.canaries:
        rows = [
            [tried.model, tried.primary, tried.state.replace("_", " "), tried.since[:10], tried.reason]
            for tried in one.canaries
        ]
        tables.append((("canary", "against", "state", "since", "why"), rows))
    return Section(one.use_case, tuple(lines), tuple(tables))


def _traffic_lines(one: UseCaseReview) -> list[str]:
    assert one.traffic is not None
    traffic = one.traffic
    lines = [f"{traffic.failed:,} of {traffic.calls:,} calls failed ({traffic.failed / traffic.calls:.1%})"]
    if traffic.figures.tells:
        lines.append(f"p95 of answers {traffic.figures.quantile(0.95):.2f} s")
    moved = ", ".join(f"{reason} {count:,}" for reason, count in sorted(traffic.moved.items()))
    lines.append(f"not answered by the first choice: {moved or 'none'}")
    return lines


def _candidate(one: Candidate, found: Compared) -> list[str]:
    margin = UNKNOWN if found.m_star is None else f"{found.m_star:.3f}"
    ratio = UNKNOWN if found.cost_ratio is None else f"{found.cost_ratio:.2f}"
    return [one.model, one.state.replace("_", "-"), margin, ratio, str(found.expires)]


def _prices(changes: Sequence[PriceChange]) -> Section:
    if not changes:
        return Section("Price changes", ("None in the period.",))
    rows = [
        [one.model, one.provider or "all", str(one.since), _price_words(one.before), _price_words(one.after)]
        for one in changes
    ]
    return Section(
        "Price changes", ("US dollars per million tokens, input / output.",),
        ((("model", "provider", "from", "before", "after"), rows),),
    )  # fmt: skip


def _concentration(found: Sequence[Concentration]) -> Section:
    if not found:
        return Section("Concentration", ("Unknown: no recorded calls, or none with a known cost.",))
    rows = [
        [one.by, f"{one.index:.2f}", one.level, ", ".join(f"{name} {share:.0%}" for name, share in one.shares.items())]
        for one in found
    ]
    return Section("Concentration", (), ((("by", "HHI", "level", "vendors"), rows),))


def _due(dues: Sequence[Due], review: Review) -> Table:
    rows = [[str(one.day), "overdue" if one.day < review.today else one.kind, one.what] for one in dues]
    return (("day", "kind", "what"), rows)


def _by_hand(one: Proposal) -> tuple[str, ...]:
    return (
        () if one.diff else ("To be written by hand: the rules would have an error, or the file's layout is another.",)
    )


def _money(one: UseCaseReview) -> tuple[str, str]:
    if one.traffic is None:
        return UNKNOWN, UNKNOWN
    more = " and more" if one.traffic.unpriced else ""
    return f"{one.traffic.calls:,}", f"${one.traffic.spent_usd.quantize(CENT):,}{more}"


def _count(calls: int | None) -> str:
    return UNKNOWN if calls is None else f"{calls:,}"


def _price_words(price: Price | None) -> str:
    return "none" if price is None else f"{price.input} / {price.output}"


def _rates(price: Price | None) -> dict[str, str] | None:
    return None if price is None else {"input": str(price.input), "output": str(price.output)}


def _use_case_json(one: UseCaseReview) -> dict[str, Any]:
    traffic = one.traffic
    return {
        "use_case": one.use_case, "owner": one.owner, "class": one.kind, "primary": one.primary,
        "decision": one.decision, "reason": one.reason, "to": one.to or None,
        "calls": None if traffic is None else traffic.calls,
        "failed": None if traffic is None else traffic.failed,
        "spent_usd": None if traffic is None else str(traffic.spent_usd),
        "unpriced": None if traffic is None else traffic.unpriced,
        "moved": None if traffic is None else dict(sorted(traffic.moved.items())),
        "candidates": [
            {"model": other.model, "state": other.state, "evidence": other.evidence and other.evidence.file}
            for other in one.candidates
        ],
        "drills": [
            {"down": list(drill.down), "verdict": drill.verdict, "on": drill.on, "date": drill.day.isoformat(),
             "expires": drill.expires.isoformat()}
            for drill in one.drills
        ],
        "canaries": [
            {"model": tried.model, "primary": tried.primary, "state": tried.state, "since": tried.since,
             "reason": tried.reason}
            for tried in one.canaries
        ],
        "open": list(one.open), "due": one.due and one.due.isoformat(), "overdue": one.is_overdue,
    }  # fmt: skip


def _markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)
