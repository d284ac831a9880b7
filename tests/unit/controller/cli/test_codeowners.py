"""What people rely on from `pointsman codeowners`, and from `check` beside it."""

from collections.abc import Callable
from pathlib import Path

import pytest

TODAY = ("--today", "2026-11-23")


@pytest.fixture
def owned(rules: Path) -> Path:
    with (rules / "pointsman.yaml").open("a") as file:
        file.write('owners:\n  platform: ["**"]\n')
        for team in ("support-platform", "developer-tools", "content-platform", "documents", "voice"):
            file.write(f"  {team}: []\n")
    return rules


def problems(pointsman: Callable, rules: Path, code: str) -> list[dict[str, object]]:
    found = pointsman("check", rules, *TODAY, "--format", "json").json["problems"]
    return [problem for problem in found if problem["code"] == code]


def test_it_is_written_once_and_its_organisation_remembered(pointsman: Callable, owned: Path) -> None:
    assert pointsman("codeowners", owned, *TODAY, "--org", "acme").out.endswith("CODEOWNERS: written\n")
    assert (owned / "CODEOWNERS").read_text().splitlines()[1:] == ["* @acme/platform"]
    assert pointsman("codeowners", owned, *TODAY).out.endswith("CODEOWNERS: as it was\n")
    assert problems(pointsman, owned, "codeowners-stale") == []


def test_check_fails_while_it_is_stale(pointsman: Callable, owned: Path) -> None:
    pointsman("codeowners", owned, *TODAY, "--org", "acme")
    with (owned / "pointsman.yaml").open("a") as file:
        file.write('  support: ["use-cases/customer-support/**"]\n')
    assert pointsman("check", owned, *TODAY).status == 1
    (stale,) = problems(pointsman, owned, "codeowners-stale")
    assert (stale["file"], stale["severity"]) == ("CODEOWNERS", "error")
    assert stale["suggestion"] == "run: pointsman codeowners --org acme"
    pointsman("codeowners", owned, *TODAY)
    assert problems(pointsman, owned, "codeowners-stale") == []


def test_a_file_that_people_wrote_is_theirs(pointsman: Callable, owned: Path) -> None:
    (owned / "CODEOWNERS").write_text("* @acme/everybody\n")
    assert problems(pointsman, owned, "codeowners-stale") == []
    answer = pointsman("codeowners", owned, *TODAY, "--org", "acme")
    assert answer.status == 2
    assert "was not made by this command" in answer.err
    assert (owned / "CODEOWNERS").read_text() == "* @acme/everybody\n"


def test_owners_that_cannot_be_said_are_named_with_their_place(pointsman: Callable, owned: Path) -> None:
    pointsman("codeowners", owned, *TODAY, "--org", "acme")
    with (owned / "pointsman.yaml").open("a") as file:
        file.write('  support: ["use-cases/**/tests.yaml"]\n')
    (unclear,) = problems(pointsman, owned, "unclear-owners")
    assert unclear["file"] == "pointsman.yaml"
    answer = pointsman("codeowners", owned, *TODAY)
    assert answer.status == 1
    assert '"**" stands alone' in answer.err


@pytest.mark.parametrize("org", [(), ("--org", "@acme"), ("--org", "a b")])
def test_an_organisation_is_needed(pointsman: Callable, owned: Path, org: tuple[str, ...]) -> None:
    answer = pointsman("codeowners", owned, *TODAY, *org)
    assert answer.status == 2
    assert "as in --org acme" in answer.err
    assert not (owned / "CODEOWNERS").exists()


def test_rules_that_cannot_be_read_write_nothing(pointsman: Callable, owned: Path) -> None:
    (owned / "pointsman.yaml").write_text("schema: 1\nowner: x\n")
    answer = pointsman("codeowners", owned, *TODAY, "--org", "acme")
    assert answer.status == 1
    assert "unknown-key" in answer.err
    assert not (owned / "CODEOWNERS").exists()
