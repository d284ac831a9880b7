"""`pointsman pin | unpin | rollback | promote | suspend | resume`: acts on a running fleet, in effect at once."""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from controller.cli import remote
from controller.errors import CannotStart
from controller.settings import parse_duration

if TYPE_CHECKING:
    from argparse import _SubParsersAction

HELP: Final = {
    "pin": "every sidecar runs this bundle, whatever the repository says",
    "unpin": "back to the stable bundle; the newest revision follows as any other would",
    "rollback": "end a trial, or go back to what ran before",
    "promote": "give the bundle on trial to all, without waiting for more calls",
    "suspend": "take up no new revision and let no trial go on",
    "resume": "take up revisions again",
}
DAY_SECONDS: Final = 86_400.0
HOUR_SECONDS: Final = 3_600.0


def add_parser(subparsers: "_SubParsersAction[argparse.ArgumentParser]") -> None:
    for name, help_text in HELP.items():
        parser = subparsers.add_parser(name, help=help_text)
        if name == "pin":
            parser.add_argument("bundle", metavar="DIGEST|REVISION", help="one that is kept; its beginning is enough")
            parser.add_argument(
                "--ttl", metavar="TIME", help="after this it is called overdue, and stays: 30m, 4h, 2d [default: never]"
            )
        parser.add_argument("--reason", required=True, metavar="TEXT", help="why, for those who come after")
        remote.add_options(parser)
        remote.add_admin_token(parser)


def run(args: argparse.Namespace) -> int:
    body: dict[str, Any] = {"reason": args.reason}
    if args.command == "pin":
        body |= {"bundle": args.bundle, "ttl_seconds": None if args.ttl is None else _seconds(args.ttl)}
    try:
        token = remote.admin_token(args)
        view = remote.fetch_json(args.controller, f"/v1/{args.command}", {}, token=token, body=body)
    except (remote.ControllerSaysNo, remote.NotReachable) as error:
        print(f"pointsman {args.command}: {error}", file=sys.stderr)
        return 2 if isinstance(error, remote.ControllerSaysNo) and error.is_wrong_usage else 1
    print(json.dumps(view) if args.format == "json" else "\n".join(lines_of(view)))
    return 0


def lines_of(view: Mapping[str, Any]) -> list[str]:
    """What runs and what is under way, for people."""
    pin, trial, stable = view["pin"], view["trial"], view["stable"]
    lines = [f"Stable: {stable['revision']}" if stable else "Stable: nothing yet"]
    if pin:
        until = f", until {pin['until']}" if pin["until"] else ""
        overdue = "; it is overdue" if pin["is_overdue"] else ""
        lines.append(f"Pinned: {pin['revision']} since {pin['since']}{until}{overdue}. Why: {pin['reason']}")
        if view["head"] and view["head"]["digest"] != pin["digest"]:
            lines.append(f"Waits behind the pin: {view['head']['revision']}")
    if trial:
        stage = trial["stages"][trial["stage"]]
        lines.append(f"On trial: {trial['revision']}, stage {stage} % ({trial['percent']:.2f} % of the sidecars)")
        lines.append(f"It waits for {trial['waits_for']}" if trial["waits_for"] else "It was just begun")
    lines += canary_lines(view.get("canaries", ()))  # an older controller has none
    if view["suspended"] is not None:
        lines.append(f"Suspended: {view['suspended']}")
    lines += [f"Rolled back: {one['revision']} at {one['at']}. Why: {one['reason']}" for one in view["rolled_back"][:3]]
    return lines


def canary_lines(canaries: Sequence[Mapping[str, Any]]) -> list[str]:
    """Why each has its share, and what it waits for."""
    lines = []
    for canary in canaries:
        lines.append(f"{canary['use_case']}: {canary['reason']}")
        if canary["waits_for"]:
            lines.append(f"It waits for {canary['waits_for']}")
    return lines


def _seconds(text: str) -> float:
    """`30m`, `4h`, `2d`, and what `parse_duration` takes. Raises `CannotStart`."""
    for unit, size in (("d", DAY_SECONDS), ("h", HOUR_SECONDS)):
        if text.endswith(unit) and text[:-1].isdigit() and int(text[:-1]):
            return int(text[:-1]) * size
    try:
        return parse_duration("--ttl", text)
    except CannotStart as error:
        raise CannotStart(f"--ttl must be a time such as 30m, 4h or 2d, not {text!r}") from error
