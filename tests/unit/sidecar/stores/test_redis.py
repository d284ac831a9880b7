"""A real Redis: what a fleet shares of it, and what a call sees when it is gone, slow or emptied."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from schemas.bundle import Ceiling, HardCeiling
from schemas.bundle import Limits as LimitsDocument
from sidecar.clock import SYSTEM_CLOCK
from sidecar.errors import LimitReached
from sidecar.limiter.limits import Limits
from sidecar.limits.blocks import RateAsk
from sidecar.limits.breaker import OPEN_AFTER_FAILURES
from sidecar.limits.holdings import HoldAsk
from sidecar.ports import StoreAway
from sidecar.routing.snapshot import UseCase
from sidecar.stores.redis import RedisMissing, RedisStore
from tests.fakes import core_bundles as bundles
from tests.fakes.ports import HandClock, at_rest
from tests.fakes.redis_server import RedisServer, running_redis
from tests.fakes.spend import DAY, Verdicts, record, report


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with running_redis(tmp_path) as running:
        yield running


@pytest.fixture
async def stores(server: RedisServer) -> AsyncIterator[list[RedisStore]]:
    made = [RedisStore(server.url, f"sidecar-{number}", SYSTEM_CLOCK) for number in range(3)]
    yield made
    for store in made:
        await store.close()


def fleet_of(stores: list[RedisStore]) -> list[Limits]:
    return [Limits(clock=SYSTEM_CLOCK, observer=Verdicts(), store=store, has_controller=True) for store in stores]


def use_case(**more: Any) -> UseCase:
    return bundles.snapshot(**more).use_cases["chat"]


def take(need: int = 1, want: int = 1, back: int = 0, per_minute: int = 60) -> RateAsk:
    return RateAsk("limit.k", per_minute, need, want, back)


def hold(**changes: Any) -> HoldAsk:
    of = {"key": "b", "limit": 100, "seed": 10, "spent": 0, "told": 0, "keep": 0, "need": 5, "least": 1, "parts": 0}
    return HoldAsk(**{**of, "key_seconds": 60, "number": 1, **changes})


async def admits(limits: Limits, call_id: str, of: UseCase, tokens: int = 1) -> bool:
    try:
        await limits.admit(call_id, of, None, tokens)
    except LimitReached:
        return False
    return True


async def test_three_sidecars_together_keep_to_one_limit(stores: list[RedisStore]) -> None:
    """60 a minute: two at once, then one a second, whoever asks. Without the store nothing passes: on a busy machine an
    answer may take longer than a call waits, and what it granted is lost.
    """
    of = use_case(limits=LimitsDocument(requests_per_minute=60, on_store_error="deny"))
    verdicts = Verdicts()
    fleet = [Limits(clock=SYSTEM_CLOCK, observer=verdicts, store=store) for store in stores]
    began = SYSTEM_CLOCK.monotonic()
    passed = 0
    for number in range(200):
        passed += sum(await asyncio.gather(*(admits(limits, str(number), of) for limits in fleet)))
    assert passed <= 2 + (SYSTEM_CLOCK.monotonic() - began)
    assert passed + 2 * verdicts.count("store_error") >= 2


async def test_three_sidecars_together_spend_no_more_than_a_budget(stores: list[RedisStore]) -> None:
    fleet = fleet_of(stores)
    of = use_case(ceiling=Ceiling(hard=HardCeiling(per_day=Decimal(1))))
    for limits in fleet:
        limits.fleet(report("0.4", live=3), SYSTEM_CLOCK.monotonic())
    spent = 0

    async def call(limits: Limits, number: int) -> int:
        call_id = f"{number}"
        if await limits.reserve_money(call_id, of, None, DAY, Decimal("0.01")) is not None:
            return 0
        await asyncio.sleep(0)
        limits.settle_money(record(call_id, "0.01"))
        return 1

    for number in range(100):
        spent += sum(await asyncio.gather(*(call(limits, number) for limits in fleet)))
    assert 45 <= spent <= 60  # of the sixty that are left; the rest is held by sidecars that were refused last


async def test_three_sidecars_together_keep_to_a_number_of_calls(stores: list[RedisStore]) -> None:
    fleet, of = fleet_of(stores), use_case(limits=LimitsDocument(concurrency=7))
    entered = 0
    for number in range(4):
        answers = [asyncio.create_task(admits(limits, str(number), of)) for limits in fleet]
        done, waiting = await asyncio.wait(answers, timeout=0.5)
        entered += sum(task.result() for task in done)
        for task in waiting:
            task.cancel()
    assert entered == 7


async def test_the_script_takes_whole_or_nothing_and_says_how_long_to_wait(stores: list[RedisStore]) -> None:
    store = stores[0]
    first = await store.take(take(1, 5))
    assert (first.granted, first.remaining, first.wait_seconds) == (2, 0, 0)
    second = await store.take(take(1))
    assert second.granted == 0
    assert 0.9 < second.wait_seconds <= 1
    assert (await store.take(take(1, 2, back=1))).granted == 1
    assert (await store.take(take(1, back=-5))).wait_seconds > 5
    assert (await store.take(take(1, per_minute=6_000))).wait_seconds < 0.1  # an edited rule: the same units owed


async def test_what_is_larger_than_a_burst_passes_when_nothing_is_owed(stores: list[RedisStore]) -> None:
    assert (await stores[0].take(take(50, 60))).granted == 50
    assert 49 < (await stores[0].take(take(1))).reset_seconds <= 50


async def test_holds_are_counted_out_to_the_limit_and_running_totals_once(
    stores: list[RedisStore], server: RedisServer
) -> None:
    one, two, _ = stores
    assert (await one.hold(hold(need=60))).held == 60
    refused = await two.hold(hold(need=31))
    assert (refused.is_granted, refused.held, refused.spent, refused.held_by_others) == (False, 0, 10, 60)
    assert (await two.hold(hold(need=30, number=2))).is_granted
    assert (await one.hold(hold(need=0, spent=7, number=2))).spent == 17
    assert (await one.hold(hold(need=0, spent=7, number=3))).spent == 17
    stale = await one.hold(hold(need=60, spent=0, number=1))
    assert (stale.is_granted, stale.held, stale.spent) == (False, 0, 17)
    with server.client() as client:
        assert client.keys("*") == ["pointsman:{b}"]
        assert 0 < client.pttl("pointsman:{b}") <= 60_000


async def test_a_budget_that_neither_knows_is_not_begun_at_nothing(stores: list[RedisStore]) -> None:
    with pytest.raises(StoreAway, match="nothing is known"):
        await stores[0].hold(hold(seed=None))
    await stores[0].hold(hold())
    assert (await stores[1].hold(hold(seed=None))).spent == 10


async def test_a_flushed_budget_begins_at_what_the_ledger_says(stores: list[RedisStore], server: RedisServer) -> None:
    await stores[0].hold(hold(need=0, spent=30))
    server.flush()
    assert (await stores[0].hold(hold(seed=25, need=0, spent=32, told=30, number=2))).spent == 27


@pytest.mark.parametrize("end", ["killed", "stopped"])
async def test_a_store_that_is_gone_is_asked_five_times_and_then_no_more(
    stores: list[RedisStore], server: RedisServer, end: str
) -> None:
    """Added latency stays bounded: five questions of 50 ms at most over all calls, and none after that."""
    store = stores[0]
    await store.take(take(1))
    if end == "killed":
        server.kill()
    else:
        server.send(signal.SIGSTOP)
    for _ in range(OPEN_AFTER_FAILURES):
        assert not store.is_away
        with pytest.raises(StoreAway):
            await store.take(take(1))
    assert store.is_away
    limits = Limits(clock=SYSTEM_CLOCK, observer=Verdicts(), store=store)
    of = use_case(limits=LimitsDocument(requests_per_minute=600, concurrency=99))
    for number in range(20):
        admission = limits.admit(str(number), of, None, 1)
        with pytest.raises(StopIteration):
            admission.send(None)  # it ends without awaiting anything once


async def test_a_store_that_comes_back_is_noticed_without_a_call(server: RedisServer) -> None:
    clock = HandClock(jitter=0.5)
    store = RedisStore(server.url, "one", clock)
    probing = asyncio.create_task(store.run())
    await store.take(take())
    server.send(signal.SIGSTOP)
    for _ in range(OPEN_AFTER_FAILURES):
        with pytest.raises(StoreAway):
            await store.take(take())
    await at_rest()
    assert clock.slept == [3.0]
    server.send(signal.SIGCONT)
    await clock.turn(3.0)
    other = Redis.from_url(server.url)
    async with asyncio.timeout(10):
        while store.is_away:
            await other.ping()
    await other.aclose()
    assert (await store.take(take(per_minute=60_000))).granted == 1  # beside what was asked while it stood still
    probing.cancel()
    await store.close()


async def test_a_restarted_store_has_lost_its_scripts_and_is_given_them_again(
    stores: list[RedisStore], server: RedisServer
) -> None:
    await stores[0].take(take())
    server.kill()
    server.start()
    for _ in range(2):
        try:
            assert (await stores[0].take(take())).granted == 1
            break
        except StoreAway:
            continue  # the connection that died with the server
    else:
        pytest.fail("it did not come back")


def test_a_missing_package_is_said_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(RedisMissing, match=r"pip install 'pointsman\[redis\]'"):
        RedisStore("redis://127.0.0.1:1", "one", SYSTEM_CLOCK)
