"""`pointsman usage`: what was spent, on what, by whom."""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from controller.cli import export, remote
from controller.cli.cells import csv_text
from controller.cli.table import render

if TYPE_CHECKING:
    from argparse import _SubParsersAction

DEFAULT_BY: Final = "use_case,model"
ALL_FIGURES: Final = (
    "requests", "errors", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens",
    "reasoning_tokens", "cost_usd", "wasted_usd", "shadow_usd", "unpriced_requests",
)  # fmt: skip
EXTRA_FIGURES: Final[Mapping[str, Callable[[Mapping[str, Any]], bool]]] = {
    "shadow_usd": lambda row: Decimal(row["shadow_usd"]) > 0,
    "unpriced_requests": lambda row: row["unpriced_requests"] > 0,
}
"""Columns that people see only where they say something."""
CENTI_CENT: Final = Decimal("0.0001")


def add_parser(subparsers: "_SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser("usage", help="spend and tokens by use case, model, vendor, team, day")
    parser.add_argument(
        "--by", metavar="KEYS", default=DEFAULT_BY,
        help="comma-separated: use_case, model, vendor, provider, team, agent, caller, day, reason, outcome, "
        f"revision [default: {DEFAULT_BY}]",
    )  # fmt: skip
    parser.add_argument("--since", metavar="DAY", help="first day counted, UTC: 2026-11-01 [default: the first booked]")
    parser.add_argument("--until", metavar="DAY", help="last day counted, UTC [default: today]")
    remote.add_options(parser, ("text", "json", "csv", "table"))
    remote.add_token(parser)
    export.add_parser(parser)


def run(args: argparse.Namespace) -> int:
    if args.usage_command == "export":
        return export.run(args)
    asked = {"by": args.by, "since": args.since, "until": args.until}
    query = {name: value for name, value in asked.items() if value is not None}
    try:
        answer = remote.fetch_json(args.controller, "/v1/usage", query, token=remote.token_to_read(args))
    except (remote.ControllerSaysNo, remote.NotReachable) as error:
        return remote.failed("usage", error)
    match args.format:
        case "json":
            print(json.dumps(answer))
        case "csv":
            sys.stdout.write(csv_of(answer["rows"], by=args.by.split(",")))
        case _:
            print(text_of(answer["rows"], by=args.by.split(",")))
    return 0


def csv_of(rows: Sequence[Mapping[str, Any]], *, by: Sequence[str]) -> str:
    """All figures of the answer, in its order."""
    head = list(dict.fromkeys([*(word.strip() for word in by), *ALL_FIGURES]))
    return csv_text([head, *([row[name] for name in head] for row in rows)])


def text_of(rows: Sequence[Mapping[str, Any]], *, by: Sequence[str]) -> str:
    """The table that people read: dearest first, or by day where days are asked for."""
    if not rows:
        return "No calls are booked for these days."
    keys = [word.strip() for word in by]
    ordered = rows if "day" in keys else sorted(rows, key=lambda row: Decimal(row["cost_usd"]), reverse=True)
    head = [
        *(key.replace("_", " ") for key in keys),
        "requests",
        "errors",
        "input",
        "output",
        "cache read",
        "cost USD",
        "wasted USD",
    ]
    extra = [name for name, is_there in EXTRA_FIGURES.items() if any(is_there(row) for row in rows)]
    head += [name.removesuffix("_requests").replace("_usd", " USD") for name in extra]
    body = [[*(str(row[key]) or "–" for key in keys), *_figures(row, extra)] for row in ordered]
    foot = ["total", *[""] * (len(keys) - 1), *_figures(_total(rows), extra)]
    numbers = frozenset(range(len(keys), len(head)))
    return render(head, body, right=numbers, foot=foot if len(rows) > 1 else ())


def _figures(row: Mapping[str, Any], extra: Sequence[str]) -> list[str]:
    counts = [f"{row[name]:,}" for name in ("requests", "errors", "input_tokens", "output_tokens", "cache_read_tokens")]
    unpriced = row["unpriced_requests"]
    # A sum that misses some calls is a lower bound, and one that misses all of them says nothing.
    cost = _money(Decimal(row["cost_usd"]), is_partial=unpriced > 0)
    wasted = _money(Decimal(row["wasted_usd"]), is_partial=False)
    more = {"shadow_usd": _money(Decimal(row["shadow_usd"]), is_partial=False), "unpriced_requests": f"{unpriced:,}"}
    return [*counts, cost, wasted, *(more[name] for name in extra)]


def _money(amount: Decimal, *, is_partial: bool) -> str:
    if is_partial:
        return f"≥ {amount:,.4f}" if amount else "unknown"
    return f"< {CENTI_CENT}" if 0 < amount < CENTI_CENT else f"{amount:,.4f}"


def _total(rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    counts = ("requests", "errors", "input_tokens", "output_tokens", "cache_read_tokens", "unpriced_requests")
    sums: dict[str, Any] = {name: sum(row[name] for row in rows) for name in counts}
    return sums | {
        name: str(sum(Decimal(row[name]) for row in rows)) for name in ("cost_usd", "wasted_usd", "shadow_usd")
    }
