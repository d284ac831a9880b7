"""The alert rules: on metrics, labels and words that exist, each with its page, whose commands the programs take."""

import argparse
import re
import shlex
from importlib import import_module
from typing import Any

import pytest
import yaml

from controller.canaries.state import State
from controller.cli import COMMANDS
from schemas.status import FleetState
from sidecar import errors
from sidecar.errors import GatewayError
from sidecar.routing.health import BREAKER_OPEN
from tests.fakes.processes import REPOSITORY
from tests.fakes.promtool import needs_promtool, promtool

FOLDER = REPOSITORY / "examples" / "alerts"
PAGE = (REPOSITORY / "schemas" / "docs" / "metrics.md").read_text(encoding="utf-8")
LABELS = {
    name: set(re.findall(r"`(\w+)`", labels))
    for name, labels in re.findall(r"^\| `(pointsman_\w+)` \| \w+ \|([^|]*)\|", PAGE, re.MULTILINE)
}
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load((FOLDER / "pointsman.rules.yaml").read_text())["groups"] for rule in group["rules"]
]
ALERTS = [rule for rule in RULES if "alert" in rule]
RUNBOOKS = sorted((FOLDER / "runbooks").glob("*.md"))
SELECTOR = re.compile(r"(pointsman_\w+)(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)=~?"([^"]*)"')
SCRAPED = {"instance", "job"}
WORDS = {
    "outcome": {
        *(kind.code for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, GatewayError)),
        *("ok", "refused", "unavailable"),
    },
    "state": {*FleetState.__args__, *State.__args__},  # type: ignore[attr-defined]
}
WORDS["reason"] = WORDS["outcome"] | {BREAKER_OPEN}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.get("alert") or rule["record"])
def test_a_rule_asks_for_metrics_labels_and_words_that_exist(rule: dict[str, Any]) -> None:
    expression = rule["expr"]
    selected = SELECTOR.findall(expression)
    assert selected or "pointsman:" in expression
    for name, inside in selected:
        assert name in LABELS, name
        for label, words in MATCHER.findall(inside):
            assert label in LABELS[name], (name, label)
            assert set(words.split("|")) <= WORDS[label], (name, label)
    known = set().union(*(LABELS[name] for name, _ in selected), SCRAPED, {"use_case"})
    grouped = re.findall(r"(?:by|without|ignoring|on) \(([^)]*)\)", expression)
    assert {label for labels in grouped for label in re.findall(r"\w+", labels)} <= known
    recorded = {rule["record"] for rule in RULES if "record" in rule}
    assert set(re.findall(r"pointsman:\w+:\w+", expression)) <= recorded


def test_every_alert_says_what_it_is_and_has_a_page_and_a_test() -> None:
    tested = yaml.safe_load((FOLDER / "pointsman.tests.yaml").read_text())["tests"]
    fired = {case["alertname"] for test in tested for case in test["alert_rule_test"] if case["exp_alerts"]}
    assert fired == {rule["alert"] for rule in ALERTS}
    assert {rule["labels"]["severity"] for rule in ALERTS} == {"page", "ticket"}
    pages = [rule["annotations"]["runbook"] for rule in ALERTS]
    assert sorted(pages) == [str(page.relative_to(REPOSITORY)) for page in RUNBOOKS]
    assert all(rule["annotations"]["summary"] for rule in ALERTS)


@pytest.mark.parametrize("page", RUNBOOKS, ids=lambda page: page.stem)
def test_a_page_names_commands_pages_and_metrics_that_exist(page: Any) -> None:
    text = page.read_text(encoding="utf-8")
    assert "\n## Look\n" in text
    assert "\n## Do\n" in text
    for link in re.findall(r"\]\(([^)]+)\)", text):
        assert (page.parent / link).exists(), link
    for name in re.findall(r"pointsman_\w+", text):
        assert any(known.startswith(name) for known in LABELS), name
    block = re.search(r"```sh\n(.*?)```", text, re.DOTALL)
    assert block is not None
    commands = [line for line in block[1].splitlines() if line.startswith("pointsman ")]
    commands += re.findall(r"`(pointsman [a-z][^`]*)`", text)
    for command in commands:
        words = shlex.split(re.sub(r'"\$\([^)]*\)"', "2026-01-01", command))[1:]
        parser_of(words[0]).parse_args(words)


def parser_of(command: str) -> argparse.ArgumentParser:
    """Ends the process where it does not take its words."""
    parser = argparse.ArgumentParser()
    import_module(COMMANDS[command]).add_parser(parser.add_subparsers(dest="command", required=True))
    return parser


@needs_promtool
def test_promtool_takes_the_rules_and_their_tests_pass() -> None:
    checked = promtool("check", "rules", "examples/alerts/pointsman.rules.yaml")
    assert checked.returncode == 0, checked.stderr
    tested = promtool("test", "rules", "examples/alerts/pointsman.tests.yaml")
    assert tested.returncode == 0, tested.stdout + tested.stderr
