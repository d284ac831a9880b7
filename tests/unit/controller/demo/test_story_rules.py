"""The rules that the demo writes are rules that the check accepts, whoever plays."""

import subprocess
from datetime import date
from pathlib import Path

import pytest
import yaml

from controller.demo.cast import Cast, cast_from
from controller.demo.repository import SUPPORT, Repository, RepositoryFailed, make_repository, rule_files
from controller.ruletests import rule_test_problems
from schemas.load import load

TODAY = date(2026, 11, 23)
EXAMPLES = Path(__file__).parents[4] / "examples" / "rules"
OPENAI, ANTHROPIC = {"OPENAI_API_KEY": "k"}, {"ANTHROPIC_API_KEY": "k"}


def cast(environ: dict[str, str]) -> Cast:
    return cast_from(environ, (4110, 4111, 4112))


@pytest.mark.parametrize(
    ("environ", "primary", "providers"),
    [
        ({}, "simulated-gpt", {"simulated-openai", "simulated-anthropic", "llama-cpp"}),
        (OPENAI, "gpt-5-mini", {"openai", "simulated-anthropic", "llama-cpp"}),
        (ANTHROPIC, "simulated-gpt", {"simulated-openai", "anthropic", "llama-cpp"}),
        (OPENAI | ANTHROPIC, "gpt-5-mini", {"openai", "anthropic", "llama-cpp"}),
    ],
)
def test_the_rules_of_every_cast_have_no_problems(environ: dict[str, str], primary: str, providers: set[str]) -> None:
    files = rule_files(cast(environ), TODAY)
    loaded = load(files, today=TODAY, revision="r")
    assert loaded.problems == ()
    assert loaded.bundle is not None
    assert tuple(rule_test_problems(files, loaded.bundle, today=TODAY)) == ()
    assert {Path(name).stem for name in files if name.startswith("providers/")} == providers
    assert yaml.safe_load(files[SUPPORT])["primary"] == primary


@pytest.mark.parametrize(
    "name", ["providers/openai", "providers/anthropic", "models/gpt-5-mini", "models/claude-haiku-4.5"]
)
def test_real_vendors_are_those_of_the_example_rules(name: str) -> None:
    ours = yaml.safe_load(rule_files(cast(OPENAI | ANTHROPIC), TODAY)[f"{name}.yaml"])
    assert ours == yaml.safe_load((EXAMPLES / f"{name}.yaml").read_text(encoding="utf-8"))


def test_edits_are_commits_that_others_can_read(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "rules", cast({}), TODAY)
    repository.edit(SUPPORT, "primary:", "primary: smollm2")
    assert repository.changes().splitlines() == ["-primary: simulated-gpt", "+primary: smollm2"]
    revision = repository.commit("Try the small one")
    log = subprocess.run(
        ["git", "-C", str(tmp_path / "rules"), "log", "--format=%H %s", "main"],
        capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    assert log[0] == f"{revision} Try the small one"
    assert len(log) == 2


def test_a_line_that_is_not_there_is_not_edited_silently(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "rules", cast({}), TODAY)
    with pytest.raises(RepositoryFailed, match="has 0 lines that start with secondary:"):
        repository.edit(SUPPORT, "secondary:", "secondary: smollm2")


def test_what_git_says_is_passed_on(tmp_path: Path) -> None:
    with pytest.raises(RepositoryFailed, match=r"git rev-parse: .*not a git repository"):
        Repository(tmp_path).git("rev-parse", "HEAD")
