"""`pointsman check`: schema, meaning, review dates and rule tests of a rules folder; every problem at once."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from controller.cli.rules_folder import (
    FORMATS,
    NoRules,
    add_folder,
    add_today,
    amount,
    counted,
    day_of,
    print_problems,
    read_rules,
    refused,
)
from controller.codeowners import FILE, codeowners_problems
from controller.ruletests import rule_test_problems
from schemas.problems import Problem, has_errors
from schemas.rules.rule_set import RuleSet

if TYPE_CHECKING:
    from argparse import _SubParsersAction


def add_parser(subparsers: "_SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser("check", help="find every problem of a rules folder, rule tests included")
    add_folder(parser)
    add_today(parser)
    parser.add_argument("--format", choices=sorted(FORMATS), default="text", help="text (default), json, or github")


def run(args: argparse.Namespace) -> int:
    today = day_of(args)
    try:
        files, loaded = read_rules(args.folder, today)
    except NoRules as error:
        return refused("check", error)
    problems = loaded.problems
    if loaded.rule_set is not None:
        problems = tuple(sorted({*problems, *_codeowners_problems(args.folder / FILE, loaded.rule_set)}))
    if loaded.bundle is not None:
        problems = tuple(sorted({*problems, *rule_test_problems(files, loaded.bundle, today=today)}))
    print_problems(problems, args.folder, args.format)
    if args.format == "text":
        tests = sum(len(tests.content.root) for tests in loaded.rule_set.tests.values()) if loaded.rule_set else 0
        tested = f" and {amount(tests, 'rule test')}" if loaded.bundle is not None else "; rule tests were not run"
        print(f"{counted(problems)} in {amount(len(files), 'rule file')}{tested}")
    return 1 if has_errors(problems) else 0


def _codeowners_problems(file: Path, rules: RuleSet) -> Iterator[Problem]:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return  # None is there, or none of ours.
    yield from codeowners_problems(text, rules.platform)
