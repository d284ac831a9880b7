"""The scripts in Redis decide as their model in memory does, which the simulations of fleets run on."""

from pathlib import Path
from random import Random

import pytest

from sidecar.clock import SYSTEM_CLOCK
from sidecar.limits.blocks import RateAsk
from sidecar.limits.holdings import HoldAsk
from sidecar.stores.redis import RedisStore
from tests.fakes.limit_store import MemoryStore, SharedMemory
from tests.fakes.ports import HandClock
from tests.fakes.redis_server import running_redis


@pytest.mark.parametrize("seed", range(3))
async def test_holds_are_the_same_in_redis_and_in_the_model(tmp_path: Path, seed: int) -> None:
    random, shared = Random(seed), SharedMemory(HandClock())
    names = ("one", "two", "three")
    with running_redis(tmp_path) as server:
        real = {name: RedisStore(server.url, name, SYSTEM_CLOCK) for name in names}
        model = {name: MemoryStore(shared, name) for name in names}
        totals = dict.fromkeys(names, 0)
        for number in range(1, 150):
            name = random.choice(names)
            totals[name] += random.choice((0, 0, random.randrange(40)))
            keep = random.randrange(30)
            ask = HoldAsk(
                "k", 1_000, 50, totals[name], 0, keep, keep + random.choice((0, random.randrange(200))),
                random.choice((1, 20)), random.choice((0, 4, 12)), 60, max(1, number - random.choice((0, 0, 0, 5))),
            )  # fmt: skip
            assert await real[name].hold(ask) == await model[name].hold(ask)
        for store in real.values():
            await store.close()


async def test_rates_are_the_same_in_redis_and_in_the_model_but_for_the_time_that_passes(tmp_path: Path) -> None:
    """A rate so slow that nothing is paid back while the test runs."""
    random, shared = Random(1), SharedMemory(HandClock())
    with running_redis(tmp_path) as server:
        real, model = RedisStore(server.url, "one", SYSTEM_CLOCK), MemoryStore(shared)
        for _ in range(100):
            need = random.randrange(1, 4)
            ask = RateAsk("k", random.choice((30, 60, 90)), need, need + random.randrange(3), random.randrange(-2, 3))
            found, expected = await real.take(ask), await model.take(ask)
            assert abs(found.reset_seconds - expected.reset_seconds) < 1.0
            await shared.clock.turn(max(0.0, expected.reset_seconds - found.reset_seconds))
            if found.granted != expected.granted:
                assert abs(found.wait_seconds + expected.wait_seconds) < 1.0, "apart by more than time can explain"
        await real.close()
