"""`python -m tests.bench`: the sidecar beside a bare aiohttp proxy and nginx, measured in one run on this machine.
It reports and judges nothing: the exit status says only whether it could measure (1: it could not; 2: wrong usage)."""

import argparse
import json
import os
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.bench import machine, native, report, translation
from tests.bench.rounds import Outcome, Run, Settings
from tests.bench.targets import SIDECAR_COMMAND, Row, rows

TRANSLATION = "translation"
"""Stands among the rows in `--only`, though it is measured without any server."""
DEFAULT_ROUNDS, QUICK_ROUNDS = 5, 2
DEFAULT_SCALE, QUICK_SCALE = 1.0, 0.4
DEFAULT_MEMORY_CALLS, QUICK_MEMORY_CALLS = 10_000, 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; see the module's docstring for the exit status."""
    options = _options(arguments)
    chosen = [row for row in rows(options.gateway_cmd) if not options.only or row.name in options.only]
    cores = sorted(os.sched_getaffinity(0))
    settings = Settings(options.rounds, options.scale, options.memory_calls, proxy_core=cores[0], load_core=cores[-1])
    described = machine.describe()
    os.sched_setaffinity(0, {settings.load_core})  # the bench itself stays away from the proxy's core
    try:
        results = report.summarise(_measure_rows(chosen, settings) if chosen else {})
    except native.NoCompiler as error:
        print(error, file=sys.stderr)
        return 1
    numbers = report.document(results, settings, described)
    blocks = [report.heading(settings, described)]
    if chosen:
        blocks.append(report.render(results, settings, markdown=options.markdown))
    if not options.only or TRANSLATION in options.only:
        translated = translation.measure(settings.rounds, settings.scale)
        blocks.append(translation.render(translated, markdown=options.markdown))
        numbers["translation"] = translation.document(translated)
    print("\n\n".join(blocks))
    if options.json:
        options.json.write_text(json.dumps(numbers, indent=1))
    return 0 if not chosen or any(result.median for result in results.values()) else 1


def _measure_rows(chosen: Sequence[Row], settings: Settings) -> Mapping[str, Outcome]:
    programs = native.compile_programs(native.cache_folder())
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that the servers are stopped
    with tempfile.TemporaryDirectory(prefix="pointsman-bench-") as folder:
        return Run(chosen, settings, programs, Path(folder)).measure()


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    names = [*(row.name for row in rows(SIDECAR_COMMAND)), TRANSLATION]
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter bursts, under a minute; rougher")
    parser.add_argument("--rounds", type=_positive, help=f"default {DEFAULT_ROUNDS}, with --quick {QUICK_ROUNDS}")
    parser.add_argument("--scale", type=float, help="stretches the bursts; default 1, with --quick 0.4")
    parser.add_argument(
        "--memory-calls", type=int, help="calls before the loaded memory is read; default 10000, with --quick none"
    )
    parser.add_argument("--only", type=lambda text: _chosen(text, names), help=f"of {','.join(names)}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every number of every round")
    parser.add_argument("--markdown", action="store_true", help="print the table in Markdown")
    parser.add_argument(
        "--gateway-cmd",
        default=SIDECAR_COMMAND,
        help="what stands in the sidecar's rows; may use {python} {rules} {port} {admin} {state} {upstream}",
    )
    options = parser.parse_args(arguments)
    if options.rounds is None:
        options.rounds = QUICK_ROUNDS if options.quick else DEFAULT_ROUNDS
    if options.scale is None:
        options.scale = QUICK_SCALE if options.quick else DEFAULT_SCALE
    if options.memory_calls is None:
        options.memory_calls = QUICK_MEMORY_CALLS if options.quick else DEFAULT_MEMORY_CALLS
    return options


def _positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _chosen(text: str, names: Sequence[str]) -> list[str]:
    chosen = text.split(",")
    if unknown := [name for name in chosen if name not in names]:
        raise argparse.ArgumentTypeError(f"unknown {', '.join(unknown)}; there are {', '.join(names)}")
    return chosen


if __name__ == "__main__":
    sys.exit(main())
