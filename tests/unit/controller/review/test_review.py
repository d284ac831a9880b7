"""Keep, shift or retire: by recorded calls and evidence; what is proposed; what is due."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from controller.cli import main
from controller.review.calendar import Due, as_ics
from controller.review.decide import review
from controller.review.diffs import propose
from controller.review.findings import UnreadableFinding, parse_canaries, parse_findings
from controller.review.period import Period, parse_quarter, quarter_of
from controller.review.report import as_markdown, sections
from controller.review.traffic import Books
from tests.fakes.rules_repo import write_files
from tests.system.rules import use_case
from tests.unit.controller.plan.rules import TODAY, call, loaded, rules

QUARTER = Period(date(2026, 10, 1), date(2026, 12, 31))
EVIDENCE = "use-cases/support/evidence/2026-11-01-green.json"


def evidence(**more: object) -> dict[str, str]:
    said = {
        "use_case": "support", "incumbent": "red", "candidate": "green", "created": "2026-11-01",
        "verdict": "non_inferior", "action": "promote", "m_star": 0.011, "cost_ratio": 0.5,
    }  # fmt: skip
    return {EVIDENCE: json.dumps(said | more)}


def tried(model: str, state: str) -> dict[str, Any]:
    """As `/v1/status` tells of a canary; more stands there than is asked for."""
    return {
        "use_case": "support", "model": model, "primary": "red", "state": state, "percent": 0.0, "waits_for": "",
        "since": "2026-11-02T10:00:00.000Z", "reason": f"canary {model}: {state}", "moves": [],
    }  # fmt: skip


def reviewed(
    text: str, *, calls: int | None = 10, found: dict[str, str] | None = None, canaries: Sequence[dict[str, Any]] = ()
) -> Any:
    rule_set = loaded(text).rule_set
    assert rule_set is not None
    books = None if calls is None else Books()
    for number in range(calls or 0):
        assert books is not None
        books.add(call(number, cost_usd=Decimal("0.0045")))
    findings = parse_findings(found or {})
    findings = replace(findings, tried=parse_canaries({"canaries": canaries[:1], "past_canaries": canaries[1:]}))
    return review(rule_set, findings, books, QUARTER, TODAY)


@pytest.mark.parametrize(
    ("calls", "found", "decision", "to", "state"),
    [
        (10, {}, "keep", "", "not evaluated"),
        (0, evidence(), "retire", "", "non_inferior"),
        (None, {}, "keep", "", "not evaluated"),
        (10, evidence(), "shift", "green", "non_inferior"),
        (None, evidence(), "shift", "green", "non_inferior"),
        (10, evidence(action="keep"), "keep", "", "non_inferior"),
        (10, evidence(created="2026-08-01"), "keep", "", "expired"),
        (10, evidence(incumbent="blue"), "keep", "", "not evaluated"),
    ],
)
def test_a_use_case(calls: int | None, found: dict[str, str], decision: str, to: str, state: str) -> None:
    (one,) = reviewed(use_case("red", "green"), calls=calls, found=found).use_cases
    assert (one.decision, one.to, [other.state for other in one.candidates]) == (decision, to, [state])


@pytest.mark.parametrize(
    ("canaries", "decision"),
    [
        ([tried("green", "rolled_back")], "keep"),
        ([tried("green", "promoted"), tried("green", "rolled_back")], "shift"),
        ([tried("blue", "rolled_back")], "shift"),
    ],
)
def test_what_callers_had_taken_back_is_not_proposed(canaries: list[dict[str, Any]], decision: str) -> None:
    found = reviewed(use_case("red", "green"), found=evidence(), canaries=canaries)
    assert found.use_cases[0].decision == decision
    shown = as_markdown(found, sections(found, (), ()))
    assert all(f"| {one['model']} | red | {one['state'].replace('_', ' ')} |" in shown for one in canaries)
    assert all(one["reason"] in shown for one in canaries)


def test_a_controller_that_says_something_else_of_canaries_is_named() -> None:
    with pytest.raises(UnreadableFinding, match="how canaries stand"):
        parse_canaries({"canaries": [{"use_case": "support"}], "past_canaries": []})


def test_an_emergency_is_open() -> None:
    found = reviewed(use_case("red", "green", more="emergency: {reason: It was on fire., expires: 2026-12-01}\n"))
    assert "an emergency, until 2026-12-01: It was on fire." in found.use_cases[0].open


@pytest.mark.parametrize(
    ("chain", "calls", "decision"),
    [(("red", "green"), 10, "keep"), (("red",), 10, "retire"), (("red",), None, "keep")],
)
def test_a_model_without_use_and_traffic_is_retired(chain: tuple[str, ...], calls: int | None, decision: str) -> None:
    green = reviewed(use_case(*chain), calls=calls).models[0]
    assert (green.model, green.decision) == ("green", decision)


def test_spend_and_ceilings() -> None:
    ceiling = "cost_ceiling: {per_day: 0.04, then: reject}\n"
    found = reviewed(use_case("red", "green", more=ceiling))
    (one,) = found.use_cases
    assert one.traffic.spent_usd == Decimal("0.0450")
    assert "cost_ceiling.per_day was reached 1 times, first in 2026-11-01" in one.open
    assert [(each.by, each.level) for each in found.concentration] == [("spend", "critical"), ("calls", "critical")]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (use_case("red", "green"), ["-primary: red", "-fallbacks: [green]", "+primary: green", "+fallbacks: [red]"]),
        (
            use_case("red").replace("fallbacks: []\n", ""),
            ["-primary: red", "+primary: green", "+fallbacks: [red]"],
        ),
    ],
)
def test_a_shift_puts_the_candidate_first_and_keeps_who_served(before: str, after: list[str]) -> None:
    files = rules(before)
    rule_set = loaded(before).rule_set
    assert rule_set is not None
    proposals = propose(reviewed(before, found=evidence()), rule_set, files)
    shift = next(one for one in proposals if one.title.startswith("shift"))
    changed = [line for line in shift.diff.splitlines()[2:] if line[0] in "+-"]
    assert sorted(changed) == sorted(after)


def test_what_is_unreadable_is_named() -> None:
    with pytest.raises(UnreadableFinding, match=r"2026-11-01-green.json"):
        parse_findings({EVIDENCE: "{"})


@pytest.mark.parametrize(
    ("day", "first", "last"),
    [
        (date(2026, 2, 28), date(2026, 1, 1), date(2026, 3, 31)),
        (date(2026, 5, 1), date(2026, 4, 1), date(2026, 6, 30)),
        (date(2026, 9, 30), date(2026, 7, 1), date(2026, 9, 30)),
        (date(2026, 12, 31), date(2026, 10, 1), date(2026, 12, 31)),
    ],
)
def test_quarters(day: date, first: date, last: date) -> None:
    assert quarter_of(day) == Period(first, last)
    assert parse_quarter(f"{day.year}Q{(day.month + 2) // 3}") == Period(first, last)


def test_a_calendar_folds_long_lines_and_ends_them_as_rfc_5545_says() -> None:
    text = as_ics([Due(date(2026, 12, 31), "review", "support", "review support, " + "ü" * 60)], TODAY)
    lines = text.split("\r\n")
    assert all(len(line.encode()) <= 75 for line in lines)
    assert "DTSTART;VALUE=DATE:20261231" in lines
    assert "DTEND;VALUE=DATE:20270101" in lines
    assert "\r\n " in text
    assert "\n" not in text.replace("\r\n", "")


def test_the_page_loads_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_files(tmp_path, rules(use_case("red", "green")) | evidence())
    page = tmp_path / "review.html"
    assert main(["review", str(tmp_path), "--today", str(TODAY), "--format", "html", "--out", str(page)]) == 0
    text = page.read_text()
    assert "<pre>--- a/use-cases/support" in text
    assert not any(word in text for word in ("http:", "https:", "<script", "src=", "@import", "url("))
    assert main(["review", str(tmp_path), "--today", str(TODAY), "--format", "json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["use_cases"][0]["decision"], said["use_cases"][0]["calls"]) == ("shift", None)


@pytest.mark.parametrize("wrong", [["--quarter", "2026Q5"], ["--format", "ics"], ["--use-case", "none"]])
def test_wrong_usage(tmp_path: Path, wrong: list[str]) -> None:
    write_files(tmp_path, rules())
    assert main(["review", str(tmp_path), "--today", str(TODAY), *wrong]) == 2
