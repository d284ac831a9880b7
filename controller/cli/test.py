"""`pointsman test`: only the rule tests of a rules folder, each by its name."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from controller.cli.rules_folder import (
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
from controller.junit import junit
from controller.ruletests import TestResult, reasons_of, run_rule_tests, untested
from schemas.bundle import BundleRefused
from sidecar.routing.snapshot import build_snapshot

if TYPE_CHECKING:
    from argparse import _SubParsersAction


def add_parser(subparsers: "_SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser("test", help="run the rule tests of a rules folder")
    add_folder(parser)
    add_today(parser)
    parser.add_argument("--format", choices=("text", "json"), default="text", help="text (default) or json")
    parser.add_argument("--junit", type=Path, metavar="FILE", help="also write the results as JUnit XML")


def run(args: argparse.Namespace) -> int:
    today = day_of(args)
    try:
        _, loaded = read_rules(args.folder, today)
    except NoRules as error:
        return refused("test", error)
    if loaded.rule_set is None or loaded.bundle is None:
        errors = tuple(problem for problem in loaded.problems if problem.severity == "error")
        if args.format == "json":
            print(json.dumps({"tests": []}))
        print(*errors, f"{counted(errors)}: nothing was tested", sep="\n", file=sys.stderr)
        return 1
    try:
        snapshot = build_snapshot(loaded.bundle)
        results = run_rule_tests(loaded.rule_set.tests, snapshot, today=today)
    except BundleRefused as error:
        print(f"pointsman test: {error}", file=sys.stderr)
        return 1
    if args.junit is not None:
        try:
            args.junit.write_bytes(junit(results))
        except OSError as error:
            return refused("test", f"cannot write {args.junit}: {error.strerror}")
    missed = untested(results, snapshot)
    if args.format == "json":
        print(_as_json(results, missed))
    else:
        _print_text(results, args.folder)
        _print_coverage(missed, sum(len(reasons_of(use_case)) for use_case in snapshot.use_cases.values()))
    return 0 if all(result.holds for result in results) else 1


def _as_json(results: Sequence[TestResult], missed: Sequence[tuple[str, str]]) -> str:
    return json.dumps(
        {
            "tests": [
                {
                    "use_case": result.use_case,
                    "name": result.name,
                    "holds": result.holds,
                    "differences": [
                        {"file": p.file, "line": p.line, "column": p.column, "message": p.message}
                        for p in result.problems
                    ],
                }
                for result in results
            ],
            "untested": [{"use_case": use_case, "reason": reason} for use_case, reason in missed],
        }
    )


def _print_text(results: Sequence[TestResult], folder: Path) -> None:
    for result in results:
        print(f"{'ok  ' if result.holds else 'FAIL'}  {result.use_case}: {result.name}")
        print_problems(result.problems, folder, "text")
        for target, reason in () if result.holds else result.route:
            print(f"        {target}  {reason}")
    failed = sum(not result.holds for result in results)
    print(f"{amount(len(results), 'rule test')}, {failed} failed" if results else "there are no rule tests")


def _print_coverage(missed: Sequence[tuple[str, str]], total: int) -> None:
    print(f"{total - len(missed)} of {total} primaries, rules and ceilings are reached by a test")
    for use_case in dict.fromkeys(use_case for use_case, _ in missed):
        print(f"  {use_case}: no test reaches {', '.join(reason for name, reason in missed if name == use_case)}")
