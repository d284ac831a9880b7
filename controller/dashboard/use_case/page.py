"""The page of one use case, put together of its tables. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from urllib.parse import quote

from controller.canaries.state import Canary
from controller.dashboard.use_case.canary import canary_tables
from controller.dashboard.use_case.evals import eval_tables
from controller.dashboard.use_case.rule import rule_table
from controller.dashboard.use_case.traffic import days_between, traffic_tables
from controller.dashboard.use_cases import UNKNOWN, against, path_of, review_due
from controller.dashboard.view import Page, Table
from controller.evals.canary_figures import Look
from controller.history import Step, Written
from controller.ledger.traffic import Traffic
from schemas.bundle import Bundle
from schemas.spend import FleetSpend

LEDGER_AWAY = "The ledger cannot be read just now: traffic, money and the canary's figures are unknown."


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a use case. None: it cannot be read just now."""

    name: str
    since: date
    until: date
    """Today, UTC."""
    bundle: Bundle | None
    """None: nothing runs yet."""
    written: Written | None
    steps: Sequence[Step] | None
    canaries: Sequence[Canary]
    """Its own, that of the rules that run first."""
    waits_for: str
    spend: FleetSpend | None
    traffic: Traffic | None
    looks: Sequence[Look] | None
    trouble: str = ""
    """Why the rule files or their history cannot be read."""


def use_case_page(known: Known) -> Page:
    name, bundle, written = known.name, known.bundle, known.written
    evidence = None if written is None else written.evidence.get(name, ())
    return Page(
        path_of(name),
        f"Use case {name}",
        (
            rule_table(name, bundle, None if written is None else written.rules),
            *traffic_tables(name, known.traffic, days_between(known.since, known.until)),
            *canary_tables(name, known.canaries, known.looks, known.waits_for),
            *eval_tables(name, evidence),
            _history(known),
        ),
        facts=_facts(known),
        warnings=tuple(_warnings(known)),
        fact_links={"calls": f"/calls?use_case={quote(name, safe='')}"},
    )


def _warnings(known: Known) -> list[str]:
    found = []
    if known.bundle is None or known.name not in known.bundle.use_cases:
        found.append("The rules that run have no such use case: what is here is of former calls.")
    if known.traffic is None:
        found.append(LEDGER_AWAY)
    if known.trouble:
        found.append(f"The rule files cannot be read just now: {known.trouble}")
    return found


def _facts(known: Known) -> list[tuple[str, str]]:
    use_case = None if known.bundle is None else known.bundle.use_cases.get(known.name)
    facts = []
    if use_case is not None:
        facts += [("owner", use_case.owner), ("class", use_case.kind), ("primary", use_case.chain[0])]
    spent = None if known.spend is None else known.spend.use_cases.get(known.name)
    ceiling = None if use_case is None else use_case.ceiling
    for label, period in (("today, USD", "per_day"), ("this month, USD", "per_month")):
        amount = Decimal(0) if spent is None else getattr(spent, period)
        words = UNKNOWN if known.spend is None else f"{amount:,.4f}"
        facts.append((label, against(words, None if ceiling is None else getattr(ceiling, period))))
    rules = None if known.written is None else known.written.rules
    facts.append(("review due", review_due(rules, known.name, known.until)))
    facts.append(("canary", _canary(known)))
    facts.append(("revision", UNKNOWN if known.bundle is None else known.bundle.revision[:12]))
    return [*facts, ("calls", "each by itself")]


def _canary(known: Known) -> str:
    if not known.canaries:
        return "none"
    canary = known.canaries[0]
    return f"{canary.model} {canary.state.replace('_', ' ')}, {canary.percent:f} %"


def _history(known: Known) -> Table:
    steps = known.steps or ()
    rows = [
        (_utc(step.commit.at), step.commit.revision[:12], step.commit.author, step.commit.title, _changed(step),
         ", ".join(step.commit.files))
        for step in steps
    ]  # fmt: skip
    empty = "Unknown while the rule files cannot be read."
    if known.steps is not None:
        empty = "These rules have no history: a plain folder keeps none. Put it into git to see who changed what."
    return Table(
        "history", "History", ("at, UTC", "revision", "by", "title", "what it changed", "files"), rows, empty,
        note="The newest commits that touched this use case or what it uses, and what they changed by meaning.",
    )  # fmt: skip


def _utc(at: str) -> str:
    return datetime.fromisoformat(at).astimezone(UTC).strftime("%Y-%m-%d %H:%M")


def _changed(step: Step) -> str:
    if step.trouble:
        return f"{UNKNOWN}: {step.trouble}"
    return "; ".join(map(str, step.changes)) or "nothing that calls would notice"
