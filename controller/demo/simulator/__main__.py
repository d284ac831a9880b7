"""`python -m controller.demo.simulator`: one simulated provider, until SIGTERM or SIGINT."""

import argparse
import asyncio
import signal
from collections.abc import Sequence
from pathlib import Path

import uvloop

from controller.demo.simulator.server import serving
from controller.demo.simulator.settings import SimulatorSettings


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    settings = SimulatorSettings(
        name=options.name,
        models=tuple(options.model),
        key=options.key,
        chunks=options.chunks,
        chunk_delay_seconds=options.chunk_delay,
        answer_tokens=options.answer_tokens,
        journal_path=options.journal,
    )
    uvloop.run(_serve(settings, options.port))
    return 0


async def _serve(settings: SimulatorSettings, port: int) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    async with serving(settings, port) as url:
        print(f"READY {settings.name} {url}", flush=True)
        await stopped.wait()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m controller.demo.simulator",
        description="A simulated provider (OpenAI Chat Completions and Anthropic Messages) on 127.0.0.1. No model"
        " answers: every text says that it is simulated.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--port", type=int, default=0, help="0 takes a free port")
    parser.add_argument("--name", default="simulator", help="its name in answers and in the READY line")
    parser.add_argument("--model", action="append", default=[], help="a model it serves; may be repeated; none: any")
    parser.add_argument("--key", default=None, help="the API key that callers must send; none: no key is asked for")
    parser.add_argument("--chunks", type=int, default=8, help="content chunks per streamed text, at most")
    parser.add_argument("--chunk-delay", type=float, default=0.0, help="seconds before each content chunk")
    parser.add_argument("--answer-tokens", type=int, default=None, help="text answers are filled up to so many tokens")
    parser.add_argument("--journal", type=Path, default=None, help="a file for one JSON line per start and end")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
