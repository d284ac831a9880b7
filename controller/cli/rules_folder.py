"""What the commands on a rules folder share: its argument, its reading, and how its problems are printed."""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Final

from controller.errors import SourceUnavailable
from controller.folder import read_folder
from schemas.__main__ import today_utc
from schemas.load import Loaded, load
from schemas.problems import Problem, has_errors

FIRST_PROBLEMS: Final = 20


class NoRules(Exception):
    """There is nothing to read where the rules should be."""


def add_folder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", nargs="?", type=Path, default=Path(), metavar="DIR", help="rules folder (default: .)")


def add_today(
    parser: argparse.ArgumentParser, means: str = "judge prices and reviews as of this day (default: today)"
) -> None:
    parser.add_argument("--today", type=_day, default=None, metavar="DATE", help=means)


def read_rules(folder: Path, today: date) -> tuple[Mapping[str, str], Loaded]:
    """The files and what became of them.

    Raises:
        NoRules: no folder, or a file that cannot be read.
    """
    try:
        tree = read_folder(folder)
    except SourceUnavailable as error:
        raise NoRules(str(error)) from error
    loaded = load(tree.files, today=today, revision=tree.revision)
    bundle = None if has_errors(tree.problems) else loaded.bundle
    return tree.files, replace(loaded, bundle=bundle, problems=tuple(sorted({*tree.problems, *loaded.problems})))


def day_of(args: argparse.Namespace) -> date:
    day: date | None = args.today
    return day or today_utc()


def refused(command: str, reason: object) -> int:
    """Wrong usage: one line on stderr, exit status 2."""
    print(f"pointsman {command}: {reason}", file=sys.stderr)
    return 2


def print_problems(problems: Sequence[Problem], folder: Path, form: str) -> None:
    """On stdout, as one of `FORMATS`."""
    for line in FORMATS[form](problems, folder):
        print(line)


def print_first(problems: Sequence[Problem]) -> None:
    """Of a data file, the first few on stderr: such files have thousands of lines, and often the same fault in each."""
    for problem in problems[:FIRST_PROBLEMS]:
        place = f"{problem.file}:{problem.line}" if problem.line else problem.file
        column = f"  {problem.path}" if problem.path else ""
        print(f"{place}{column}  {problem.message}; {problem.suggestion}", file=sys.stderr)
    if len(problems) > FIRST_PROBLEMS:
        print(f"… and {len(problems) - FIRST_PROBLEMS:,} more", file=sys.stderr)


def as_mapping(problem: Problem) -> dict[str, str | int]:
    """A problem as scripts read it."""
    keys = ("file", "line", "column", "code", "severity", "message", "suggestion")
    return {key: getattr(problem, key) for key in keys}


def counted(problems: Sequence[Problem]) -> str:
    """`2 errors and 1 warning`."""
    errors = sum(problem.severity == "error" for problem in problems)
    warnings = len(problems) - errors
    parts = [amount(number, word) for number, word in ((errors, "error"), (warnings, "warning")) if number]
    return " and ".join(parts) or "no problems"


def amount(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _as_text(problems: Sequence[Problem], folder: Path) -> list[str]:
    prefix = "" if folder == Path() else f"{folder.as_posix()}/"
    return [f"{prefix}{problem}" for problem in problems]


def _as_json(problems: Sequence[Problem], folder: Path) -> list[str]:
    return [json.dumps({"problems": [as_mapping(problem) for problem in problems]})]


def _as_github(problems: Sequence[Problem], folder: Path) -> list[str]:
    """Workflow commands, which GitHub shows as annotations beside the line.

    https://docs.github.com/actions/reference/workflow-commands-for-github-actions
    """
    lines = []
    for problem in problems:
        place = {
            "file": (folder / problem.file).as_posix(),
            "line": max(problem.line, 1),
            "col": max(problem.column, 1),
        }
        written = ",".join(f"{key}={_property(str(value))}" for key, value in {**place, "title": problem.code}.items())
        text = "; ".join(part for part in (problem.message, problem.suggestion) if part)
        lines.append(f"::{problem.severity} {written}::{_escaped(text)}")
    return lines


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _escaped(text).replace(":", "%3A").replace(",", "%2C")


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f'"{text}" is not a date; write it as 2026-11-23') from error


FORMATS: Mapping[str, Callable[[Sequence[Problem], Path], list[str]]] = {
    "text": _as_text,
    "json": _as_json,
    "github": _as_github,
}
