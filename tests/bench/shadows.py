"""`python -m tests.bench.shadows`: the same calls with and without a shadow at 20 %, in one run on this machine.

It reports and judges nothing. What the shadow's own calls take of the sidecar's core is in the CPU per call.
"""

import sys
from collections.abc import Sequence

from tests.bench import rules, targets
from tests.bench.targets import SIDECAR_COMMAND, Place, Row, Server
from tests.bench.variants import compare

SHADOWS = {
    "no shadow": "",
    "no shadow, again": "",
    "shadow 20 %": "shadow: {model: model-s, percent: 20, per_day: 1000000000}\n",
    "dead shadow 20 %": "shadow: {model: model-dead, percent: 20, per_day: 1000000000}\n",
}
"""Row → what its rules say more. What two equal rows differ by is what the machine adds."""


def main(arguments: Sequence[str] | None = None) -> int:
    return compare([_row(name) for name in SHADOWS], "tests.bench.shadows", __doc__, arguments)


def _row(name: str) -> Row:
    def command(place: Place) -> list[str]:
        made = targets.sidecar_command(place, SIDECAR_COMMAND)
        rules.add_shadow(place.folder / "rules", SHADOWS[name])
        return made

    return Row(name, Server(name.replace(" ", "-"), command, rules.KEYS), rules.SAME_DIALECT_ALIAS, "openai")


if __name__ == "__main__":
    sys.exit(main())
