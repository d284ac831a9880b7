"""`pointsman plan`: what a change of the rules would do, before it is merged."""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from controller.changes import changes_since
from controller.cli import remote
from controller.cli.export import PAGE_CALLS
from controller.cli.progress import Progress
from controller.cli.rules_folder import NoRules, add_folder, add_today, day_of, print_problems, read_rules, refused
from controller.errors import SourceUnavailable
from controller.plan.changes import Change, changes_between
from controller.plan.recorded import RecordedCall, UnreadableCall, parse_lines, parse_page
from controller.plan.replay import Replay
from controller.plan.report import Evidence, PlanReport, as_json, as_markdown, as_text
from controller.plan.side import Side
from controller.ruletests import rule_test_problems
from schemas.bundle import BundleRefused
from schemas.load import Loaded, load
from schemas.problems import has_errors

if TYPE_CHECKING:
    from argparse import _SubParsersAction

DEFAULT_DAYS = 30
SHOW_EVERY = 5_000


def add_parser(subparsers: "_SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser("plan", help="what a change would do: rules, traffic, cost, latency, risk")
    add_folder(parser)
    parser.add_argument("--base", required=True, metavar="REF", help="the revision that the change is compared with")
    parser.add_argument(
        "--records", type=Path, metavar="FILE", help="calls to replay, as `usage export --format jsonl` writes them"
    )
    parser.add_argument(
        "--controller", metavar="URL", default=os.environ.get("POINTSMAN_CONTROLLER") or None,
        help="instead: whose ledger to replay [POINTSMAN_CONTROLLER; default: none, and nothing is replayed]",
    )  # fmt: skip
    remote.add_admin_token(parser)
    parser.add_argument(
        "--since", metavar="DAY", help=f"first day of the controller's calls, UTC [default: {DEFAULT_DAYS} days ago]"
    )
    parser.add_argument("--until", metavar="DAY", help="last day, UTC [default: today]")
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
        platforms = (before.rule_set.platform.content, after.rule_set.platform.content)
        changes = changes_between(before.bundle, after.bundle, *platforms)
        report = PlanReport(
            base.revision[:12],
            changes,
            problems,
            _evidence(args.folder, changes),
            _replayed(args, before, after, today),
        )
    except (NoRules, SourceUnavailable) as error:
        return refused("plan", error)
    except (BundleRefused, UnreadableCall, OSError, remote.NotReachable) as error:
        print(f"pointsman plan: {error}", file=sys.stderr)
        return 1
    except remote.ControllerSaysNo as error:
        print(f"pointsman plan: {error}", file=sys.stderr)
        return 2 if error.is_wrong_usage else 1
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
    if args.records is None and args.controller is None:
        return None
    assert before.bundle is not None
    assert after.bundle is not None
    replay = Replay(Side(before.bundle, today.isoformat()), Side(after.bundle, today.isoformat()))
    with Progress("calls") as progress, _calls(args, today, progress) as calls:
        for call in calls:
            replay.add(call)
    return replay


@contextmanager
def _calls(args: argparse.Namespace, today: date, progress: Progress) -> Iterator[Iterable[RecordedCall]]:
    if args.records is None:
        yield _from_controller(args, today, progress)
        return
    with args.records.open("rb") as file:
        yield _from_file(file, args.records.stat().st_size, progress)


def _from_file(file: Iterable[bytes], size: int, progress: Progress) -> Iterator[RecordedCall]:
    """How many calls a file holds is known from its length, about."""
    read = 0

    def counted() -> Iterator[bytes]:
        nonlocal read
        for line in file:
            read += len(line)
            yield line

    for done, call in enumerate(parse_lines(counted()), start=1):
        if done % SHOW_EVERY == 0:
            progress.show(done, round(done * size / read))
        yield call


def _from_controller(args: argparse.Namespace, today: date, progress: Progress) -> Iterator[RecordedCall]:
    """Page by page: one is in memory at a time."""
    since = args.since or (today - timedelta(days=DEFAULT_DAYS)).isoformat()
    query = {"since": since, "limit": str(PAGE_CALLS)} | ({"until": args.until} if args.until else {})
    token = remote.admin_token(args)
    after: str | None = ""
    done = total = 0
    while after is not None:
        page = parse_page(remote.fetch(args.controller, "/v1/calls", {**query, "after": after}, token=token))
        yield from page.calls
        done += len(page.calls)
        total = page.total or total
        progress.show(done, total)
        after = page.next


def _evidence(folder: Path, changes: Iterable[Change]) -> list[Evidence]:
    """Of each use case whose first choice or order changes: the newest file that names the model it moves to."""
    found = []
    for change in changes:
        moved = {one.field: one.after for one in change.details if one.field in ("primary", "fallbacks") and one.after}
        if change.kind == "use_case" and change.action == "changed" and moved:
            model = moved.get("primary") or moved["fallbacks"].split(", ")[0]
            files = sorted((folder / f"use-cases/{change.name}/evidence").glob(f"*-{model}.json"))
            found.append(Evidence(change.name, model, files[-1].relative_to(folder).as_posix() if files else ""))
    return found
