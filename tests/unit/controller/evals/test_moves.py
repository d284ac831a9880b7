"""Which changes of a use case ask for evidence of which two models."""

from datetime import date

import pytest

from controller.evals.moves import choices_in_bundle, choices_in_file, moves_between
from schemas.compile import compile_bundle
from schemas.load import load
from schemas.rules.rule_set import RuleSet
from tests.fakes.rules_repo import MODEL, PLATFORM, PROVIDER

DAY = date(2026, 11, 23)
BEFORE = """\
use_case: support
owner: team
primary: a
fallbacks: [b, c]
cost_ceiling: {per_day: 9, then: [d]}
quality_bar: {checks: [complete, json_valid], then: [e], min_score: 0.9}
rules:
  - {when: {stream: true}, primary: b, fallbacks: [a]}
"""


def rules_of(use_case: str) -> RuleSet:
    models = {f"models/{name}.yaml": MODEL.replace("model: sonnet", f"model: {name}") for name in "abcdefg"}
    files = {"pointsman.yaml": PLATFORM, "providers/anthropic.yaml": PROVIDER, **models}
    loaded = load({**files, "use-cases/support/use-case.yaml": use_case}, today=DAY, revision="r")
    assert loaded.rule_set is not None, loaded.problems
    return loaded.rule_set


def choices(use_case: str) -> object:
    return choices_in_file(rules_of(use_case).use_cases["support"].content)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("primary: a\nfallbacks: [b, c]", "primary: b\nfallbacks: [a, c]", ["primary a b primary"]),
        ("primary: a\nfall", "primary: f\nfall", ["primary a f primary"]),
        ("fallbacks: [b, c]", "fallbacks: [c, b]", ["order b c fallbacks.0"]),
        ("fallbacks: [b, c]", "fallbacks: [c]", []),
        ("fallbacks: [b, c]", "fallbacks: [b, f, c]", ["fallback a f fallbacks.1"]),
        ("then: [d]", "then: [f, d]", ["cost a f cost_ceiling.then.0"]),
        ("then: [d]", "then: reject", []),
        ("per_day: 9", "per_day: 3", []),
        ("then: [e]", "then: [f]", ["quality a f quality_bar.then.0"]),
        ("min_score: 0.9", "min_score: 0.8", ["bar a e quality_bar"]),
        ("min_score: 0.9", "min_score: 0.95", []),
        ("[complete, json_valid]", "[complete]", ["bar a e quality_bar"]),
        ("[complete, json_valid]", "[complete, json_valid, not_refused]", []),
        ("stream: true}, primary: b", "stream: true}, primary: f", ["rule b f rules.0.primary"]),
        ("stream: true}, primary: b", "stream: false}, primary: f", ["rule a f rules.0.primary"]),
        ("stream: true}, primary: b, fallbacks: [a]", "stream: false}, primary: a", []),
        ("rules:", "split: [{model: f, percent: 10}]\nrules:", ["split a f split.0"]),
        ("rules:", "canary: {model: f, percent: 10}\nrules:", []),
        ("owner: team", "owner: other", []),
    ],
)
def test_a_change_asks_for_evidence_of_two_models(old: str, new: str, expected: list[str]) -> None:
    assert old in BEFORE
    moves = moves_between(choices(BEFORE), choices(BEFORE.replace(old, new)))  # type: ignore[arg-type]
    told = [f"{move.kind} {move.incumbent} {move.candidate} {'.'.join(map(str, move.path))}" for move in moves]
    assert told == expected


def test_a_file_and_its_bundle_choose_alike() -> None:
    rules = rules_of(BEFORE)
    bundle = compile_bundle(rules)
    assert choices_in_bundle(bundle.use_cases["support"]) == choices_in_file(rules.use_cases["support"].content)
