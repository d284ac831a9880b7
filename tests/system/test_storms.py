"""A provider is down, wholly or in part, under 200 callers whose SDKs retry: it is spared, and callers see little."""

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random
from statistics import median

import openai
import pytest

from sidecar.routing.retry_budget import FLOOR_PER_SECOND, SHARE, WINDOW_SECONDS
from tests.fakes.rules_repo import write_files
from tests.fakes.sidecar import StartSidecar
from tests.fakes.simulator import StartSimulator
from tests.system.rules import Door, files, use_case

CALLERS = 200
CALLS_EACH = 3
MOST_UPSTREAM = 2_000
"""More than all callers and their retries could ever ask: fewer faults than that are enough."""


@dataclass(frozen=True)
class Seen:
    """What one call's caller saw, its SDK's retries included."""

    is_answered: bool
    seconds: float


async def storm(url: str) -> list[Seen]:
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none", timeout=30) as client:

        async def call(number: int) -> Seen:
            began = time.monotonic()
            try:
                await client.chat.completions.create(
                    model="support", messages=[{"role": "user", "content": f"Call {number}."}]
                )
            except openai.APIStatusError:
                return Seen(False, time.monotonic() - began)
            return Seen(True, time.monotonic() - began)

        async def caller(number: int) -> list[Seen]:
            return [await call(CALLS_EACH * number + turn) for turn in range(CALLS_EACH)]

        return [seen for of_one in await asyncio.gather(*map(caller, range(CALLERS))) for seen in of_one]


@pytest.mark.parametrize("fallbacks", [(), ("green",)], ids=["alone", "with a fallback"])
@pytest.mark.parametrize("share_down", [1.0, 0.3], ids=["all down", "a third down"])
async def test_a_storm_reaches_no_provider_with_more_than_a_fifth_above_the_calls(
    share_down: float,
    fallbacks: tuple[str, ...],
    tmp_path: Path,
    start_sidecar: StartSidecar,
    start_simulator: StartSimulator,
) -> None:
    maker, other = start_simulator("red"), start_simulator("green")
    doors = [Door("red", "openai", maker.url), Door("green", "openai", other.url)]
    write_files(tmp_path, files(doors, {"support": use_case("red", *fallbacks)}))
    sidecar = start_sidecar(tmp_path)
    calm = await storm(sidecar.url)
    assert all(seen.is_answered for seen in calm)
    maker.clear()
    other.clear()
    if share_down == 1.0:
        maker.fault({"status": 503})
    else:
        chance = Random(20261125)
        for number in range(MOST_UPSTREAM):
            if chance.random() < share_down:
                maker.fault({"status": 503}, after=number, times=1)
    before, began = len(sidecar.records()), time.monotonic()
    seen = await storm(sidecar.url)
    windows = 1 + (time.monotonic() - began) // WINDOW_SECONDS
    accepted = len(sidecar.records()) - before
    reached = {simulator.name: len(simulator.entries()) for simulator in (maker, other)}
    answered = [one for one in seen if one.is_answered]
    added_ms = 1_000 * (median(one.seconds for one in seen) - median(one.seconds for one in calm))
    print(
        f"{share_down:.0%} down, {len(fallbacks)} fallbacks: {accepted} calls accepted, upstream {reached}; "
        f"{len(answered) / len(seen):.1%} of callers answered, {added_ms:+.0f} ms at the median"
    )
    assert accepted >= len(seen)
    for upstream_calls in reached.values():
        assert upstream_calls <= (1 + SHARE) * accepted + FLOOR_PER_SECOND * WINDOW_SECONDS * windows
    if fallbacks:
        assert len(answered) == len(seen)
    elif share_down == 1.0:
        assert not answered
        assert reached["red"] < accepted / 2, "its breaker spares it"
    else:
        assert answered
