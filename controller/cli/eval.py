"""`pointsman eval`: a table of its own commands, each a module that is imported when it is asked for."""

import argparse
from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from argparse import _SubParsersAction

COMMANDS: Final = {
    "run": "controller.cli.eval_run",
    "compare": "controller.cli.eval_compare",
    "import": "controller.cli.eval_import",
    "propose": "controller.cli.eval_propose",
}
"""As in `controller.cli`: each module has `add_parser(subparsers)` and `run(args)`."""


def add_parser(subparsers: "_SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser("eval", help="compare models on a use case's own samples, and decide")
    commands = parser.add_subparsers(dest="eval_command", required=True, metavar="COMMAND")
    for module in dict.fromkeys(COMMANDS.values()):
        import_module(module).add_parser(commands)


def run(args: argparse.Namespace) -> int:
    status: int = import_module(COMMANDS[args.eval_command]).run(args)
    return status
