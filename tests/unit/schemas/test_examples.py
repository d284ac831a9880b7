"""The example rules are what people copy: they are whole, clean, and editors check them."""

from datetime import date
from pathlib import Path

import pytest

from schemas.__main__ import main, read_folder
from schemas.bundle import decode_bundle, encode_bundle
from schemas.load import load

ROOT = Path(__file__).parents[3]
RULES = ROOT / "examples" / "rules"
FILES = sorted(RULES.rglob("*.yaml"))


@pytest.mark.parametrize("today", [date(2026, 11, 23), date(2027, 9, 30)])
def test_the_examples_have_no_problem_at_all(today: date) -> None:
    loaded = load(read_folder(RULES), today=today, revision="abc")
    assert loaded.problems == ()
    assert loaded.bundle is not None
    assert decode_bundle(encode_bundle(loaded.bundle)) == loaded.bundle


@pytest.mark.parametrize(
    ("use_case", "chain"),
    [
        ("customer-support", ("claude-sonnet-4.6", "gpt-5", "gemini-3")),
        ("internal-coding", ("claude-opus-4.7", "gpt-5-codex", "gpt-5")),
        ("content-generation", ("gpt-5", "gemini-3")),
        ("document-understanding", ("claude-sonnet-4.6", "llama-4")),
        ("real-time-agent", ("claude-haiku-4.5", "llama-3.1-8b")),
    ],
)
def test_the_five_use_cases_and_their_chains(use_case: str, chain: tuple[str, ...]) -> None:
    loaded = load(read_folder(RULES), today=date(2026, 11, 23), revision="abc")
    assert loaded.bundle is not None
    assert loaded.bundle.use_cases[use_case].chain == chain


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.relative_to(RULES).as_posix())
def test_every_file_names_its_schema_in_its_first_line(file: Path) -> None:
    first = file.read_text().splitlines()[0]
    prefix = "# yaml-language-server: $schema="
    assert first.startswith(prefix)
    schema = (file.parent / first.removeprefix(prefix)).resolve()
    kinds = {
        "use-case.yaml": "use-case", "tests.yaml": "rule-tests", "pointsman.yaml": "pointsman",
        "graders.yaml": "graders",
    }  # fmt: skip
    kind = kinds.get(file.name, file.parent.name.removesuffix("s"))
    assert schema == ROOT / "schemas" / "json" / f"{kind}.json"
    assert schema.is_file()


def test_every_use_case_has_at_least_three_rule_tests() -> None:
    loaded = load(read_folder(RULES), today=date(2026, 11, 23), revision="abc")
    assert loaded.rule_set is not None
    assert {name: len(tests.content.root) >= 3 for name, tests in loaded.rule_set.tests.items()} == dict.fromkeys(
        loaded.rule_set.use_cases, True
    )


def test_the_committed_json_schemas_are_those_of_the_models() -> None:
    assert main(["json", "--check"]) == 0
