"""`pointsman explain`: why would this request go there? Calls nobody."""

import argparse
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from controller.cli.rules_folder import NoRules, add_folder, counted, read_rules, refused
from controller.explain import NotUnderstood, explain, read_facts, read_given
from schemas.bundle import BundleRefused
from sidecar.routing.explain import Explanation, Step
from sidecar.routing.snapshot import build_snapshot

if TYPE_CHECKING:
    from argparse import _SubParsersAction


def add_parser(subparsers: "_SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser("explain", help="say why a request would go where it goes")
    add_folder(parser)
    parser.add_argument("--use-case", required=True, metavar="NAME", help="use case, or an alias of one")
    parser.add_argument(
        "--facts",
        default="{}",
        metavar="JSON",
        help='facts of the request: {"input_tokens": 1200, "tools": true, "conversation": "abc"}',
    )
    parser.add_argument(
        "--given",
        default="{}",
        metavar="JSON",
        help='the world around it: {"down": ["anthropic"], "spent": {"per_day": 251}, "at": "2026-11-23T09:00:00Z"}',
    )
    parser.add_argument("--format", choices=("text", "json"), default="text", help="text (default) or json")


def run(args: argparse.Namespace) -> int:
    now = datetime.fromtimestamp(time.time(), tz=UTC)
    try:
        facts, given = read_facts(args.facts), read_given(args.given)
        _, loaded = read_rules(args.folder, now.date())
        if loaded.bundle is None:
            errors = [problem for problem in loaded.problems if problem.severity == "error"]
            print(*errors, f"{counted(errors)}: these rules cannot run", sep="\n", file=sys.stderr)
            return 1
        explanation = explain(build_snapshot(loaded.bundle), args.use_case, facts, given, now=now)
    except (NoRules, NotUnderstood) as error:
        return refused("explain", error)
    except BundleRefused as error:
        print(f"pointsman explain: {error}", file=sys.stderr)
        return 1
    print(msgspec.json.encode(explanation).decode() if args.format == "json" else _as_text(explanation))
    return 0


def _as_text(explanation: Explanation) -> str:
    lines = [f"{explanation.use_case} would call:"]
    lines += [f"  {number}. {_line(step)}" for number, step in enumerate(explanation.plan, start=1)] or ["  nobody"]
    if explanation.propensity is not None:
        lines.append(
            f"The lot fell to {explanation.arm}, as it does for {explanation.propensity:.4g} of conversations."
        )
    if explanation.refusal is not None:
        lines.append(f"The call is refused: {explanation.refusal}")
    if explanation.skipped:
        lines += ["and skips:", *(f"  -  {_line(step)}" for step in explanation.skipped)]
    return "\n".join(lines)


def _line(step: Step) -> str:
    return f"{step.model + ' at ' + step.provider:<40}  {step.reason}"
