"""From results of two models to a branch, and what `check` says of it: on a repository of real git."""

import json
import os
import subprocess
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from controller.evals.folder import read_eval_files
from controller.folder import read_folder
from schemas.eval_files import eval_folders, load_eval
from schemas.load import load
from tests.fakes.rules_repo import RulesRepo

TODAY = ("--today", "2026-11-23")
CASE = "customer-support"
FOLDER = f"use-cases/{CASE}"
FILE = f"{FOLDER}/use-case.yaml"
OLD, NEW = "claude-sonnet-4.6", "claude-haiku-4.5"
EVIDENCE = f"{FOLDER}/evidence/2026-11-23-{NEW}.json"


def results(path: Path, model: str, right: set[int], usd: str, **more: object) -> Path:
    rows = [
        {"sample_id": f"s{i:03}", "model": model, "success": int(i in right), "cost_usd": usd, "latency_ms": 900 + i}
        | more
        for i in range(400)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def repo(rules: Path, monkeypatch: pytest.MonkeyPatch) -> RulesRepo:
    made = RulesRepo(rules)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    made.git("config", "user.name", "Ada")
    made.git("config", "user.email", "ada@example.com")
    made.commit({})
    return made


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, ...]:
    """The new one is right where the old one is, and on three more; at half the price."""
    old = results(tmp_path / "old.jsonl", OLD, set(range(320)), "0.010")
    new = results(tmp_path / "new.jsonl", NEW, set(range(323)), "0.004")
    return ("--incumbent", str(old), "--candidate", str(new))


def propose(pointsman: Callable, repo: RulesRepo, files: tuple[str, ...], *more: str) -> object:
    return pointsman("eval", "propose", repo.path, "--use-case", CASE, *files, *TODAY, *more)


def evidence_codes(pointsman: Callable, repo: RulesRepo, base: str = "main") -> dict[str, str]:
    """Code to severity, of what `check` says of evidence and emergencies."""
    answer = pointsman("check", repo.path, "--base", base, *TODAY, "--format", "json")
    return {
        one["code"]: one["severity"] for one in answer.json["problems"] if one["code"].startswith(("evid", "emerg"))
    }


def edit(repo: RulesRepo, file: str, old: str, new: str) -> None:
    text = (repo.path / file).read_text()
    assert old in text
    repo.commit({file: text.replace(old, new)})


def test_a_proposal_passes_with_its_evidence_and_not_without(
    pointsman: Callable, repo: RulesRepo, files: tuple[str, ...]
) -> None:
    before = (repo.path / FILE).read_text()
    (repo.path / "README.md").write_text("being written")
    made = propose(pointsman, repo, files, "--as", "primary", "--format", "json")
    assert made.status == 0, made.err
    assert made.json["branch"] == f"pointsman/{CASE}-{NEW}"
    assert made.json["files"] == [EVIDENCE, FILE]
    assert EVIDENCE in made.json["body"]
    assert repo.git("branch", "--show-current") == "main"
    assert (repo.path / FILE).read_text() == before
    assert repo.git("diff", "--name-only", "main", made.json["branch"]).split() == [EVIDENCE, FILE]
    assert repo.git("log", "-1", "--format=%an <%ae>", made.json["branch"]) == "Ada <ada@example.com>"
    assert propose(pointsman, repo, files, "--as", "primary").status == 2, "the branch is there"

    (repo.path / "README.md").unlink()
    repo.git("checkout", "--quiet", "--force", made.json["branch"])
    after = (repo.path / FILE).read_text()
    assert f"primary: {NEW}" in after
    assert len(after.splitlines()) == len(before.splitlines()), "comments and layout stay"
    assert evidence_codes(pointsman, repo) == {}
    plan = pointsman("plan", repo.path, "--base", "main", *TODAY, "--format", "json")
    assert plan.json["evidence"] == [{"use_case": CASE, "model": NEW, "file": EVIDENCE, "passes": True}]

    whole = (repo.path / EVIDENCE).read_text()
    edit(repo, EVIDENCE, '"only_candidate": 3', '"only_candidate": 30')
    assert evidence_codes(pointsman, repo) == {"evidence-differs": "error"}
    repo.commit({EVIDENCE: whole.replace('"verdict": "non_inferior"', '"verdict": "superior"')})
    assert evidence_codes(pointsman, repo) == {"evidence-differs": "error"}
    repo.commit({EVIDENCE: whole.replace(f'"candidate": "{NEW}"', '"candidate": "gpt-5"')})
    assert evidence_codes(pointsman, repo) == {"evidence-misplaced": "error", "evidence-missing": "error"}
    repo.commit({EVIDENCE: whole.replace('"created": "2026-11-23"', '"created": "2026-08-01"')})
    assert evidence_codes(pointsman, repo) == {"evidence-misplaced": "error", "evidence-too-old": "error"}
    repo.commit({EVIDENCE: whole.replace("{\n", '{\n  "set_hash": "0123456789",\n', 1)})
    assert evidence_codes(pointsman, repo) == {"evidence-of-other-set": "error"}
    (repo.path / EVIDENCE).unlink()
    repo.commit({})
    assert evidence_codes(pointsman, repo) == {"evidence-missing": "error"}
    plan = pointsman("plan", repo.path, "--base", "main", *TODAY)
    assert f"evidence for {NEW} in {CASE}: missing" in plan.out
    rule = (repo.path / FILE).read_text()
    repo.commit({FILE: rule.replace("class: customer-facing", "class: internal")})
    assert evidence_codes(pointsman, repo) == {"evidence-missing": "error"}, "the stricter class counts"
    for expires, codes in (
        ("2026-12-01", {"emergency": "warning", "evidence-missing": "warning"}),
        ("2026-12-31", {"emergency-too-long": "error", "evidence-missing": "error"}),
        ("2026-11-22", {"emergency-expired": "error", "evidence-missing": "error"}),
    ):
        repo.commit({FILE: f'{rule}emergency: {{reason: "retired today", expires: {expires}}}\n'})
        assert evidence_codes(pointsman, repo) == codes


