"""The files that `pointsman init` writes for changing rules, run as GitHub, GitLab and git run them."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.init import starting_files
from tests.fakes.code_host import CodeHost
from tests.fakes.processes import REPOSITORY
from tests.fakes.rules_repo import RulesRepo, write_files

USE_CASE = "use-cases/assistant/use-case.yaml"
FILES = starting_files(date.today())
CHANGED = {USE_CASE: FILES[USE_CASE].replace("fallbacks: [gpt-5]", "fallbacks: [claude-haiku-4.5, gpt-5]")}
BROKEN = {USE_CASE: FILES[USE_CASE].replace("fallbacks: [gpt-5]", "fallbacks: [gpt-55]")}
ACTION = yaml.safe_load(FILES[".github/actions/pointsman/action.yml"])
WORKFLOW = yaml.safe_load(FILES[".github/workflows/rules.yml"])
GITLAB = yaml.safe_load(FILES[".gitlab-ci.yml"])
MINUTES = 120.0

Done = subprocess.CompletedProcess[str]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A runner's: this program and this Python by the names that jobs call them, and no settings of this machine."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, words in (("python", ""), ("pointsman", "-m controller ")):
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {words}"$@"\n')
        (programs / name).chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("POINTSMAN_", "GITHUB_", "CI"))}
    return {
        **kept,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": str(REPOSITORY),
        "HOME": str(tmp_path),
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_SYSTEM": "/dev/null",
        **{f"GIT_{who}_{what}": "a@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    }


@pytest.fixture
def repo(tmp_path: Path) -> RulesRepo:
    """What `init` writes, on `main`."""
    repo = RulesRepo(tmp_path / "rules")
    repo.commit(FILES)
    return repo


def propose(repo: RulesRepo, files: Mapping[str, str]) -> None:
    """The files on the branch `change`, checked out."""
    repo.git("checkout", "--quiet", "-B", "change", "main")
    repo.commit(files)


def run(script: str, repo: RulesRepo, environment: Mapping[str, str]) -> Done:
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        cwd=repo.path, env=environment, capture_output=True, text=True, timeout=MINUTES,
    )  # fmt: skip


def run_action(repo: RulesRepo, environment: Mapping[str, str], host: CodeHost) -> Done:
    """The steps of the composite action, on the merge commit that GitHub makes of a pull request."""
    repo.git("checkout", "--quiet", "--detach", "main")
    repo.git("-c", "user.name=a", "-c", "user.email=a@example.org", "merge", "--quiet", "--no-ff", "-m", "m", "change")
    values = {f"inputs.{name}": said["default"] for name, said in ACTION["inputs"].items()}
    # What is installed here is what the tests are about; pip has only to agree.
    values |= {"inputs.requirement": "pip", "inputs.token": "job-token"}
    given = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_API_URL": host.url,
        "GITHUB_REPOSITORY": "acme/rules",
        "GITHUB_REF": "refs/pull/7/merge",
        "GITHUB_STEP_SUMMARY": str(repo.path.parent / "summary.md"),
    }
    for step in ACTION["runs"]["steps"]:
        own = {
            name: re.sub(r"\$\{\{ (.+?) \}\}", lambda found: values[found[1]], text)
            for name, text in step["env"].items()
        }
        done = run(step["run"], repo, {**environment, **given, **own})
        if done.returncode:
            break
    return done


def run_gitlab(repo: RulesRepo, environment: Mapping[str, str], host: CodeHost, token: Mapping[str, str]) -> Done:
    job = GITLAB["pointsman"]
    given = {
        **job["variables"],
        "REQUIREMENT": "pip",
        "GITLAB_CI": "true",
        "CI_API_V4_URL": host.url,
        "CI_MERGE_REQUEST_PROJECT_ID": "42",
        "CI_MERGE_REQUEST_IID": "7",
        "CI_MERGE_REQUEST_DIFF_BASE_SHA": repo.git("rev-parse", "main"),
    }
    return run("\n".join(job["script"]), repo, {**environment, **given, **token})


def test_a_pull_request_has_one_comment_that_follows_it(repo: RulesRepo, environment: dict[str, str]) -> None:
    with CodeHost.github() as host:
        host.comments = [{"id": number, "body": f"A word of a person, {number}."} for number in range(150)]
        propose(repo, BROKEN)
        failed = run_action(repo, environment, host)
        assert failed.returncode == 1
        assert f"::error file={USE_CASE},line=" in failed.stdout
        assert len(host.comments) == 151
        first = host.comments[-1]["body"]
        assert "### Check: 1 error in 8 rule files" in first
        assert 'unknown model "gpt-55"' in first
        assert (repo.path.parent / "summary.md").read_text() == first + "\n"

        propose(repo, CHANGED)
        fine = run_action(repo, environment, host)
        assert fine.returncode == 0, fine.stderr
        assert "updated the comment on pull request 7" in fine.stderr
        assert len(host.comments) == 151
        assert "gpt-55" not in host.comments[-1]["body"]
        assert [asked for asked in host.asked if asked[0] != "GET"] == [("POST", 201), ("PATCH", 200)]


def test_a_merge_request_has_one_note_that_follows_it(repo: RulesRepo, environment: dict[str, str]) -> None:
    token = {"POINTSMAN_GITLAB_TOKEN": "project-token", "CI_JOB_TOKEN": "job-token"}
    with CodeHost.gitlab() as host:
        propose(repo, BROKEN)
        assert run_gitlab(repo, environment, host, token).returncode == 1
        propose(repo, CHANGED)
        fine = run_gitlab(repo, environment, host, token)
        assert fine.returncode == 0, fine.stderr
        assert len(host.comments) == 1
        assert [asked for asked in host.asked if asked[0] != "GET"] == [("POST", 201), ("PUT", 200)]


def test_the_comment_holds_the_plan(repo: RulesRepo, environment: dict[str, str]) -> None:
    with CodeHost.github() as host:
        propose(repo, CHANGED)
        run_action(repo, environment, host)
        plan = run("pointsman plan . --base main --format markdown", repo, environment).stdout
        assert "claude-haiku-4.5" in plan
        assert plan.strip() in host.comments[0]["body"]


def test_a_change_from_a_fork_is_judged_though_it_may_not_comment(repo: RulesRepo, environment: dict[str, str]) -> None:
    with CodeHost.github() as host:
        host.may_write = False
        propose(repo, CHANGED)
        done = run_action(repo, environment, host)
        assert done.returncode == 0
        assert "pull-requests: write" in done.stderr
        assert "### Check:" in (repo.path.parent / "summary.md").read_text()
        propose(repo, BROKEN)
        assert run_action(repo, environment, host).returncode == 1


def test_gitlab_without_a_token_of_its_own_says_which_one_helps(repo: RulesRepo, environment: dict[str, str]) -> None:
    with CodeHost.gitlab() as host:
        propose(repo, CHANGED)
        done = run_gitlab(repo, environment, host, {"CI_JOB_TOKEN": "job-token"})
        assert done.returncode == 0
        assert "set POINTSMAN_GITLAB_TOKEN to a project access token" in done.stderr
        assert "### Check:" in done.stdout


def test_a_host_in_trouble_fails_the_job(repo: RulesRepo, environment: dict[str, str]) -> None:
    with CodeHost.github() as host:
        pass
    propose(repo, CHANGED)
    done = run_action(repo, environment, host)
    assert done.returncode == 1
    assert "cannot reach the host of pull request 7" in done.stderr


def test_git_refuses_to_commit_what_check_refuses(repo: RulesRepo, environment: dict[str, str]) -> None:
    installed = run("python -m pre_commit install", repo, environment)
    assert installed.returncode == 0, installed.stdout + installed.stderr
    write_files(repo.path, BROKEN)
    refused = run("git commit --quiet --all --message broken", repo, environment)
    assert refused.returncode != 0
    assert 'unknown model "gpt-55"' in refused.stdout + refused.stderr
    assert repo.git("rev-list", "--count", "main") == "1"
    write_files(repo.path, CHANGED)
    taken = run("git commit --quiet --all --message fine", repo, environment)
    assert taken.returncode == 0, taken.stderr
    assert repo.git("rev-list", "--count", "main") == "2"


def test_the_action_has_what_github_requires() -> None:
    # https://docs.github.com/actions/reference/workflows-and-actions/metadata-syntax
    assert {"name", "description", "runs"} <= set(ACTION)
    assert ACTION["runs"]["using"] == "composite"
    assert all(step.get("shell") == "bash" and "${{" not in step["run"] for step in ACTION["runs"]["steps"])
    assert all(set(said) == {"description", "default"} for said in ACTION["inputs"].values())


def test_the_workflow_calls_the_action_with_no_more_rights_than_it_needs() -> None:
    assert set(WORKFLOW) >= {"name", "jobs", "permissions"}
    # YAML 1.1 reads a bare `on` as true; GitHub reads it as the word.
    assert WORKFLOW[True] == "pull_request"
    assert WORKFLOW["permissions"] == {"contents": "read", "pull-requests": "write"}
    steps: list[dict[str, Any]] = WORKFLOW["jobs"]["pointsman"]["steps"]
    assert f"{steps[-1]['uses'].removeprefix('./')}/action.yml" in FILES
