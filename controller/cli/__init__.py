"""The command `pointsman`: a table of subcommands, each a module that is imported when it is asked for."""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Final

from controller.errors import CannotStart

COMMANDS: Final = {
    "init": "controller.cli.init",
    "migrate": "controller.cli.migrate",
    "check": "controller.cli.check",
    "test": "controller.cli.test",
    "plan": "controller.cli.plan",
    "explain": "controller.cli.explain",
    "codeowners": "controller.cli.codeowners",
    "comment": "controller.cli.comment",
    "models": "controller.cli.models",
    "serve": "controller.cli.serve",
    "fleet": "controller.cli.fleet",
    "pin": "controller.cli.acts",
    "unpin": "controller.cli.acts",
    "rollback": "controller.cli.acts",
    "promote": "controller.cli.acts",
    "suspend": "controller.cli.acts",
    "resume": "controller.cli.acts",
    "canary": "controller.cli.canary",
    "usage": "controller.cli.usage",
    "audit": "controller.cli.audit",
    "eval": "controller.cli.eval",
    "drill": "controller.cli.drill",
    "review": "controller.cli.review",
    "demo": "controller.cli.demo",
}
"""Each module has `add_parser(subparsers)`, which adds its commands, and `run(args)`, which gives the exit status."""


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status: 0 fine, 1 problems found, 2 wrong usage."""
    words = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(prog="pointsman", description="Routes every model call by use case.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    # One command's parser is enough to run it; the list of all is for help and for a word that is none.
    wanted = words[:1] if words and words[0] in COMMANDS else list(COMMANDS)
    for module in dict.fromkeys(COMMANDS[name] for name in wanted):
        import_module(module).add_parser(commands)
    args = parser.parse_args(words)
    try:
        status: int = import_module(COMMANDS[args.command]).run(args)
        sys.stdout.flush()
        return status
    except CannotStart as error:
        print(f"pointsman {args.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader (`| head`) has enough. Without this the interpreter would complain once more when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
