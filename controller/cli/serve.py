"""`pointsman serve`: the controller."""

import argparse
import asyncio
from typing import TYPE_CHECKING

import uvloop

from controller import logs
from controller.app import serve
from controller.settings import add_options, serve_settings

if TYPE_CHECKING:
    from argparse import _SubParsersAction


def add_parser(subparsers: "_SubParsersAction[argparse.ArgumentParser]") -> None:
    add_options(subparsers.add_parser("serve", help="the controller: rules from git to every sidecar, and the books"))


def run(args: argparse.Namespace) -> int:
    settings = serve_settings(args)
    logs.configure(as_json=settings.log_format == "json")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(settings))
    return 0
