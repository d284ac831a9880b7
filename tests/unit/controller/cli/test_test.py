"""What people rely on from `pointsman test`."""

from collections.abc import Callable
from pathlib import Path

TODAY = ("--today", "2026-11-23")
TESTS = "use-cases/real-time-agent/tests.yaml"


def test_the_examples_hold(pointsman: Callable, examples: Path) -> None:
    answer = pointsman("test", examples, *TODAY)
    assert answer.status == 0
    assert answer.out.endswith("23 rule tests, 0 failed\n")
    assert "ok    customer-support: an Anthropic outage goes to GPT-5\n" in answer.out


def test_what_does_not_hold_is_named_with_what_happened(pointsman: Callable, rules: Path) -> None:
    file = rules / TESTS
    file.write_text(file.read_text().replace("route: [llama-3.1-8b]}", "route: [], reason: cost_ceiling.per_day}"))
    answer = pointsman("test", rules, *TODAY)
    assert answer.status == 1
    assert "FAIL  real-time-agent: an Anthropic outage goes to the small open model\n" in answer.out
    assert f"{rules}/{TESTS}:8:" in answer.out
    assert "expected route [], but it is [llama-3.1-8b]; skipped: claude-haiku-4.5@anthropic (down)" in answer.out
    assert "expected reason cost_ceiling.per_day, but it is fallback" in answer.out
    assert answer.out.endswith("23 rule tests, 1 failed\n")


def test_json_tells_every_test(pointsman: Callable, rules: Path) -> None:
    file = rules / TESTS
    file.write_text(file.read_text().replace("first: claude-haiku-4.5", "first: llama-3.1-8b"))
    answer = pointsman("test", rules, *TODAY, "--format", "json")
    assert answer.status == 1
    tests = answer.json["tests"]
    assert len(tests) == 23
    (failed,) = [test for test in tests if not test["holds"]]
    assert failed["use_case"] == "real-time-agent"
    assert failed["differences"][0]["line"] == 4


def test_rules_that_cannot_run_are_not_tested(pointsman: Callable, rules: Path) -> None:
    (rules / "models/gpt-5.yaml").unlink()
    answer = pointsman("test", rules, *TODAY)
    assert answer.status == 1
    assert "unknown-model" in answer.err
    assert "nothing was tested" in answer.err


def test_wrong_usage_ends_with_2(pointsman: Callable) -> None:
    answer = pointsman("test", "/nowhere/at/all")
    assert answer.status == 2
    assert "cannot read /nowhere" in answer.err
