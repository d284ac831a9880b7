"""`pointsman comment`: what `check` and `plan` say of a change, as one comment on its pull or merge request."""

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from controller.cli.rules_folder import add_folder, refused
from controller.pull_request import MARKER, MAY_NOT, HostSaysNo, NoPullRequest, keep_comment, pull_request_of

if TYPE_CHECKING:
    from argparse import _SubParsersAction

MAX_CHARACTERS = 60_000
"""GitHub takes 65,536; a plan that long is read in the job's log."""
CHECK = ("check",)
PLAN = ("plan", "--format", "markdown")


def add_parser(subparsers: "_SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser(
        "comment", help="check and plan a change, as one comment on its pull request (in a CI job)"
    )
    add_folder(parser)
    parser.add_argument("--base", required=True, metavar="REF", help="the revision that the change is compared with")


def run(args: argparse.Namespace) -> int:
    """Status 0 also when `check` found errors: it is `check` that says so to the CI job."""
    try:
        request = pull_request_of(os.environ)
    except NoPullRequest as error:
        return refused("comment", error)
    plan = _output(*PLAN, str(args.folder), "--base", args.base)
    body = _body(_output(*CHECK, str(args.folder)), plan)
    print(body)
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write(body + "\n")
    try:
        print(f"pointsman comment: {keep_comment(request, body)} {request.name}", file=sys.stderr)
    except HostSaysNo as error:
        print(f"pointsman comment: {error}", file=sys.stderr)
        # A change from a fork has no right to comment; its job's log has everything.
        return 0 if error.status in MAY_NOT else 1
    return 0


def _output(*words: str) -> str:
    """What a command of ours prints for people, or why it could not."""
    done = subprocess.run([sys.executable, "-m", "controller", *words], capture_output=True, text=True, check=False)
    if done.stdout.strip():
        return done.stdout.strip()
    return f"`pointsman {words[0]}` has nothing to say:\n\n{_fenced(done.stderr.strip())}"


def _body(check: str, plan: str) -> str:
    *problems, summary = check.splitlines()
    told = _fenced("\n".join(problems)) + "\n\n" if problems else ""
    text = f"{MARKER}\n### Check: {summary}\n\n{told}{plan}"
    cut = "\n\n… cut here; the job's log has the rest."
    return text if len(text) <= MAX_CHARACTERS else text[: MAX_CHARACTERS - len(cut)] + cut


def _fenced(text: str) -> str:
    """As it is, whatever it holds: the fence is longer than any in it."""
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{fence}text\n{text}\n{fence}"
