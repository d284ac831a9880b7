"""The demo's rules repository: files from the templates in `rules/`, and git as a person would use it."""

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from string import Template

from controller.demo.cast import Cast

TEMPLATES = Path(__file__).parent / "rules"
BRANCH = "main"
REVIEW_DAYS = 90
SUPPORT = "use-cases/customer-support/use-case.yaml"
OWN_SETTINGS = {"user.name": "Pointsman demo", "user.email": "demo@localhost", "commit.gpgsign": "false"}
"""Of this repository alone, so that a person can commit in it on a machine where git was never set up."""


class RepositoryFailed(Exception):
    """git is missing or refuses; the text says what it said."""


class _Rules(Template):
    delimiter = "%"  # "$" stands in the files' own comments


@dataclass(frozen=True, slots=True)
class Repository:
    folder: Path

    def edit(self, file: str, pattern: str, line: str) -> None:
        """Replaces the one line that starts with `pattern` (a regular expression)."""
        path = self.folder / file
        text, count = re.subn(rf"(?m)^{pattern}.*$", line, path.read_text(encoding="utf-8"))
        if count != 1:
            raise RepositoryFailed(f"{file} has {count} lines that start with {pattern}, not one")
        path.write_text(text, encoding="utf-8")

    def changes(self) -> str:
        """What an edit changed, as the lines of a diff."""
        diff = self.git("diff", "--no-color", "--no-ext-diff", "--unified=0")
        return "\n".join(line for line in diff.splitlines() if re.match(r"[+-](?![+-]{2} )", line))

    def commit(self, message: str) -> str:
        """Commits all changes and gives the revision."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)
        return self.git("rev-parse", "HEAD").strip()

    def git(self, *arguments: str) -> str:
        # A git that was started from a hook inherits variables that name another repository.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        try:
            done = subprocess.run(
                ["git", *arguments], cwd=self.folder, env=environment, stdin=subprocess.DEVNULL,
                capture_output=True, text=True, check=False,
            )  # fmt: skip
        except FileNotFoundError as error:
            raise RepositoryFailed("git is not installed; rules live in a git repository") from error
        if done.returncode:
            raise RepositoryFailed(f"git {arguments[0]}: {(done.stderr or done.stdout).strip()}")
        return done.stdout


def make_repository(folder: Path, cast: Cast, today: date) -> Repository:
    """Writes the rules for this cast into a new or empty folder and commits them.

    Raises:
        RepositoryFailed: the folder holds something already, or git refuses.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise RepositoryFailed(f"{folder} is not empty; name another folder with --folder")
        for name, text in rule_files(cast, today).items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise RepositoryFailed(f"{folder} cannot be used: {error.strerror}; name another with --folder") from error
    repository = Repository(folder)
    repository.git("init", "--quiet")
    repository.git("symbolic-ref", "HEAD", f"refs/heads/{BRANCH}")
    for name, value in OWN_SETTINGS.items():
        repository.git("config", name, value)
    repository.commit("Rules to start from")
    return repository


def rule_files(cast: Cast, today: date) -> Mapping[str, str]:
    """Repository path to text, for those who play."""
    words = {
        "openai_url": cast.openai.base_url,
        "openai_provider": cast.openai.provider,
        "openai_model": cast.openai.model,
        "anthropic_url": cast.anthropic.base_url,
        "anthropic_provider": cast.anthropic.provider,
        "anthropic_model": cast.anthropic.model,
        "small_model_url": cast.small_model_url,
        "today": today.isoformat(),
        "next_review": (today + timedelta(days=REVIEW_DAYS)).isoformat(),
    }
    playing = {"llama-cpp", "smollm2"} | {name for vendor in cast.vendors for name in (vendor.provider, vendor.model)}
    files = {}
    for path in sorted(TEMPLATES.rglob("*.yaml")):
        name = path.relative_to(TEMPLATES).as_posix()
        if name.startswith(("providers/", "models/")) and path.stem not in playing:
            continue
        files[name] = _Rules(path.read_text(encoding="utf-8")).substitute(words)
    return files