def test_the_way_back_to_what_ran_lately_is_open(pointsman: Callable, repo: RulesRepo, files: tuple[str, ...]) -> None:
    assert propose(pointsman, repo, files, "--as", "primary").status == 0
    repo.git("merge", "--quiet", "--no-ff", "--no-edit", f"pointsman/{CASE}-{NEW}")
    repo.git("checkout", "--quiet", "-b", "back")
    repo.git("revert", "--no-edit", "-m", "1", "HEAD")
    assert not (repo.path / EVIDENCE).exists()
    assert evidence_codes(pointsman, repo) == {}
    edit(repo, FILE, f"primary: {OLD}", "primary: gpt-5")
    assert evidence_codes(pointsman, repo)["evidence-missing"] == "error"


def test_where_the_rules_begin_nothing_is_asked(pointsman: Callable, repo: RulesRepo) -> None:
    repo.git("checkout", "--quiet", "--orphan", "empty")
    repo.git("rm", "-r", "--quiet", "--force", ".")
    (repo.path / "notes.md").write_text("soon")
    repo.commit({})
    repo.git("checkout", "--quiet", "-b", "begin")
    repo.git("checkout", "main", "--", ".")
    repo.commit({})
    assert evidence_codes(pointsman, repo, base="empty") == {}


def test_without_a_wish_the_verdict_leads(pointsman: Callable, repo: RulesRepo, files: tuple[str, ...]) -> None:
    made = propose(pointsman, repo, files, "--no-commit", "--format", "json")
    assert (made.status, made.json["as"], made.json["branch"]) == (0, "canary", None)
    assert f"canary: {{model: {NEW}, percent: 5, signal: outcome}}" in (repo.path / FILE).read_text()
    assert (repo.path / EVIDENCE).is_file()
    assert evidence_codes(pointsman, repo) == {}
    repo.commit({})
    made = propose(pointsman, repo, files, "--format", "json")
    assert made.json["as"] == "primary", "a canary that is proved takes over"
    repo.git("checkout", "--quiet", made.json["branch"])
    assert "canary:" not in (repo.path / FILE).read_text()
    assert evidence_codes(pointsman, repo) == {}


def test_what_the_verdict_does_not_permit_is_not_proposed(
    pointsman: Callable, repo: RulesRepo, tmp_path: Path, files: tuple[str, ...]
) -> None:
    worse = results(tmp_path / "worse.jsonl", NEW, set(range(200)), "0.004")
    answer = propose(pointsman, repo, (*files[:3], str(worse)), "--as", "primary")
    assert answer.status == 1
    assert "not as primary" in answer.err
    assert "It is worse by more than 2 points" in answer.err
    assert "there is no quality_bar yet" in propose(pointsman, repo, files, "--as", "quality").err
    assert repo.git("branch", "--list", "pointsman/*") == ""


