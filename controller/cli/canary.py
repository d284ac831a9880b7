"""`pointsman canary`: where each canary stands and why; and a person's word on one, in effect at once."""

import argparse
import json
from typing import TYPE_CHECKING, Final

from controller.cli import remote
from controller.cli.acts import canary_lines

if TYPE_CHECKING:
    from argparse import _SubParsersAction

ACTS: Final = {
    "stop": "give the primary all traffic again",
    "resume": "begin one again that has ended or was halted, where its rules begin",
}


def add_parser(subparsers: "_SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser("canary", help="where each canary stands and why; stop one, or begin it again")
    words = parser.add_subparsers(dest="word", required=True, metavar="list|stop|resume")
    listing = words.add_parser("list", help="each canary, its share and what it waits for")
    remote.add_options(listing)
    remote.add_token(listing)
    for word, help_text in ACTS.items():
        act = words.add_parser(word, help=help_text)
        act.add_argument("use_case", metavar="USE_CASE", help="whose canary")
        act.add_argument("--reason", required=True, metavar="TEXT", help="why, for those who come after")
        remote.add_options(act)
        remote.add_admin_token(act)


def run(args: argparse.Namespace) -> int:
    try:
        if args.word == "list":
            token = remote.token_to_read(args)
            view = remote.fetch_json(args.controller, "/v1/status", {}, token=token)["rollout"]
        else:
            body, token = {"use_case": args.use_case, "reason": args.reason}, remote.admin_token(args)
            view = remote.fetch_json(args.controller, f"/v1/canary/{args.word}", {}, token=token, body=body)
    except (remote.ControllerSaysNo, remote.NotReachable) as error:
        return remote.failed("canary", error)
    canaries = view.get("canaries", [])
    if args.format == "json":
        print(json.dumps({"canaries": canaries}))
    else:
        print("\n".join(canary_lines(canaries)) or "No use case of the rules that run has a canary.")
    return 0
