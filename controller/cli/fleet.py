"""`pointsman fleet`: which sidecar runs what, and which one does not."""

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from controller.cli import remote
from controller.cli.acts import lines_of
from controller.cli.table import render

if TYPE_CHECKING:
    from argparse import _SubParsersAction

REVISION_CHARACTERS: Final = 12


def add_parser(subparsers: "_SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser("fleet", help="which sidecar runs which revision")
    remote.add_options(parser)
    remote.add_token(parser)


def run(args: argparse.Namespace) -> int:
    try:
        token, rollout = remote.token_to_read(args), None
        answer = remote.fetch_json(args.controller, "/v1/fleet", {}, token=token)
        if args.format == "text":
            rollout = remote.fetch_json(args.controller, "/v1/status", {}, token=token)["rollout"]
    except (remote.ControllerSaysNo, remote.NotReachable) as error:
        print(f"pointsman fleet: {error}", file=sys.stderr)
        return 2 if isinstance(error, remote.ControllerSaysNo) and error.is_wrong_usage else 1
    if rollout is None:
        print(json.dumps(answer))
        return 0
    print(text_of(answer["sidecars"], now=time.time()))
    if rollout["stable"] is not None:
        print("\n" + "\n".join(lines_of(rollout)))
    return 0


def text_of(sidecars: Sequence[Mapping[str, Any]], *, now: float) -> str:
    """`now` in seconds since the epoch."""
    if not sidecars:
        return "No sidecar has reported to this controller yet."
    head = ["sidecar", "use case", "state", "revision", "last seen", "error"]
    rows = [
        [
            member["id"],
            member["use_case"] or "–",
            member["state"],
            _short(member["revision"]) or "–",
            _ago(now - datetime.fromisoformat(member["last_seen"]).timestamp()),
            " ".join(member["error"].split()),
        ]
        for member in sidecars
    ]
    synced = sum(member["state"] == "SYNCED" for member in sidecars)
    return f"{render(head, rows, right=frozenset())}\n\n{synced} of {len(sidecars)} on the current revision"


def _short(revision: str) -> str:
    kind, colon, digest = revision.rpartition(":")
    return f"{kind}{colon}{digest[:REVISION_CHARACTERS]}"


def _ago(seconds: float) -> str:
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{max(0, seconds):.0f} s ago"
