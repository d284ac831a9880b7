"""The page of codes and the code agree: each code that can be reported has a section and a case that shows it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.explanations import explanation_of, sections, unknown_code

ROOT = Path(__file__).parents[3]
SOURCES = [*sorted((ROOT / "schemas").rglob("*.py")), *sorted((ROOT / "controller").rglob("*.py"))]
MAKES_PROBLEMS = {"Problem", "problem", "_problem", "_Finding", "PydanticCustomError", "_add", "_stop", "about",
                  "_about_revision", "_exactly_one"}  # fmt: skip
CODE = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
NO_CODES = {"error", "warning", "reject"}
OF_NO_RULE_FILE = {
    # Of the repository, of its revision, of a change, or of eval results: each has its test with the code that says it.
    "unclear-result", "bundle-refused", "bundle-too-large", "cannot-run", "case-collision", "codeowners-stale",
    "eval-set-too-large", "evidence-against", "evidence-differs", "evidence-in-doubt", "evidence-missing",
    "evidence-of-other-set", "evidence-too-old", "file-too-large", "history-rewritten", "internal-error",
    "many-bad-lines", "no-bundle", "not-a-file", "not-signed",
    "not-the-owner", "not-utf8", "rule-test-failed", "tree-too-large", "unowned-change",
    # Said only where the JSON Schema, or this version's list of dialects, had not said or done more.
    "not-a-duration", "wrong-value", "dialect-not-served-yet",
}  # fmt: skip


def codes_in(source: Path) -> Iterator[str]:
    """Texts of a code's form that stand as an argument of what makes a problem; messages have blanks."""
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in MAKES_PROBLEMS:
                for argument in node.args[:5]:
                    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                        yield argument.value


def test_every_code_has_its_section_and_every_section_its_code() -> None:
    found = {text for source in SOURCES for text in codes_in(source) if CODE.fullmatch(text)}
    assert found - NO_CODES | {"wrong-value"} == set(sections())


def test_sections_are_sorted_and_say_how_to_mend() -> None:
    assert list(sections()) == sorted(sections())
    assert all(text.count("**Mend:** ") == 1 for text in sections().values())


def golden_findings() -> set[str]:
    folder = ROOT / "tests" / "golden" / "rules"
    files = [*folder.glob("*.bad/expected.txt"), *folder.glob("gallery/*.yaml")]
    return {line.removeprefix("# => ") for file in files for line in file.read_text().splitlines()}


def test_every_code_of_a_rule_file_occurs_among_the_bad_rules() -> None:
    shown = {code for line in golden_findings() for code in re.findall(r"(?:error|warning)\[([a-z0-9-]+)\]", line)}
    assert shown == set(sections()) - OF_NO_RULE_FILE


@pytest.mark.parametrize("code", sorted(sections()))
def test_examples_are_findings_that_were_made(code: str) -> None:
    examples = re.findall(r"^```\n(.*)\n```$", sections()[code], flags=re.MULTILINE)
    assert set(examples) <= golden_findings()
    assert bool(examples) is (code not in OF_NO_RULE_FILE)
    assert all(f"[{code}]" in example for example in examples)


def test_a_code_that_there_is_none_of_has_its_nearest() -> None:
    assert explanation_of("stale-prices") is None
    assert unknown_code("stale-prices") == 'there is no code "stale-prices"; did you mean "stale-price"?'
