"""`pointsman drill`: a vendor's outage, rehearsed on paper, or by calls through a sidecar of its own."""

import argparse
import asyncio
import json
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from controller.cli import remote
from controller.cli.records import add_records, has_records, recorded_calls
from controller.cli.rules_folder import NoRules, add_folder, add_today, day_of, print_problems, read_rules, refused
from controller.cli.values import count
from controller.drill.outage import FAULTS
from controller.drill.paper import Drill, NobodyIsDown, down_of, rehearse
from controller.drill.real import rehearse_for_real
from controller.drill.real_report import real_as_json, real_as_markdown, real_as_text, real_evidence_of
from controller.drill.report import as_json, as_markdown, as_text, evidence_of
from controller.evals.folder import read_eval_files
from controller.evals.run.sidecar import Stop
from controller.plan.recorded import UnreadableCall
from controller.plan.replay import Replay
from controller.plan.side import Side
from controller.processes import ProcessFailed
from schemas.bundle import Bundle, BundleRefused
from schemas.eval_files import EvalSet, eval_folders, load_eval
from schemas.rules.rule_set import RuleSet
from sidecar.routing.snapshot import build_snapshot

if TYPE_CHECKING:
    from argparse import _SubParsersAction

Found = TypeVar("Found")


class NotHit(ValueError):
    """Nothing of what was asked for is touched by the outage."""


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
    parser.add_argument(
        "--real", action="store_true",
        help="start a sidecar with these rules in which they fail, ask it the use cases' own eval sets, and grade what "
        "comes; the other providers' keys are taken from the environment, and their answers cost money",
    )  # fmt: skip
    parser.add_argument("--fault", choices=FAULTS, default="503", help="with --real: how they fail [default: 503]")
    parser.add_argument(
        "--samples", type=count, default=20, metavar="N", help="with --real: at most so many of a set [default: 20]"
    )
    parser.add_argument(
        "--concurrency", type=count, default=4, metavar="N", help="with --real: calls at once [default: 4]"
    )
    parser.add_argument(
        "--use-case", action="append", default=[], metavar="NAME", help="with --real: only this one; may be repeated"
    )
    parser.add_argument("--write", action="store_true", help="keep the result as evidence beside each use case it hits")
    parser.add_argument("--format", choices=("text", "markdown", "json"), default="text", help="[default: text]")
    add_today(parser, "count at the prices of this day (default: today)")


def run(args: argparse.Namespace) -> int:
    if not args.vendor and not args.provider:
        return refused("drill", "name who is down by --vendor or --provider")
    today = day_of(args)
    try:
        _, loaded = read_rules(args.folder, today)
        if loaded.bundle is None or loaded.rule_set is None:
            print_problems(loaded.problems, args.folder, "text")
            print("pointsman drill: rules with errors cannot be rehearsed", file=sys.stderr)
            return 1
        down = down_of(loaded.bundle, args.vendor, args.provider)
        drill = _on_paper(args, loaded.bundle, down, today)
        who = "-".join([*args.vendor, *args.provider])
        if args.real:
            return _for_real(args, loaded.bundle, loaded.rule_set, drill, who, today)
        _print(args.format, drill, as_text, as_markdown, as_json)
        if args.write:
            for outcome in drill.use_cases:
                if outcome.verdict != "untouched":
                    _keep(args.folder, outcome.use_case, f"{today}-drill-{who}", evidence_of(drill, outcome, today))
    except (NoRules, NobodyIsDown, NotHit) as error:
        return refused("drill", error)
    except (
        BundleRefused, UnreadableCall, OSError, ProcessFailed, Stop, remote.NotReachable, remote.ControllerSaysNo,
    ) as error:  # fmt: skip
        return remote.failed("drill", error)
    return 1 if drill.stops else 0


def _on_paper(args: argparse.Namespace, bundle: Bundle, down: Mapping[str, str], today: date) -> Drill:
    replay = None
    if has_records(args):
        replay = Replay(Side(bundle, today.isoformat()), Side(bundle, today.isoformat(), down))
        with recorded_calls(args, today) as calls:
            for call in calls:
                replay.add(call)
    noon = datetime.combine(today, time(12), UTC)
    return rehearse(bundle, build_snapshot(bundle), down, replay, noon)


def _for_real(
    args: argparse.Namespace, bundle: Bundle, rules: RuleSet, drill: Drill, who: str, today: date
) -> int:  # fmt: skip
    hit = [one for one in drill.use_cases if one.verdict != "untouched"]
    chosen = [one for one in hit if not args.use_case or one.use_case in args.use_case]
    if not chosen:
        names = ", ".join(one.use_case for one in hit)
        raise NotHit(f"of the use cases that were named none is hit; those that are: {names or 'none'}")
    eval_sets: dict[str, EvalSet] = {}
    for name, files in eval_folders(read_eval_files(args.folder)).items():
        eval_set, problems = load_eval(name, files, rules)
        if eval_set is not None:
            eval_sets[name] = eval_set
        elif name in {one.use_case for one in chosen}:
            print_problems(problems, args.folder, "text")
            print(f"pointsman drill: the eval set of {name} has errors", file=sys.stderr)
            return 1
    outcomes = asyncio.run(
        rehearse_for_real(
            bundle, drill.down, args.fault, chosen, eval_sets, samples=args.samples, concurrency=args.concurrency,
            show=lambda line: print(line, file=sys.stderr),
        )
    )  # fmt: skip
    _print(
        args.format,
        outcomes,
        lambda found: real_as_text(found, list(drill.down)),
        lambda found: real_as_markdown(found, list(drill.down)),
        lambda found: real_as_json(found, list(drill.down)),
    )
    if args.write:
        for outcome in outcomes:
            evidence = real_evidence_of(outcome, list(drill.down), today)
            _keep(args.folder, outcome.use_case, f"{today}-drill-{who}-real", evidence)
    return 1 if any(one.verdict == "stops" for one in outcomes) else 0


def _print(
    form: str, found: Found, text: Callable[[Found], str], markdown: Callable[[Found], str],
    as_json: Callable[[Found], Mapping[str, Any]],
) -> None:  # fmt: skip
    match form:
        case "json":
            print(json.dumps(as_json(found)))
        case "markdown":
            sys.stdout.write(markdown(found))
        case _:
            print(text(found))


def _keep(folder: Path, use_case: str, name: str, evidence: Mapping[str, Any]) -> None:
    path = folder / "use-cases" / use_case / "evidence" / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(evidence, indent=2) + "\n", encoding="utf-8")
    print(f"wrote {path}", file=sys.stderr)