def test_clustered_results_lie_beside_their_evidence(pointsman: Callable, repo: RulesRepo, tmp_path: Path) -> None:
    both = tmp_path / "both.jsonl"
    rows = [
        {"sample_id": f"s{i:03}", "model": model, "success": int(i % 5 != 0 or (model == NEW and i % 15 == 0)),
         "cost_usd": usd, "cluster": f"c{i % 40}", "answer": "SECRET WORDS"}
        for model, usd in ((OLD, "0.010"), (NEW, "0.004")) for i in range(400)
    ]  # fmt: skip
    both.write_text("".join(json.dumps(row) + "\n" for row in rows))
    made = propose(pointsman, repo, ("--results", str(both)), "--as", "primary", "--format", "json")
    assert made.status == 0, made.err
    rows_file = EVIDENCE.replace(".json", ".results.jsonl")
    assert rows_file in made.json["files"]
    repo.git("checkout", "--quiet", made.json["branch"])
    assert "SECRET" not in (repo.path / rows_file).read_text()
    assert evidence_codes(pointsman, repo) == {}
    edit(repo, EVIDENCE, '"clusters": 40', '"clusters": 400')
    assert evidence_codes(pointsman, repo) == {"evidence-differs": "error"}
    repo.git("reset", "--quiet", "--hard", "HEAD~1")
    edit(repo, rows_file, '"success": 0', '"success": 1')
    assert evidence_codes(pointsman, repo) == {"evidence-differs": "error"}


def test_a_lint_is_accepted_by_the_name_of_a_team(
    pointsman: Callable, repo: RulesRepo, tmp_path: Path, files: tuple[str, ...]
) -> None:
    owners = '{support-platform: ["use-cases/customer-support/**"], platform: ["**"]}'
    edit(repo, "pointsman.yaml", "schema: 1\n", f"schema: 1\nowners: {owners}\n")
    old = results(tmp_path / "free.jsonl", OLD, set(range(320)), "0")
    told = ("--incumbent", str(old), *files[2:])
    assert "in doubt" in propose(pointsman, repo, told, "--as", "primary").err
    other = results(tmp_path / "odd.jsonl", OLD, set(range(320)), "0.01", harness_version="1")
    new = results(tmp_path / "odd_new.jsonl", NEW, set(range(323)), "0.004", harness_version="2")
    odd = ("--incumbent", str(other), "--candidate", str(new), "--as", "primary")
    for team, codes in (("L6", {}), ("L6=nobody", {"evidence-in-doubt": "error"})):
        made = propose(pointsman, repo, odd, "--accept", team, "--branch", f"by-{team[-1]}")
        assert made.status == 0, made.err
        repo.git("checkout", "--quiet", f"by-{team[-1]}")
        assert evidence_codes(pointsman, repo) == codes
        repo.git("checkout", "--quiet", "main")


@pytest.mark.parametrize(
    ("prepare", "said"),
    [
        (("git", "config", "--unset", "user.email"), "git does not know who you are"),
        (("rm", "-rf", ".git"), "in no git repository"),
        (("sh", "-c", f"echo '# more' >> {FILE}"), "not committed"),
    ],
)  # fmt: skip
def test_no_branch_says_why(
    pointsman: Callable, repo: RulesRepo, files: tuple[str, ...], prepare: tuple[str, ...], said: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("EMAIL", "")
    repo.git("config", "user.useConfigOnly", "true")
    subprocess.run(prepare, cwd=repo.path, check=True)
    answer = propose(pointsman, repo, files, "--as", "primary")
    assert (answer.status, answer.out) == (2, "")
    assert said in answer.err


def test_evidence_is_of_the_eval_set_that_lies_there(pointsman: Callable, repo: RulesRepo, tmp_path: Path) -> None:
    case = "document-understanding"
    folder = f"use-cases/{case}/eval"
    loaded = load(read_folder(repo.path).files, today=date(2026, 11, 23), revision="r")
    below = eval_folders(read_eval_files(repo.path, case))[case]
    eval_set, _ = load_eval(case, below, loaded.rule_set)
    assert eval_set is not None
    old = results(tmp_path / "old.jsonl", OLD, set(range(320)), "0.010", set_hash=eval_set.hash)
    new = results(tmp_path / "new.jsonl", "gpt-5", set(range(323)), "0.004", set_hash=eval_set.hash)
    asked = ("eval", "propose", repo.path, "--use-case", case, "--incumbent", old, "--candidate", new, *TODAY)
    made = pointsman(*asked, "--as", "primary", "--format", "json")
    assert made.status == 0, made.err
    repo.git("checkout", "--quiet", made.json["branch"])
    evidence = json.loads((repo.path / made.json["files"][0]).read_text())
    assert (evidence["set_hash"], evidence["asked"]["margin"]) == (eval_set.hash, 0.05), "as graders.yaml says"
    assert evidence_codes(pointsman, repo) == {}
    edit(repo, f"{folder}/graders.yaml", "margin: 0.05", "margin: 0.01")
    assert evidence_codes(pointsman, repo) == {"evidence-of-other-set": "warning", "evidence-against": "warning"}
    repo.git("checkout", "--quiet", "main")
    edit(repo, f"{folder}/graders.yaml", "margin: 0.05", "margin: 0.04")
    answer = pointsman(*asked, "--as", "primary", "--branch", "late")
    assert (answer.status, "have changed since" in answer.err) == (1, True)
