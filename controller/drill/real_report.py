"""A drill by calls as people and programs read it, and as the evidence that stays. Pure."""

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final

from controller.cli.table import render
from controller.drill.asked import Arm
from controller.drill.paper import EVIDENCE_DAYS
from controller.drill.real import RealOutcome

HEAD: Final = ("use case", "outcome", "answered", "quality", "p95", "cost a call", "answered instead by")
MOST_ERRORS: Final = 3
UNKNOWN: Final = "–"


def real_rows(outcomes: Sequence[RealOutcome]) -> list[list[str]]:
    return [
        [
            one.use_case, one.verdict, f"{one.down.answered} of {one.down.asked}",
            _both(_quality(one.usual), _quality(one.down)), _both(_p95(one.usual), _p95(one.down)),
            _both(_cost(one.usual), _cost(one.down)), ", ".join(name for name, _ in one.down.models.most_common()),
        ]
        for one in outcomes
    ]  # fmt: skip


def real_notes(outcomes: Sequence[RealOutcome]) -> list[str]:
    notes = []
    for one in outcomes:
        notes += [f"{one.use_case}: {count} × {error}" for error, count in one.down.errors.most_common(MOST_ERRORS)]
        if not one.usual.graded:
            notes.append(f"{one.use_case}: it has no eval set, so that nobody knows how good these answers are")
    spent = sum((one.spent_usd for one in outcomes), Decimal(0))
    return [*notes, f"These calls cost ${spent.normalize():f} as far as it is known; they are in no fleet's ledger."]


def real_as_text(outcomes: Sequence[RealOutcome], down: Sequence[str]) -> str:
    table = render(HEAD, real_rows(outcomes), right=frozenset({2}))
    return "\n\n".join([f"Down: {', '.join(down)}", table, "\n".join(real_notes(outcomes))])


def real_as_markdown(outcomes: Sequence[RealOutcome], down: Sequence[str]) -> str:
    lines = [f"### Outage drill by calls: {', '.join(down)}", "", f"| {' | '.join(HEAD)} |"]
    lines += [f"| {' | '.join(['---'] * len(HEAD))} |", *(f"| {' | '.join(row)} |" for row in real_rows(outcomes)), ""]
    return "\n".join([*lines, *(f"- {note}" for note in real_notes(outcomes))]) + "\n"


def real_as_json(outcomes: Sequence[RealOutcome], down: Sequence[str]) -> dict[str, Any]:
    return {"down": list(down), "use_cases": [_outcome(one) for one in outcomes]}


def real_evidence_of(outcome: RealOutcome, down: Sequence[str], day: date) -> dict[str, Any]:
    """What is kept beside a use case's rules: it says until when it says something."""
    return {
        "kind": "drill", "on": "sidecar", "date": day.isoformat(),
        "expires": (day + timedelta(days=EVIDENCE_DAYS)).isoformat(), "down": list(down), **_outcome(outcome),
    }  # fmt: skip


def _outcome(one: RealOutcome) -> dict[str, Any]:
    return {
        "use_case": one.use_case, "class": one.kind, "verdict": one.verdict, "fault": one.fault,
        "margin": str(one.margin), "usual": _arm(one.usual), "outage": _arm(one.down),
    }  # fmt: skip


def _arm(arm: Arm) -> dict[str, Any]:
    return {
        "asked": arm.asked, "answered": arm.answered, "graded": arm.graded, "quality": arm.quality,
        "p95_seconds": arm.p95_seconds, "spent_usd": str(arm.spent_usd), "unpriced": arm.unpriced,
        "models": dict(arm.models.most_common()), "errors": dict(arm.errors.most_common()),
    }  # fmt: skip


def _both(usual: str, down: str) -> str:
    return UNKNOWN if usual == down == UNKNOWN else f"{usual} → {down}"


def _quality(arm: Arm) -> str:
    return UNKNOWN if arm.quality is None else f"{arm.quality:.0%}"


def _p95(arm: Arm) -> str:
    return UNKNOWN if arm.p95_seconds is None else f"{arm.p95_seconds:.2f} s"


def _cost(arm: Arm) -> str:
    if not arm.answered or arm.unpriced:
        return UNKNOWN
    return f"${arm.spent_usd / arm.answered:.6f}"
