"""What people rely on from `pointsman test`."""

from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

TODAY = ("--today", "2026-11-23")
TESTS = "use-cases/real-time-agent/tests.yaml"


def test_the_examples_hold(pointsman: Callable, examples: Path) -> None:
    answer = pointsman("test", examples, *TODAY)
    assert answer.status == 0
    assert "23 rule tests, 0 failed\n" in answer.out
    assert "primaries, rules and ceilings are reached by a test\n" in answer.out
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
    assert "23 rule tests, 1 failed\n" in answer.out
    assert "        llama-3.1-8b@groq  fallback\n" in answer.out
    assert "        claude-haiku-4.5@anthropic  skipped: down\n" in answer.out


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


def test_what_no_test_reaches_is_named(pointsman: Callable, rules: Path) -> None:
    (rules / TESTS).unlink()
    answer = pointsman("test", rules, *TODAY)
    assert answer.status == 0
    assert "  real-time-agent: no test reaches primary, cost_ceiling.per_request\n" in answer.out
    missed = pointsman("test", rules, *TODAY, "--format", "json").json["untested"]
    assert {"use_case": "real-time-agent", "reason": "primary"} in missed


def test_junit_counts_and_names_every_test(pointsman: Callable, rules: Path, tmp_path: Path) -> None:
    file = rules / TESTS
    file.write_text(file.read_text().replace("first: claude-haiku-4.5", "first: llama-3.1-8b"))
    pointsman("test", rules, *TODAY, "--junit", tmp_path / "out.xml")
    suites = ElementTree.parse(tmp_path / "out.xml").getroot()
    assert (suites.get("tests"), suites.get("failures")) == ("23", "1")
    assert len(suites.findall("./testsuite/testcase")) == 23
    (failure,) = suites.findall("./testsuite[@name='real-time-agent']/testcase/failure")
    assert "expected first llama-3.1-8b" in failure.get("message", "")
