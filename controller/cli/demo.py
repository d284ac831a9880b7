"""`pointsman demo`: the whole story on localhost, no key needed."""

import argparse
import os
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Final

from controller.demo.narration import open_terminal
from controller.demo.performance import performing
from controller.demo.settings import DemoSettings
from controller.demo.story import StoryFailed

if TYPE_CHECKING:
    from argparse import _SubParsersAction

DEFAULTS: Final = DemoSettings()
WATCH_SECONDS: Final = 0.5


class Asked(BaseException):
    """A signal asked us to end. Like KeyboardInterrupt, no handler of errors takes it for one."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def add_parser(subparsers: "_SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser("demo", help="everything on localhost, no key needed")
    parser.description = (
        "Makes a rules repository, starts providers, controller and sidecar on 127.0.0.1, walks through calls, an "
        "outage, a live change of the rules and the books, and stays up until Ctrl-C. Vendors are simulated unless "
        "OPENAI_API_KEY or ANTHROPIC_API_KEY is set: then calls to that vendor are real and cost money."
    )
    parser.add_argument("--once", action="store_true", help="end when the story is told")
    parser.add_argument(
        "--folder", type=Path, metavar="DIR",
        help="make the rules repository here and keep it [default: a temporary folder, removed at the end]",
    )  # fmt: skip
    for flag, meaning, default in (
        ("--port", "where agents call", DEFAULTS.agents_port),
        ("--admin-port", "the sidecar's metrics and status", DEFAULTS.admin_port),
        ("--controller-port", "the controller", DEFAULTS.controller_port),
        ("--providers-port", "the first of three free ports for the providers", DEFAULTS.providers_port),
    ):
        parser.add_argument(flag, type=_port, default=default, metavar="N", help=f"{meaning} [default: {default}]")


def run(args: argparse.Namespace) -> int:
    """Exit status: 0 the story was told, 1 it was not, 2 a port or folder cannot be had, 130 and 143 stopped early."""
    settings = DemoSettings(
        once=args.once,
        folder=args.folder,
        agents_port=args.port,
        admin_port=args.admin_port,
        controller_port=args.controller_port,
        providers_port=args.providers_port,
    )
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _asked)
    today = datetime.fromtimestamp(time.time(), UTC).date()
    terminal, told = open_terminal(), False
    try:
        with performing(settings, os.environ, today, terminal) as performance:
            told = True
            terminal.block(performance.ready)
            while not settings.once:
                time.sleep(WATCH_SECONDS)
                performance.name_the_ended()
    except StoryFailed as error:
        print(f"\npointsman demo: {error}", file=sys.stderr)
        return 1
    except Asked as asked:
        return 0 if told else 128 + asked.number
    return 0


def _asked(number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)  # once is enough: what we started is ended in order
    raise Asked(number)


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 65_536:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port")
    return int(text)
