"""What is said of two revisions: meaning, and not writing."""

import pytest

from controller.plan.changes import changes_between
from schemas.load import Loaded
from tests.system.rules import use_case

from .rules import FILE, loaded, rules


def said(before: Loaded, after: Loaded) -> list[str]:
    assert before.bundle is not None
    assert after.bundle is not None
    assert before.rule_set is not None
    assert after.rule_set is not None
    changes = changes_between(before.bundle, after.bundle, before.rule_set, after.rule_set)
    return [str(change) for change in changes]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (use_case("red", "green") + "# a comment\nretry: {}\n", []),
        (use_case("green", "red"), ["use case support changed: primary: red → green; fallbacks: green → red"]),
        (use_case("red"), ["use case support changed: fallbacks: green → nothing"]),
        (
            use_case("red", "green", more="limits: {requests_per_minute: 60}\n"),
            ["use case support changed: limits.requests_per_minute: 60"],
        ),
        (
            use_case("red", "green", more="cost_ceiling: {per_day: 5, then: [green]}\n"),
            ["use case support changed: cost_ceiling.per_day: 5; cost_ceiling.then: green"],
        ),
        (
            use_case("red", "green", more="canary: {model: green, percent: 5, ladder: [5, 50]}\n"),
            ["use case support changed: canary.ladder: 5, 50; canary.model: green; canary.percent: 5"],
        ),
        (
            use_case("red", "green", more="rules:\n  - {when: {stream: true}, primary: green}\n"),
            ["use case support changed: rules[0].primary: green; rules[0].when.stream: yes"],
        ),
    ],
)
def test_a_use_case(text: str, expected: list[str]) -> None:
    assert said(loaded(), loaded(text)) == expected


def test_files_that_come_and_go() -> None:
    more = {"use-cases/search/use-case.yaml": use_case("green", name="search")}
    assert said(loaded(), loaded(more=more)) == ["use case search added: owner: support-platform; primary: green"]
    assert said(loaded(more=more), loaded()) == ["use case search removed"]


def test_prices_owners_and_callers() -> None:
    dearer = rules()["models/red.yaml"].replace("input: 3.00", "input: 4.00")
    platform = (
        "schema: 1\nowners: {support-platform: ['use-cases/support/**'], platform: ['**']}\n"
        f"callers: [{{name: bot, key: 'sha256:{'0' * 64}', use_cases: [support]}}]\n"
    )
    found = said(loaded(), loaded(more={"models/red.yaml": dearer, "pointsman.yaml": platform}))
    assert any(line.startswith("model red changed: ") and ": 3 → 4" in line.replace(".00", "") for line in found), found
    assert any(line.startswith("caller bot added") for line in found)
    assert any("owners.support-platform: use-cases/support/**" in line for line in found)


def test_each_names_its_file() -> None:
    before, after = loaded(), loaded(use_case("green", "red"))
    assert before.bundle is not None
    assert after.bundle is not None
    assert before.rule_set is not None
    assert after.rule_set is not None
    changes = changes_between(before.bundle, after.bundle, before.rule_set, after.rule_set)
    assert [change.file for change in changes] == [FILE]
