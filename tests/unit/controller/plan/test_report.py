"""What stands in the pull request. After a change of wording: UPDATE_GOLDEN=1 pytest tests/unit/controller/plan."""

import os
from pathlib import Path

import msgspec

from controller.plan.changes import changes_between
from controller.plan.replay import Replay
from controller.plan.report import Evidence, PlanReport, as_json, as_markdown, as_text
from schemas.record import AttemptRecord
from tests.system.rules import use_case

from .rules import call, loaded, side

GOLDEN = Path(__file__).parents[3] / "golden" / "plan.md"
AFTER = use_case("green", "red", more="cost_ceiling: {per_day: 1.50, then: [red]}\n")
BUSY_DAY = 24 * 60


def report() -> PlanReport:
    before, after = loaded(), loaded(AFTER)
    assert before.bundle is not None
    assert after.bundle is not None
    assert before.rule_set is not None
    assert after.rule_set is not None
    replay = Replay(side(), side(AFTER))
    for number in range(0, 8 * BUSY_DAY, 4):
        failed = AttemptRecord(model="red", provider="red-maker", reason="primary", outcome="overloaded", seconds=0.2)
        replay.add(call(number) if number % 40 else call(number, attempts=(failed, *call(number).attempts)))
    changes = changes_between(before.bundle, after.bundle, before.rule_set, after.rule_set)
    return PlanReport("main", changes, (), [Evidence("support", "green")], replay)


def test_it_is_short_and_says_all() -> None:
    text = as_markdown(report())
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(text, encoding="utf-8")
    assert text == GOLDEN.read_text(encoding="utf-8")


def test_people_at_a_terminal_read_the_same_without_marks() -> None:
    text = as_text(report())
    assert "**" not in text
    assert "% of the calls move." in text


def test_programs_read_every_number() -> None:
    found = msgspec.json.decode(msgspec.json.encode(as_json(report())))
    assert found["changes"][0]["details"][0] == {"field": "primary", "before": "red", "after": "green"}
    assert (found["replay"]["calls"], found["replay"]["moved"]) == (2880, 8 * 250), "until the ceiling of each day"
    assert found["replay"]["use_cases"]["support"]["models"]["green"] is None, "nobody has called it yet"
    assert found["replay"]["use_cases"]["support"]["models"]["red"]["error_share"] > 0
    assert found["evidence"] == [{"use_case": "support", "model": "green", "file": None, "passes": False}]


def test_without_records_only_the_rules_are_compared() -> None:
    whole = report()
    text = as_markdown(PlanReport("main", whole.changes, (), (), None))
    assert "primary: red → green" in text
    assert "No records were given" in text
