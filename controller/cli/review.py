"""`pointsman review`: the quarterly report with its proposed changes, and the calendar of what is due."""

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from controller.cli import remote
from controller.cli.records import add_records, has_records, recorded_calls
from controller.cli.rules_folder import NoRules, add_folder, add_today, day_of, print_problems, read_rules, refused
from controller.cli.table import render
from controller.plan.recorded import UnreadableCall, moment_of
from controller.review.calendar import Due, as_ics, due_dates
from controller.review.decide import review
from controller.review.diffs import propose
from controller.review.findings import UnreadableFinding, parse_canaries, parse_findings
from controller.review.period import Period, UnclearPeriod, parse_quarter, quarter_of
from controller.review.report import as_html, as_json, as_markdown, due_json, sections
from controller.review.traffic import Books

if TYPE_CHECKING:
    from argparse import _SubParsersAction


def add_parser(subparsers: "_SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser("review", help="the quarterly report and its proposed changes")
    add_folder(parser)
    add_records(parser)
    parser.add_argument("--quarter", metavar="2026Q4", help="instead of --since and --until [default: this quarter]")
    parser.add_argument("--use-case", metavar="NAME", help="only this one")
    parser.add_argument("--calendar", action="store_true", help="only what is due, and when")
    parser.add_argument(
        "--format", choices=("markdown", "html", "json", "text", "ics"),
        help="markdown, html or json; of the calendar text, json or ics [default: markdown, and text]",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, metavar="FILE", help="write there instead of to stdout")
    add_today(parser)


def run(args: argparse.Namespace) -> int:
    form = args.format or ("text" if args.calendar else "markdown")
    allowed = ("text", "json", "ics") if args.calendar else ("markdown", "html", "json")
    if form not in allowed:
        return refused(
            "review", f"--format {form}: {'a calendar' if args.calendar else 'a report'} is {', '.join(allowed)}"
        )
    if args.quarter and (args.since or args.until):
        return refused("review", "give --quarter, or --since and --until")
    today = day_of(args)
    try:
        period = _period(args, today)
        files, loaded = read_rules(args.folder, today)
        rules = loaded.rule_set
        if rules is None:
            print_problems(loaded.problems, args.folder, "text")
            print("pointsman review: rules that cannot be read cannot be reviewed", file=sys.stderr)
            return 1
        if args.use_case is not None and args.use_case not in rules.use_cases:
            known = ", ".join(sorted(rules.use_cases))
            return refused("review", f'no use case "{args.use_case}"; there are {known}')
        findings = parse_findings(_evidence_files(args.folder))
        dues = tuple(one for one in due_dates(rules, findings, today) if args.use_case in (None, one.about))
        if args.calendar:
            return _hand_over(_calendar(dues, form, today), args.out)
        if args.controller is not None and args.records is None:
            status = remote.fetch_json(args.controller, "/v1/status", {}, token=remote.admin_token(args))
            findings = replace(findings, tried=parse_canaries(status.get("rollout", {})))
        found = review(rules, findings, _books(args, period, today), period, today)
    except (NoRules, UnclearPeriod) as error:
        return refused("review", error)
    except (UnreadableFinding, UnreadableCall, OSError, remote.NotReachable, remote.ControllerSaysNo) as error:
        return remote.failed("review", error)
    if args.use_case is not None:
        own = tuple(one for one in found.use_cases if one.use_case == args.use_case)
        found = replace(found, use_cases=own, models=(), prices=(), concentration=())
    proposals = propose(found, rules, files)
    if form == "json":
        return _hand_over(json.dumps(as_json(found, proposals, dues)) + "\n", args.out)
    write = as_html if form == "html" else as_markdown
    return _hand_over(write(found, sections(found, proposals, dues)), args.out)


def _period(args: argparse.Namespace, today: date) -> Period:
    """Raises `UnclearPeriod`."""
    if args.quarter:
        return parse_quarter(args.quarter)
    this = quarter_of(today)
    try:
        first = date.fromisoformat(args.since) if args.since else this.first
        last = date.fromisoformat(args.until) if args.until else (today if args.since else min(this.last, today))
    except ValueError as error:
        raise UnclearPeriod(f"--since and --until are days such as 2026-11-23: {error}") from error
    if last < first:
        raise UnclearPeriod(f"the period ends on {last}, before it begins on {first}")
    return Period(first, last)


def _books(args: argparse.Namespace, period: Period, today: date) -> Books | None:
    if not has_records(args):
        return None
    args.since, args.until = period.first.isoformat(), period.last.isoformat()
    books = Books()
    with recorded_calls(args, today) as calls:
        for call in calls:
            if period.holds(moment_of(call).date()):
                books.add(call)
    return books


def _evidence_files(folder: Path) -> Mapping[str, str]:
    found = sorted(folder.glob("use-cases/*/evidence/*.json"))
    try:
        return {path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8") for path in found}
    except UnicodeDecodeError as error:
        raise UnreadableFinding(f"an evidence file is not UTF-8: {error}") from error


def _calendar(dues: tuple[Due, ...], form: str, today: date) -> str:
    match form:
        case "json":
            return json.dumps({"due": due_json(dues)}) + "\n"
        case "ics":
            return as_ics(dues, today)
        case _:
            rows = [[str(one.day), "overdue" if one.day < today else one.kind, one.what] for one in dues]
            return (render(("day", "kind", "what"), rows, right=frozenset()) if rows else "Nothing has a date.") + "\n"


def _hand_over(text: str, out: Path | None) -> int:
    """0, or 1 where the file cannot be written."""
    if out is None:
        sys.stdout.write(text)
        return 0
    try:
        out.write_bytes(text.encode())
    except OSError as error:
        return remote.failed("review", error)
    print(f"wrote {out}", file=sys.stderr)
    return 0
