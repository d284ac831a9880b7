"""`pointsman check`: schema, meaning, owners, review dates and rule tests of a rules folder; every problem at once."""

import argparse
import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from controller.approvals import Approval, approvals, ownership_problems
from controller.changes import changes_since
from controller.cli.rules_folder import (
    FORMATS,
    NoRules,
    add_folder,
    add_today,
    amount,
    as_mapping,
    counted,
    day_of,
    print_problems,
    read_rules,
    refused,
)
from controller.codeowners import FILE, codeowners_problems
from controller.errors import SourceUnavailable
from controller.evals.folder import read_eval_files
from controller.evals.proofs import findings_in_folder
from controller.ruletests import rule_test_problems
from schemas.checks.ownership import clear_owners
from schemas.drill_files import drill_problems
from schemas.eval_files import eval_problems
from schemas.evidence_files import load_evidence
from schemas.explanations import explanation_of, unknown_code
from schemas.load import PLATFORM_FILE, Loaded, load
from schemas.problems import Problem, did_you_mean, has_errors
from schemas.rules.rule_set import RuleSet

if TYPE_CHECKING:
    from argparse import _SubParsersAction


def add_parser(subparsers: "_SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser("check", help="find every problem of a rules folder, rule tests included")
    add_folder(parser)
    add_today(parser)
    parser.add_argument("--format", choices=sorted(FORMATS), default="text", help="text (default), json, or github")
    parser.add_argument(
        "--base",
        metavar="REF",
        help="hold what changes since this commit against the owners at it, and ask for its evidence",
    )
    parser.add_argument(
        "--author", action="extend", nargs="+", default=[], metavar="TEAM",
        help="with --base: the author's teams (default: the owner of each use case)",
    )  # fmt: skip
    parser.add_argument("--explain", metavar="CODE", help="say what a problem's code means and how to mend it")


def run(args: argparse.Namespace) -> int:
    if args.explain is not None:
        return _explain(args.explain)
    if args.author and args.base is None:
        return refused("check", "--author goes with --base")
    today = day_of(args)
    try:
        files, loaded = read_rules(args.folder, today)
        eval_files = read_eval_files(args.folder)
        needed, of_the_change = (
            ((), ()) if args.base is None else asyncio.run(_of_the_change(args, files, eval_files, loaded, today))
        )
    except (NoRules, SourceUnavailable) as error:
        return refused("check", error)
    except OSError as error:
        return refused("check", f"cannot read {error.filename or args.folder}: {error.strerror}")
    problems = {*loaded.problems, *of_the_change, *eval_problems(eval_files, loaded.rule_set)}
    problems |= {*load_evidence(files).problems, *drill_problems(files, loaded.rule_set, today)}
    if loaded.rule_set is not None:
        problems |= set(_codeowners_problems(args.folder / FILE, loaded.rule_set))
    if loaded.bundle is not None:
        problems |= set(rule_test_problems(files, loaded.bundle, today=today))
    ordered = tuple(sorted(problems))
    if args.format == "json" and args.base is not None:
        written = [{"file": approval.file, "teams": list(approval.teams)} for approval in needed]
        print(json.dumps({"problems": [as_mapping(problem) for problem in ordered], "approvals": written}))
    else:
        print_problems(ordered, args.folder, args.format)
    if args.format == "text":
        _print_approvals(needed)
        tests = sum(len(tests.content.root) for tests in loaded.rule_set.tests.values()) if loaded.rule_set else 0
        tested = f" and {amount(tests, 'rule test')}" if loaded.bundle is not None else "; rule tests were not run"
        if ordered:
            print("what a code means: pointsman check --explain CODE")
        print(f"{counted(ordered)} in {amount(len(files), 'rule file')}{tested}")
    return 1 if has_errors(ordered) else 0


def _codeowners_problems(file: Path, rules: RuleSet) -> Iterator[Problem]:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return  # None is there, or none of ours.
    yield from codeowners_problems(text, rules.platform)


def _explain(code: str) -> int:
    text = explanation_of(code)
    if text is None:
        return refused("check", unknown_code(code))
    print(text)
    return 0


async def _of_the_change(
    args: argparse.Namespace, files: Mapping[str, str], eval_files: Mapping[str, str], loaded: Loaded, today: date
) -> tuple[tuple[Approval, ...], tuple[Problem, ...]]:
    changes = await changes_since(args.folder, args.base, files)
    if PLATFORM_FILE not in changes.base.files:
        return (), ()  # The rules begin with this change.
    before = load(changes.base.files, today=today, revision=changes.base.revision).rule_set
    if before is None:
        raise SourceUnavailable(f"the rules at {args.base} cannot be read, so that they name no owners")
    owners = clear_owners(before.platform.content)
    for team in args.author:
        if owners and team not in owners:
            known = did_you_mean(team, owners) or f"known: {', '.join(owners)}"
            raise SourceUnavailable(f'unknown team "{team}"; {known}')
    needed = approvals(changes.files, owners)
    problems = list(ownership_problems(needed, args.author, before, loaded.rule_set))
    if loaded.rule_set is not None:
        found = findings_in_folder(args.folder, files, eval_files, changes, before, loaded.rule_set, today)
        problems += (problem for one in found for problem in one.problems)
    return needed, tuple(problems)


def _print_approvals(needed: Sequence[Approval]) -> None:
    by_teams: dict[tuple[str, ...], list[str]] = {}
    for approval in needed:
        by_teams.setdefault(approval.teams, []).append(approval.file)
    for teams, files in by_teams.items():
        print(f"{' or '.join(teams) or 'nobody'} must approve: {', '.join(files)}")
