"""Recorded calls for a replay, from a file or from a controller's ledger, with progress on a terminal."""

import argparse
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Final

from controller.cli import remote
from controller.cli.export import PAGE_CALLS
from controller.cli.progress import Progress
from controller.plan.recorded import RecordedCall, parse_lines, parse_page

DEFAULT_DAYS: Final = 30
SHOW_EVERY: Final = 5_000


def add_records(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--records", type=Path, metavar="FILE", help="calls to replay, as `usage export --format jsonl` writes them"
    )
    parser.add_argument(
        "--controller", metavar="URL", default=os.environ.get("POINTSMAN_CONTROLLER") or None,
        help="instead: whose ledger to replay [POINTSMAN_CONTROLLER; default: none, and nothing is replayed]",
    )  # fmt: skip
    remote.add_admin_token(parser)
    since = f"first day of the controller's calls, UTC [default: {DEFAULT_DAYS} days ago]"
    parser.add_argument("--since", metavar="DAY", help=since)
    parser.add_argument("--until", metavar="DAY", help="last day, UTC [default: today]")


def has_records(args: argparse.Namespace) -> bool:
    return args.records is not None or args.controller is not None


@contextmanager
def recorded_calls(args: argparse.Namespace, today: date) -> Iterator[Iterable[RecordedCall]]:
    """One after the other; few are in memory at a time.

    Raises:
        UnreadableCall, OSError: of a file.
        ControllerSaysNo, NotReachable: of a controller.
    """
    with Progress("calls") as progress:
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
