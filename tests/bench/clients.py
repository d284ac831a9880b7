"""`python -m tests.bench.clients`: the same calls over aiohttp's client of providers and over ours, beside R.

It reports and judges nothing.
"""

import sys
from collections.abc import Sequence

from sidecar.settings import AIOHTTP_CLIENT, OWN_CLIENT
from tests.bench import rules, targets
from tests.bench.targets import SIDECAR_COMMAND, Place, Row, Server
from tests.bench.variants import compare


def main(arguments: Sequence[str] | None = None) -> int:
    bare = next(row for row in targets.rows(SIDECAR_COMMAND) if row.name == targets.BASE)
    rows = [_row(AIOHTTP_CLIENT), _row(OWN_CLIENT), bare]
    return compare(rows, "tests.bench.clients", __doc__, arguments)


def _row(client: str) -> Row:
    def command(place: Place) -> list[str]:
        return targets.sidecar_command(place, f"{SIDECAR_COMMAND} --upstream-client {client}")

    return Row(client, Server(client, command, rules.KEYS), rules.SAME_DIALECT_ALIAS, "openai")


if __name__ == "__main__":
    sys.exit(main())
