"""Who may change what: the command in a real repository, as a pull request's check runs it."""

import json
from pathlib import Path

import pytest

from controller.cli import main
from tests.fakes.rules_repo import MODEL, RULES, USE_CASE, RulesRepo, write_files

PLATFORM = """\
schema: 1
owners:
  support-platform: ["use-cases/support/**"]
  platform: ["pointsman.yaml", "providers/**", "models/**"]
"""
CHANGED_USE_CASE = USE_CASE.replace("Answers customers.", "Answers customers well.")
CHANGED_MODEL = MODEL.replace("200000", "400000")
EVAL_SET = {
    "use-cases/support/eval/set.jsonl": '{"id": "one", "input": "Who wrote Faust?", "target": "Goethe"}\n',
    "use-cases/support/eval/graders.yaml": "version: 1\ngraders: [{id: right, kind: contains}]\n",
}


@pytest.fixture
def repo(tmp_path: Path) -> RulesRepo:
    made = RulesRepo(tmp_path / "repo")
    made.commit({**RULES, "pointsman.yaml": PLATFORM})
    made.git("switch", "--quiet", "--create", "change")
    return made


def check(repo: RulesRepo, capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, set[tuple[str, str]], dict]:
    words = ["check", str(repo.path), "--base", "main", "--today", "2026-11-23", "--format", "json", *argv]
    status = main(words)
    answer = json.loads(capsys.readouterr().out)
    found = {(p["file"], p["code"]) for p in answer["problems"] if p["severity"] == "error"}
    return status, found, {item["file"]: item["teams"] for item in answer["approvals"]}


def test_a_team_changes_its_own_files(repo: RulesRepo, capsys: pytest.CaptureFixture[str]) -> None:
    repo.commit({"use-cases/support/use-case.yaml": CHANGED_USE_CASE, **EVAL_SET})
    status, found, approvals = check(repo, capsys, "--author", "support-platform")
    assert (status, found) == (0, set())
    assert approvals == {file: ["support-platform"] for file in ("use-cases/support/use-case.yaml", *EVAL_SET)}


@pytest.mark.parametrize("authors", [("support-platform",), ("support-platform", "platform")])
def test_what_another_team_owns_needs_that_team(
    repo: RulesRepo, capsys: pytest.CaptureFixture[str], authors: tuple[str, ...]
) -> None:
    repo.commit({"use-cases/support/use-case.yaml": CHANGED_USE_CASE, "models/sonnet.yaml": CHANGED_MODEL})
    status, found, approvals = check(repo, capsys, "--author", *authors)
    expected = set() if "platform" in authors else {("models/sonnet.yaml", "not-the-owner")}
    assert (status, found) == (1 if expected else 0, expected)
    assert approvals["models/sonnet.yaml"] == ["platform"]


def test_nobody_makes_himself_the_owner(repo: RulesRepo, capsys: pytest.CaptureFixture[str]) -> None:
    taken = PLATFORM.replace('["use-cases/support/**"]', '["**"]')
    repo.commit({"pointsman.yaml": taken, "models/sonnet.yaml": CHANGED_MODEL})
    status, found, _ = check(repo, capsys, "--author", "support-platform")
    assert status == 1
    assert found == {("pointsman.yaml", "not-the-owner"), ("models/sonnet.yaml", "not-the-owner")}


def test_what_is_not_committed_and_what_is_deleted_count(repo: RulesRepo, capsys: pytest.CaptureFixture[str]) -> None:
    write_files(repo.path, {"models/sonnet.yaml": CHANGED_MODEL, "models/other.yaml": MODEL})
    (repo.path / "use-cases/support/use-case.yaml").unlink()
    _, _, approvals = check(repo, capsys)
    assert set(approvals) == {"models/sonnet.yaml", "models/other.yaml", "use-cases/support/use-case.yaml"}


def test_a_file_of_nobody_waits_for_an_owner(repo: RulesRepo, capsys: pytest.CaptureFixture[str]) -> None:
    use_case = USE_CASE.replace("use_case: support", "use_case: sales")
    repo.commit({"use-cases/sales/use-case.yaml": use_case})
    _, found, approvals = check(repo, capsys)
    assert ("use-cases/sales/use-case.yaml", "unowned-change") in found
    assert approvals == {"use-cases/sales/use-case.yaml": []}


def test_what_happened_at_the_base_meanwhile_is_not_the_change(
    repo: RulesRepo, capsys: pytest.CaptureFixture[str]
) -> None:
    repo.commit({"use-cases/support/use-case.yaml": CHANGED_USE_CASE})
    repo.git("switch", "--quiet", "main")
    repo.commit({"models/sonnet.yaml": CHANGED_MODEL})
    repo.git("switch", "--quiet", "change")
    _, found, approvals = check(repo, capsys, "--author", "support-platform")
    assert (found, set(approvals)) == (set(), {"use-cases/support/use-case.yaml"})


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (("--base", "nowhere"), "no commit at 'nowhere'"),
        (("--base", "main", "--author", "suport-platform"), 'did you mean "support-platform"?'),
        (("--author", "platform"), "--author goes with --base"),
    ],
)
def test_wrong_usage(repo: RulesRepo, capsys: pytest.CaptureFixture[str], argv: tuple[str, ...], says: str) -> None:
    assert main(["check", str(repo.path), *argv]) == 2
    assert says in capsys.readouterr().err


def test_text_says_who_must_approve(repo: RulesRepo, capsys: pytest.CaptureFixture[str]) -> None:
    repo.commit({"models/sonnet.yaml": CHANGED_MODEL})
    argv = ["check", str(repo.path), "--base", "main", "--author", "support-platform", "--today", "2026-11-23"]
    assert main(argv) == 1
    out = capsys.readouterr().out
    assert "error[not-the-owner] changed by support-platform, and owned by platform; platform must approve" in out
    assert "platform must approve: models/sonnet.yaml\n" in out
