"""The same calls through sidecars that differ in one thing, in one run on this machine. Reports and judges nothing."""

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.bench import machine, native
from tests.bench.report import LINES, heading
from tests.bench.rounds import Run, Settings
from tests.bench.stats import medians, ratios
from tests.bench.tables import table
from tests.bench.targets import Row

ROUNDS = 7


def compare(rows: Sequence[Row], program: str, description: str | None, arguments: Sequence[str] | None) -> int:
    """Prints a table whose ratios are taken to the first row. Exit status 1: it could not measure."""
    parser = argparse.ArgumentParser(prog=f"python -m {program}", description=description)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"default {ROUNDS}")
    parser.add_argument("--markdown", action="store_true", help="print the table in Markdown")
    options = parser.parse_args(arguments)
    cores = sorted(os.sched_getaffinity(0))
    settings = Settings(options.rounds, 1.0, 0, proxy_core=cores[0], load_core=cores[-1])
    described = machine.describe()
    os.sched_setaffinity(0, {settings.load_core})  # the bench itself stays away from the proxy's core
    try:
        programs = native.compile_programs(native.cache_folder())
    except native.NoCompiler as error:
        print(error, file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that the servers are stopped
    with tempfile.TemporaryDirectory(prefix="pointsman-bench-") as folder:
        outcomes = Run(list(rows), settings, programs, Path(folder)).measure()
    names = [row.name for row in rows]
    base = names[0]
    rounds = {name: outcome.rounds for name, outcome in outcomes.items()}
    cells = [["", *names]]
    for line in LINES:
        found = {name: medians(rounds[name]).get(line.metric) for name in names}
        if any(value is None for value in found.values()):
            continue
        to_base = {name: ratios(rounds[name], rounds[base]).get(line.metric) for name in names if name != base}
        cells.append([
            line.label,
            *(f"{value:,.{line.digits}f}" + (f" (×{to_base[name]:.2f})" if name in to_base else "")
              for name, value in found.items()),
        ])  # fmt: skip
    print(heading(settings, described), "", *table(cells, markdown=options.markdown), sep="\n")
    for name, outcome in outcomes.items():
        for fault in (outcome.missing, *outcome.failures):
            if fault:
                print(f"{name}: {fault}")
    return 1 if any(outcome.missing for outcome in outcomes.values()) else 0
