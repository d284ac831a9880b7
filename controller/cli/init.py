"""`pointsman init`: a small rules repository that passes `check`, in a new or empty folder."""

import argparse
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from controller.cli.rules_folder import add_today, day_of, refused
from controller.init import starting_files

if TYPE_CHECKING:
    from argparse import _SubParsersAction

GIT_SECONDS = 30.0


class GitFailed(Exception):
    """What git said."""


def add_parser(subparsers: "_SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser("init", help="write a rules repository to start from")
    parser.add_argument("folder", type=Path, metavar="DIR", help="a new or empty folder")
    add_today(parser, "the day of the first review (default: today)")


def run(args: argparse.Namespace) -> int:
    folder: Path = args.folder
    try:
        if folder.is_dir() and (present := sorted(item.name for item in folder.iterdir() if item.name != ".git")):
            return refused("init", f"{folder} is not empty (it holds {present[0]}); nothing was written")
        for path, text in starting_files(day_of(args)).items():
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("x", encoding="utf-8") as opened:
                opened.write(text)
    except OSError as error:
        return refused("init", f"cannot write {error.filename or folder}: {error.strerror or error}")
    print(f"Wrote a rules repository to {folder}.")
    try:
        print(_commit(folder))
    except (GitFailed, OSError, subprocess.TimeoutExpired) as error:
        print(f"pointsman init: the files are there, but not in git yet: {error}", file=sys.stderr)
    shown = shlex.quote(str(folder))
    print(
        "\nNext:\n"
        f"  pointsman check {shown}\n"
        f"  pointsman explain {shown} --use-case assistant --facts '{{\"input_tokens\": 1200}}'\n"
        f"  pointsman serve --repo {shown}\n"
        f"  export ANTHROPIC_API_KEY=… OPENAI_API_KEY=…; pointsman-sidecar --rules http://127.0.0.1:4200"
    )
    return 0


def _commit(folder: Path) -> str:
    """A first commit, unless the folder lies inside a repository that people commit to themselves.

    Raises:
        GitFailed: git refused; its words say why.
    """
    if shutil.which("git") is None:
        return "git is not installed here: put the folder under version control where it is."
    own = (folder / ".git").exists()
    if not own and _git(folder, "rev-parse", "--is-inside-work-tree", check=False) == "true":
        return "It lies inside a git repository: commit it there."
    if not own:
        _git(folder, "init", "--quiet", "--initial-branch=main")
    _git(folder, "add", "--all")
    # A machine that has never committed has no name; a first commit should not fail for that.
    somebody = [] if _git(folder, "config", "user.email", check=False) else _SOMEBODY
    _git(folder, *somebody, "commit", "--quiet", "--message", "Start with routing rules for one use case")
    return "Made its first commit."


_SOMEBODY = ["-c", "user.name=pointsman", "-c", "user.email=pointsman@localhost"]


def _git(folder: Path, *words: str, check: bool = True) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *words], capture_output=True, text=True, timeout=GIT_SECONDS, check=False
    )
    if check and done.returncode != 0:
        raise GitFailed(done.stderr.strip() or f"git {words[0]} ended with {done.returncode}")
    return done.stdout.strip()
