"""200 calls at once against a ceiling of one dollar: it is not passed, and nobody is refused who would have fitted."""

import asyncio
import time
from decimal import Decimal
from pathlib import Path

import aiohttp

from tests.fakes.load import Came, Kind, call
from tests.fakes.rules_repo import write_files
from tests.fakes.sidecar import StartSidecar
from tests.fakes.simulator import StartSimulator
from tests.system.rules import Door, files, use_case

CALLERS = 200
CEILING = Decimal(1)
DEAR = "input: 3.00, output: 600.00"
"""A call of at most 64 tokens reserves 0.04 dollars at most, so that 200 of them want far more than there is."""
MOST_RESERVED = Decimal("0.0400")


async def at_once(url: str) -> list[Came]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        kind = Kind("anthropic", False)
        return await asyncio.gather(*(call(session, url, kind, f"Call {number}.") for number in range(CALLERS)))


async def test_a_ceiling_of_a_dollar_holds_and_refuses_only_what_does_not_fit(
    tmp_path: Path, start_sidecar: StartSidecar, start_simulator: StartSimulator
) -> None:
    """Under reservation a refusal is right when what is spent, what calls in flight reserved, and the call's own
    reservation are over the ceiling. So waves of calls go on, each answered in part, until not one more fits.
    """
    maker = start_simulator("alpha")
    rules = files(
        [Door("red", "anthropic", maker.url)],
        {"support": use_case("red", more="cost_ceiling: {per_day: 1, then: reject}\n")},
    )
    write_files(tmp_path, {name: text.replace("input: 3.00, output: 15.00", DEAR) for name, text in rules.items()})
    sidecar = start_sidecar(tmp_path)
    answered, began = 0, time.monotonic()
    while True:
        spent = sidecar.spent()
        came = await at_once(sidecar.url)
        assert {one.status for one in came} <= {200, 402}
        passed = sum(one.status == 200 for one in came)
        assert sidecar.spent() <= CEILING
        # Nothing was in flight before the wave: as many must pass as fit beside each other at their reservations.
        assert passed >= (CEILING - spent) // MOST_RESERVED, "refused while money was left"
        answered += passed
        if not passed:
            break
    print(f"{answered} calls answered, {sidecar.spent()} of {CEILING} USD spent in {time.monotonic() - began:.1f} s")
    assert CEILING - sidecar.spent() < MOST_RESERVED
    assert len(maker.entries()) == answered
