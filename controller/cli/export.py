"""`pointsman usage export`: every call, metadata only, from the controller into a file."""

import argparse
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Final

from controller.cli import remote
from controller.cli.export_formats import FORMATS
from controller.cli.progress import Progress

PAGE_CALLS: Final = 2000


def add_parser(parser: argparse.ArgumentParser) -> None:
    """The days and the controller are `usage`'s own options, and may stand on either side of the word `export`."""
    commands = parser.add_subparsers(dest="usage_command", metavar="[export]")
    export = commands.add_parser("export", help="write every call (metadata only) to a file")
    export.add_argument("--format", choices=list(FORMATS), default="csv", help="[default: csv]")
    export.add_argument("--out", metavar="FILE", required=True, type=Path, help="written whole or not at all")
    for flag, words in (("--since", "first day, UTC"), ("--until", "last day, UTC"), ("--controller", "its URL")):
        export.add_argument(flag, default=argparse.SUPPRESS, metavar=flag[2:].upper(), help=words)
    remote.add_admin_token(export)


def run(args: argparse.Namespace) -> int:
    asked = {"since": args.since, "until": args.until, "limit": str(PAGE_CALLS)}
    query = {name: value for name, value in asked.items() if value is not None}
    try:
        token = remote.admin_token(args)
        with whole_file(args.out) as file, Progress("calls") as progress:
            writer = FORMATS[args.format](file)
            done = total = 0
            for page in pages(args.controller, query, token):
                writer.write(page["calls"])
                done += len(page["calls"])
                total = page.get("total", total)
                progress.show(done, total)
            writer.finish()
    except (remote.ControllerSaysNo, remote.NotReachable) as error:
        return remote.failed("usage export", error)
    except OSError as error:
        print(f"pointsman usage export: cannot write {args.out}: {error.strerror or error}", file=sys.stderr)
        return 1
    print(f"{done:,} calls in {args.out}")
    return 0


def pages(controller: str, query: Mapping[str, str], token: str) -> Iterator[Mapping[str, Any]]:
    """One page is in memory at a time. Raises as `remote.fetch_json` does."""
    after: str | None = ""
    while after is not None:
        page = remote.fetch_json(controller, "/v1/calls", {**query, "after": after}, token=token)
        yield page
        after = page["next"]


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """Written beside, and put in its place when all of it is there. Raises OSError."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with beside.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        with suppress(OSError):
            beside.unlink()
        raise
