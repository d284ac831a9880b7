"""A drill as people and programs read it, and as the evidence that stays. Pure."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final

from controller.cli.table import render
from controller.drill.paper import EVIDENCE_DAYS, Drill, UseCaseOutcome
from controller.plan.expect import Record

CENT: Final = Decimal("0.01")
HEAD: Final = ("use case", "outcome", "answered instead by", "calls hit", "refused", "cost")


def as_text(drill: Drill) -> str:
    table = render(HEAD, [_row(one) for one in drill.use_cases], right=frozenset({3, 4}))
    notes = "\n".join(line for one in drill.use_cases for line in _notes(one))
    return "\n\n".join(part for part in (f"Down: {', '.join(drill.down)}", table, notes, _summary(drill)) if part)


def as_markdown(drill: Drill) -> str:
    lines = [f"### Outage drill: {', '.join(drill.down)}", "", f"| {' | '.join(HEAD)} |"]
    lines += ["| --- | --- | --- | ---: | ---: | --- |"]
    lines += [*(f"| {' | '.join(_row(one))} |" for one in drill.use_cases), ""]
    lines += [f"- {line}" for one in drill.use_cases for line in _notes(one)]
    return "\n".join([*lines, "", _summary(drill)]) + "\n"


def as_json(drill: Drill) -> dict[str, Any]:
    return {"down": list(drill.down), "use_cases": [_outcome(one) for one in drill.use_cases]}


def evidence_of(drill: Drill, outcome: UseCaseOutcome, day: date) -> dict[str, Any]:
    """What is kept beside a use case's rules: it says until when it says something."""
    return {
        "kind": "drill", "on": "paper", "date": day.isoformat(),
        "expires": (day + timedelta(days=EVIDENCE_DAYS)).isoformat(), "down": list(drill.down), **_outcome(outcome),
    }  # fmt: skip


def _row(one: UseCaseOutcome) -> list[str]:
    known = one.calls is not None
    return [
        one.use_case,
        one.verdict,
        ", ".join(one.instead) or "nobody",
        f"{one.hit:,} of {one.calls:,}" if known else "–",
        f"{one.refused:,}" if known else "–",
        f"{_usd(one.before_usd)} → {_usd(one.after_usd)}" if known and one.hit else "–",
    ]


def _notes(one: UseCaseOutcome) -> list[str]:
    notes = [f"{one.use_case}: {_record_words(model, record)}" for model, record in one.records.items()]
    if one.verdict == "stops" and one.why:
        notes.append(f"{one.use_case}: nobody is left ({one.why})")
    return notes


def _record_words(model: str, record: Record | None) -> str:
    if record is None:
        return f"{model} has too few answers so far to say how it would do"
    return f"{model} so far: {record.error_share:.1%} of attempts failed, p95 {record.p95_seconds:.2f} s"


def _summary(drill: Drill) -> str:
    stops = drill.stops
    if not stops:
        return "Every use case goes on."
    names = ", ".join(one.use_case for one in stops)
    return f"{len(stops)} of {len(drill.use_cases)} use cases would refuse calls: {names}"


def _usd(amount: Decimal) -> str:
    return f"${amount.quantize(CENT):,}"


def _outcome(one: UseCaseOutcome) -> dict[str, Any]:
    return {
        "use_case": one.use_case, "class": one.kind, "verdict": one.verdict, "instead": list(one.instead),
        "why": one.why, "calls": one.calls, "hit": one.hit, "refused": one.refused,
        "before_usd": None if one.calls is None else str(one.before_usd),
        "after_usd": None if one.calls is None else str(one.after_usd),
        "models": {
            model: None if record is None else {
                "answers": record.answers, "error_share": record.error_share, "p50_seconds": record.p50_seconds,
                "p95_seconds": record.p95_seconds,
            }
            for model, record in one.records.items()
        },
    }  # fmt: skip
