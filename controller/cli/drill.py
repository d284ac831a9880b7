"""`pointsman drill`: a vendor's outage, rehearsed on paper."""

import argparse
import json
import sys
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING

from controller.cli import remote
from controller.cli.records import add_records, has_records, recorded_calls
from controller.cli.rules_folder import NoRules, add_folder, add_today, day_of, print_problems, read_rules, refused
from controller.drill.paper import Drill, NobodyIsDown, down_of, rehearse
from controller.drill.report import as_json, as_markdown, as_text, evidence_of
from controller.plan.recorded import UnreadableCall
from controller.plan.replay import Replay
from controller.plan.side import Side
from schemas.bundle import BundleRefused
from sidecar.routing.snapshot import build_snapshot

if TYPE_CHECKING:
    from argparse import _SubParsersAction


def add_parser(subparsers: "_SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser("drill", help="rehearse a vendor's outage against the rules")
    add_folder(parser)
    parser.add_argument(
        "--vendor",
        action="append",
        default=[],
        metavar="NAME",
        help="all its models are down; may be repeated",
    )
    parser.add_argument("--provider", action="append", default=[], metavar="NAME", help="it is down; may be repeated")
    add_records(parser)
    parser.add_argument("--write", action="store_true", help="keep the result as evidence beside each use case it hits")
    parser.add_argument("--format", choices=("text", "markdown", "json"), default="text", help="[default: text]")
    add_today(parser, "count at the prices of this day (default: today)")


def run(args: argparse.Namespace) -> int:
    if not args.vendor and not args.provider:
        return refused("drill", "name who is down by --vendor or --provider")
    today = day_of(args)
    try:
        _, loaded = read_rules(args.folder, today)
        if loaded.bundle is None:
            print_problems(loaded.problems, args.folder, "text")
            print("pointsman drill: rules with errors cannot be rehearsed", file=sys.stderr)
            return 1
        bundle, down = loaded.bundle, down_of(loaded.bundle, args.vendor, args.provider)
        replay = None
        if has_records(args):
            replay = Replay(Side(bundle, today.isoformat()), Side(bundle, today.isoformat(), down))
            with recorded_calls(args, today) as calls:
                for call in calls:
                    replay.add(call)
        noon = datetime.combine(today, time(12), UTC)
        drill = rehearse(bundle, build_snapshot(bundle), down, replay, noon)
    except (NoRules, NobodyIsDown) as error:
        return refused("drill", error)
    except (BundleRefused, UnreadableCall, OSError, remote.NotReachable, remote.ControllerSaysNo) as error:
        return remote.failed("drill", error)
    match args.format:
        case "json":
            print(json.dumps(as_json(drill)))
        case "markdown":
            sys.stdout.write(as_markdown(drill))
        case _:
            print(as_text(drill))
    if args.write:
        try:
            _write(drill, args.folder, today, "-".join([*args.vendor, *args.provider]))
        except OSError as error:
            return remote.failed("drill", error)
    return 1 if drill.stops else 0


def _write(drill: Drill, folder: Path, day: date, who: str) -> None:
    for outcome in drill.use_cases:
        if outcome.verdict != "untouched":
            path = folder / "use-cases" / outcome.use_case / "evidence" / f"{day.isoformat()}-drill-{who}.json"
            path.parent.mkdir(exist_ok=True)
            path.write_text(json.dumps(evidence_of(drill, outcome, day), indent=2) + "\n", encoding="utf-8")
            print(f"wrote {path}", file=sys.stderr)
