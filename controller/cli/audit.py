"""`pointsman audit`: single model, multi-model with routing, or without? By code, ledger and invoices."""

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from controller.audit.audit import audit
from controller.audit.booked import BY, Booked, UnclearUsage, booked_rows
from controller.audit.gather import known_rules, list_repositories, services_in
from controller.audit.invoices import Invoice, UnclearInvoice, read_invoice
from controller.audit.report import as_json, as_markdown, as_text
from controller.cli import remote
from controller.cli.progress import Progress
from controller.cli.rules_folder import add_today, day_of, refused
from controller.errors import SourceUnavailable

if TYPE_CHECKING:
    from argparse import _SubParsersAction


def add_parser(subparsers: "_SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser(
        "audit", help="single model, multi-model with routing, or without? by code, ledger and invoices"
    )
    parser.add_argument("repositories", nargs="*", type=Path, metavar="REPOSITORY", help="folders with code")
    parser.add_argument(
        "--rules", action="append", type=Path, default=[], metavar="DIR",
        help="rules whose use cases the code may name; may be repeated [default: those found in the repositories]",
    )  # fmt: skip
    parser.add_argument(
        "--controller", metavar="URL", default=os.environ.get("POINTSMAN_CONTROLLER") or None,
        help="whose ledger says what was really called [POINTSMAN_CONTROLLER; default: none]",
    )  # fmt: skip
    remote.add_token(parser)
    parser.add_argument(
        "--usage", type=Path, metavar="FILE", help=f"instead: what `usage --format json --by {','.join(BY)}` printed"
    )
    parser.add_argument("--since", metavar="DAY", help="first day of the ledger to look at, UTC")
    parser.add_argument("--until", metavar="DAY", help="last day, UTC")
    parser.add_argument(
        "--invoice", action="append", default=[], metavar="PROVIDER=FILE",
        help="a CSV that a provider or vendor of the ledger billed: FOCUS, AWS Cost and Usage, the exports of "
        "OpenAI's and Anthropic's consoles, or any with columns of cost and date; may be repeated",
    )  # fmt: skip
    parser.add_argument("--format", choices=("text", "json", "markdown"), default="text", help="[default: text]")
    add_today(parser)


def run(args: argparse.Namespace) -> int:
    if not (args.repositories or args.rules or args.controller or args.usage or args.invoice):
        return refused("audit", "name a repository, --rules, --controller, --usage or --invoice")
    for folder in (*args.repositories, *args.rules):
        if not folder.is_dir():
            return refused("audit", f"{folder} is not a folder")
    try:
        repositories = list_repositories(args.repositories)
        rules = known_rules(repositories, args.rules, day_of(args))
        invoices = [_invoice(text) for text in args.invoice]
        booked = _booked(args)
    except (SourceUnavailable, UnclearInvoice, UnclearUsage, remote.NotReachable, remote.ControllerSaysNo) as error:
        return remote.failed("audit", error)
    with Progress("files") as progress:
        services = [service for one in repositories for service in services_in(one, rules, progress.show)]
    found = audit(rules, services, booked, invoices)
    match args.format:
        case "json":
            print(json.dumps(as_json(found)))
        case "markdown":
            sys.stdout.write(as_markdown(found))
        case _:
            print(as_text(found))
    return 0


def _invoice(text: str) -> Invoice:
    payee, sign, file = text.partition("=")
    if not sign or not payee.strip() or not file:
        raise UnclearInvoice(f'--invoice {text}: write it as PROVIDER=FILE, as in "openai=costs.csv"')
    return read_invoice(Path(file), payee.strip())


def _booked(args: argparse.Namespace) -> list[Booked] | None:
    """None without a ledger."""
    if args.usage is not None:
        return booked_rows(_rows_in(args.usage))
    if args.controller is None:
        return None
    asked = {"by": ",".join(BY), "since": args.since, "until": args.until}
    query: Mapping[str, str] = {name: value for name, value in asked.items() if value is not None}
    answer = remote.fetch_json(args.controller, "/v1/usage", query, token=remote.token_to_read(args))
    return booked_rows(answer["rows"])


def _rows_in(path: Path) -> Sequence[Mapping[str, Any]]:
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UnclearUsage(f"{path}: cannot be read as JSON: {error}") from error
    rows = said.get("rows") if isinstance(said, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise UnclearUsage(f'{path}: no "rows" in it; print it by `pointsman usage --format json --by {",".join(BY)}`')
    return rows
