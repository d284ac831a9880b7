"""A small, complete set of rules, and a real git repository to commit changes of it to."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

PLATFORM = "schema: 1\n"
PROVIDER = """\
provider: anthropic
dialect: anthropic
base_url: https://api.anthropic.com
auth: {api_key: {env: ANTHROPIC_API_KEY}}
"""
MODEL = """\
model: sonnet
vendor: anthropic
context_window: 200000
max_output_tokens: 64000
capabilities: [tools]
served_by:
  - {provider: anthropic, name: claude-sonnet}
prices:
  - {from: 2026-01-01, input: 3.00, output: 15.00}
"""
USE_CASE = """\
use_case: support
owner: support-platform
description: Answers customers.
class: experimental
primary: sonnet
"""
RULES: Mapping[str, str] = {
    "pointsman.yaml": PLATFORM,
    "providers/anthropic.yaml": PROVIDER,
    "models/sonnet.yaml": MODEL,
    "use-cases/support/use-case.yaml": USE_CASE,
}
BROKEN = {"use-cases/support/use-case.yaml": USE_CASE.replace("primary: sonnet", "primary: sonet")}
"""Names an unknown model at line 5, column 10."""


def write_files(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


class RulesRepo:
    """A git work tree on branch `main`, untouched by the settings of whoever runs the tests."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        self.git("init", "--quiet", "--initial-branch=main")

    def commit(self, files: Mapping[str, str] = RULES) -> str:
        """Commits the files on top of what is there, and gives the commit's name."""
        write_files(self.path, files)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "change")
        return self.git("rev-parse", "HEAD")

    def commit_variant(self, number: int) -> str:
        """A valid commit that differs from others by a number in its description."""
        text = USE_CASE.replace("Answers customers.", f"Answers customers, variant {number}.")
        return self.commit({"use-cases/support/use-case.yaml": text})

    def git(self, *arguments: str) -> str:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.path),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_NAME": "Author",
            "GIT_AUTHOR_EMAIL": "author@example.com",
            "GIT_COMMITTER_NAME": "Author",
            "GIT_COMMITTER_EMAIL": "author@example.com",
        }
        done = subprocess.run(
            ["git", *arguments], cwd=self.path, env=environment, check=True, capture_output=True, timeout=20
        )
        return done.stdout.decode().strip()
