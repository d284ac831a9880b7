"""`python -m tests.bench.shadows`: the same calls with and without a shadow at 20 %, in one run on this machine.

It reports and judges nothing. What the shadow's own calls take of the sidecar's core is in the CPU per call.
"""

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.bench import machine, native, rules, targets
from tests.bench.report import LINES, heading
from tests.bench.rounds import Run, Settings
from tests.bench.stats import medians, ratios
from tests.bench.tables import table
from tests.bench.targets import SIDECAR_COMMAND, Place, Row, Server

ROUNDS = 7
WITHOUT = "no shadow"
SHADOWS = {
    WITHOUT: "",
    "no shadow, again": "",
    "shadow 20 %": "shadow: {model: model-s, percent: 20, per_day: 1000000000}\n",
    "dead shadow 20 %": "shadow: {model: model-dead, percent: 20, per_day: 1000000000}\n",
}
"""Row → what its rules say more. What two equal rows differ by is what the machine adds."""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.shadows", description=__doc__)
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
        outcomes = Run([_row(name) for name in SHADOWS], settings, programs, Path(folder)).measure()
    rounds = {name: outcome.rounds for name, outcome in outcomes.items()}
    cells = [["", *SHADOWS]]
    for line in LINES:
        found = {name: medians(rounds[name]).get(line.metric) for name in SHADOWS}
        if any(value is None for value in found.values()):
            continue
        to_base = {name: ratios(rounds[name], rounds[WITHOUT]).get(line.metric) for name in SHADOWS if name != WITHOUT}
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


def _row(name: str) -> Row:
    def command(place: Place) -> list[str]:
        made = targets.sidecar_command(place, SIDECAR_COMMAND)
        rules.add_shadow(place.folder / "rules", SHADOWS[name])
        return made

    return Row(name, Server(name.replace(" ", "-"), command, rules.KEYS), rules.SAME_DIALECT_ALIAS, "openai")


if __name__ == "__main__":
    sys.exit(main())
