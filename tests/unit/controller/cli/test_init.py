"""What people rely on from `pointsman init`."""

import json
import subprocess
from collections.abc import Callable
from datetime import date
from pathlib import Path, PurePosixPath

import pytest

from controller.init import starting_files

TODAY = ("--today", "2026-11-23")


def git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", "/dev/null")


def test_what_it_writes_has_no_problem_until_its_review(pointsman: Callable, tmp_path: Path) -> None:
    made = pointsman("init", tmp_path / "rules", *TODAY)
    assert (made.status, made.err) == (0, "")
    assert f"pointsman check {tmp_path}/rules" in made.out
    checked = pointsman("check", tmp_path / "rules", *TODAY)
    assert checked.out == "no problems in 8 rule files and 3 rule tests\n"
    assert "review-overdue" in pointsman("check", tmp_path / "rules", "--today", "2027-03-01").out


def test_it_is_a_git_repository_with_one_commit_and_nothing_left_over(pointsman: Callable, tmp_path: Path) -> None:
    pointsman("init", tmp_path / "rules", *TODAY)
    assert git(tmp_path / "rules", "rev-list", "--count", "main") == "1"
    assert git(tmp_path / "rules", "status", "--porcelain") == ""


def test_a_repository_around_it_is_left_to_its_people(pointsman: Callable, tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    made = pointsman("init", tmp_path / "rules", *TODAY)
    assert made.status == 0
    assert "commit it there" in made.out
    assert not (tmp_path / "rules/.git").exists()


def test_an_empty_clone_is_filled(pointsman: Callable, tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", "rules")
    assert pointsman("init", tmp_path / "rules", *TODAY).status == 0
    assert git(tmp_path / "rules", "rev-list", "--count", "HEAD") == "1"


def test_it_writes_over_nothing(pointsman: Callable, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    answer = pointsman("init", tmp_path, *TODAY)
    assert answer.status == 2
    assert "is not empty (it holds mine.txt); nothing was written" in answer.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.txt"]


def test_a_file_in_the_way_is_named(pointsman: Callable, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    answer = pointsman("init", tmp_path / "file", *TODAY)
    assert answer.status == 2
    assert f"cannot write {tmp_path}/file" in answer.err


def test_every_rule_file_names_a_schema_that_is_there() -> None:
    files = starting_files(date(2026, 11, 23))
    for path, text in files.items():
        if path.endswith(".yaml") and not path.startswith("."):
            schema = text.splitlines()[0].removeprefix("# yaml-language-server: $schema=")
            assert schema.count("../") == path.count("/")
            assert schema.removeprefix("../" * path.count("/")) in files


@pytest.mark.parametrize("model", ["claude-sonnet-4.6", "claude-haiku-4.5", "gpt-5"])
def test_its_models_are_those_of_the_examples(model: str, examples: Path) -> None:
    def said(text: str) -> list[str]:
        return [line for line in text.splitlines() if not line.startswith("#")]

    ours = starting_files(date(2026, 11, 23))[f"models/{model}.yaml"]
    assert said(ours) == said((examples / f"models/{model}.yaml").read_text())


def test_editors_are_told_which_schema_describes_which_file() -> None:
    files = starting_files(date(2026, 11, 23))
    told = json.loads(files[".vscode/settings.json"])["yaml.schemas"]
    assert all(schema.removeprefix("./") in files for schema in told)
    for path, text in files.items():
        if path.endswith(".yaml") and not path.startswith("."):
            (schema,) = [schema for schema, glob in told.items() if PurePosixPath(path).match(glob)]
            assert text.splitlines()[0].endswith(schema.removeprefix("./"))
