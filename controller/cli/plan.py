"""`pointsman plan`: what a change of the rules would do, before it is merged."""

import argparse
import asyncio
import json
import sys
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from controller.changes import changes_since
from controller.cli import remote
from controller.cli.records import add_records, has_records, recorded_calls
from controller.cli.rules_folder import NoRules, add_folder, add_today, day_of, print_problems, read_rules, refused
from controller.errors import SourceUnavailable
from controller.plan.changes import Change, changes_between
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
        base = asyncio.run(changes_since(args.folder, args.base, files)).base
        before = load(base.files, today=today, revision=base.revision)
        if before.bundle is None or before.rule_set is None:
            raise SourceUnavailable(
                f"the rules at {args.base} have errors of their own, so that nothing can be compared"
            )
        if after.bundle is None or after.rule_set is None:
            print_problems(after.problems, args.folder, "text")
            print("pointsman plan: rules with errors cannot be planned", file=sys.stderr)
            return 1
        problems = tuple(sorted({*after.problems, *rule_test_problems(files, after.bundle, today=today)}))
        changes = changes_between(before.bundle, after.bundle, before.rule_set, after.rule_set)
        report = PlanReport(
            base.revision[:12],
            changes,
            problems,
            _evidence(args.folder, changes),
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


def _evidence(folder: Path, changes: Iterable[Change]) -> list[Evidence]:
    """Of each use case whose first choice or order changes: the newest file that names the model it moves to."""
    found = []
    for change in changes:
        moved = {one.field: one.after for one in change.details if one.field in ("primary", "fallbacks") and one.after}
        if change.kind == "use_case" and change.action == "changed" and moved:
            model = moved.get("primary") or moved["fallbacks"].split(", ")[0]
            files = sorted((folder / f"use-cases/{change.name}/evidence").glob(f"????-??-??-{model}.json"))
            found.append(Evidence(change.name, model, files[-1].relative_to(folder).as_posix() if files else ""))
    return found
