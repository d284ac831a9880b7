"""`pointsman plan`: what a change of the rules would do, before it is merged."""

import argparse
import asyncio
import json
import sys
from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING

from controller.changes import Changes, changes_since
from controller.cli import remote
from controller.cli.records import add_records, has_records, recorded_calls
from controller.cli.rules_folder import NoRules, add_folder, add_today, day_of, print_problems, read_rules, refused
from controller.errors import SourceUnavailable
from controller.evals.folder import read_eval_files
from controller.evals.gate import Found
from controller.evals.proofs import findings_in_folder
from controller.plan.changes import changes_between
from controller.plan.recorded import UnreadableCall
from controller.plan.replay import Replay
from controller.plan.report import Evidence, PlanReport, as_json, as_markdown, as_text
from controller.plan.side import Side
from controller.ruletests import rule_test_problems
from schemas.bundle import BundleRefused
from schemas.load import Loaded, load
from schemas.problems import has_errors

if TYPE_CHECKING:
    from argparse import _SubParsersAction


def add_parser(subparsers: "_SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser("plan", help="what a change would do: rules, traffic, cost, latency, risk")
    add_folder(parser)
    parser.add_argument("--base", required=True, metavar="REF", help="the revision that the change is compared with")
    add_records(parser)
    parser.add_argument("--format", choices=("text", "markdown", "json"), default="text", help="[default: text]")
    add_today(parser, "count at the prices of this day (default: today)")


def run(args: argparse.Namespace) -> int:
    today = day_of(args)
    try:
        files, after = read_rules(args.folder, today)
        changed = asyncio.run(changes_since(args.folder, args.base, files))
        base = changed.base
        before = load(base.files, today=today, revision=base.revision)
        if before.bundle is None or before.rule_set is None:
            raise SourceUnavailable(
                f"the rules at {args.base} have errors of their own, so that nothing can be compared"
            )
        if after.bundle is None or after.rule_set is None:
            print_problems(after.problems, args.folder, "text")
            print("pointsman plan: rules with errors cannot be planned", file=sys.stderr)
            return 1
        evidence = _evidence(args, files, changed, before, after, today)
        lacking = (problem for found in evidence for problem in found.problems)
        failed = rule_test_problems(files, after.bundle, today=today)
        problems = tuple(sorted({*after.problems, *failed, *lacking}))
        changes = changes_between(before.bundle, after.bundle, before.rule_set, after.rule_set)
        report = PlanReport(
            base.revision[:12],
            changes,
            problems,
            [Evidence(one.use_case, one.move.candidate, one.file, not one.problems) for one in evidence],
            _replayed(args, before, after, today),
        )
    except (NoRules, SourceUnavailable) as error:
        return refused("plan", error)
    except (BundleRefused, UnreadableCall, OSError, remote.NotReachable, remote.ControllerSaysNo) as error:
        return remote.failed("plan", error)
    match args.format:
        case "json":
            print(json.dumps(as_json(report)))
        case "markdown":
            sys.stdout.write(as_markdown(report))
        case _:
            print(as_text(report))
    return 1 if has_errors(problems) else 0


def _replayed(args: argparse.Namespace, before: Loaded, after: Loaded, today: date) -> Replay | None:
    """None where no records are named."""
    if not has_records(args):
        return None
    assert before.bundle is not None
    assert after.bundle is not None
    replay = Replay(Side(before.bundle, today.isoformat()), Side(after.bundle, today.isoformat()))
    with recorded_calls(args, today) as calls:
        for call in calls:
            replay.add(call)
    return replay


def _evidence(
    args: argparse.Namespace, files: Mapping[str, str], changes: Changes, before: Loaded, after: Loaded, today: date
) -> tuple[Found, ...]:
    """Of each change that asks for it."""
    assert before.rule_set is not None
    assert after.rule_set is not None
    eval_files = read_eval_files(args.folder)
    return findings_in_folder(args.folder, files, eval_files, changes, before.rule_set, after.rule_set, today)
