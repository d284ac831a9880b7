"""Three sidecars under one limit, one budget, one invoice: what a rule says, and what the provider really got."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from decimal import Decimal
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.fakes.controller import ControllerProcess, StartController
from tests.fakes.load import Came, Kind, Load, call, counted
from tests.fakes.processes import eventually
from tests.fakes.redis_server import running_redis
from tests.fakes.rules_repo import RulesRepo
from tests.fakes.sidecar import SidecarProcess, StartSidecar
from tests.fakes.simulator import SimulatorProcess, StartSimulator
from tests.system.rules import USE_CASE_FILE, Door, files, use_case

SIDECARS = 3
PER_MINUTE = 600
BURST_SECONDS, BLOCK_SECONDS = 2, 4
DAY_USD = Decimal("0.10")
MOST_RESERVED = Decimal("0.0400")
"""For a call of 64 tokens at 600 dollars a million. By shares a call fits when N times its reservation does."""
USED_UP_SECONDS = 30.0
"""What idle sidecars hold at the store goes back with their next word to it, each second."""
BY_SHARES_OVER = Decimal("0.1")
"""By shares a budget may be passed by what is booked while the oldest report in use is current (decision 12): here a
second or so of a spending that takes many.
"""
PRICE = Decimal(3), Decimal(15)
"""US dollars per million tokens of input and output, as in `tests/system/rules.py`."""


@dataclass(frozen=True)
class Fleet:
    repo: RulesRepo
    rules: dict[str, str]
    controller: ControllerProcess
    sidecars: Sequence[SidecarProcess]
    maker: SimulatorProcess
    redis_url: str | None

    def change(self, more: str) -> None:
        """Further lines of the use case, once every sidecar runs by them."""
        revision = self.repo.commit(self.rules | {USE_CASE_FILE: use_case("red", "green", more=more)})
        eventually(lambda: all(s.status().active.revision == revision for s in self.sidecars), 10)

    def is_booked(self) -> bool:
        return all(sidecar.status().spooled_records == 0 for sidecar in self.sidecars)

    def load(self, workers: int = 12) -> Load:
        return Load([lambda s=s: s.url for s in self.sidecars], workers=workers)  # type: ignore[misc]

    def spent(self) -> Decimal:
        rows = self.controller.usage("use_case")
        return sum((Decimal(row["cost_usd"]) + Decimal(row["wasted_usd"]) for row in rows), Decimal(0))

    def settle(self) -> None:
        """Every record is booked, and with it every sidecar has heard how many they are."""
        eventually(self.is_booked, 20)


@pytest.fixture(params=["by shares", "by a store"])
def fleet(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    start_controller: StartController,
    start_sidecar: StartSidecar,
    start_simulator: StartSimulator,
) -> Iterator[Fleet]:
    maker = start_simulator("alpha")
    doors = [Door("red", "openai", maker.url), Door("green", "anthropic", maker.url)]
    repo, rules = RulesRepo(tmp_path / "rules"), files(doors, {"support": use_case("red", "green")})
    repo.commit(rules)
    store: Any = running_redis(tmp_path) if request.param == "by a store" else nullcontext()
    with store as redis:
        controller = start_controller(repo.path)
        controller.child.wait_for("revision.accepted")
        options = ["--controller-token", str(controller.token_file)]
        options += ["--redis-url", redis.url] if redis is not None else []
        sidecars = [start_sidecar(controller.url, options=options) for _ in range(SIDECARS)]
        fleet = Fleet(repo, rules, controller, sidecars, maker, None if redis is None else redis.url)
        eventually(lambda: len(controller.fleet()) == SIDECARS, 10)
        with fleet.load(workers=SIDECARS) as load:
            load.wait_for(2 * SIDECARS)
        fleet.settle()
        yield fleet


def answered(came: Sequence[Came]) -> list[Came]:
    return [call for call in came if call.status == 200]


def test_a_limit_is_the_fleet_s_and_not_each_sidecar_s(fleet: Fleet) -> None:
    fleet.change(f"limits: {{requests_per_minute: {PER_MINUTE}}}\n")
    fleet.maker.clear()
    with fleet.load() as load:
        load.wait_for(1_200)
        came = load.stop()
    seconds = max(call.ended for call in came) - min(call.began for call in came)
    statuses = Counter(call.status for call in came)
    assert statuses.keys() == {200, 429}, counted(came)
    passed = len(fleet.maker.entries())
    assert passed == statuses[200]
    assert passed <= PER_MINUTE / 60 * (seconds + BURST_SECONDS + BLOCK_SECONDS) + SIDECARS
    assert passed >= PER_MINUTE / 60 * BURST_SECONDS / 2, "and it is not refused what it may have"
    refused = next(call for call in came if call.status == 429)
    assert int(refused.headers["retry-after"]) >= 1
    assert "x-should-retry" not in refused.headers
    assert refused.headers["x-ratelimit-limit-requests"] == str(PER_MINUTE)
    assert b"limit.use_case.support.requests_per_minute" in refused.body


def test_a_hard_ceiling_is_the_fleet_s_and_calls_in_flight_do_not_pass_it(fleet: Fleet) -> None:
    spent = fleet.spent()
    ceiling = spent + DAY_USD
    fleet.change(f"cost_ceiling: {{per_day: {ceiling}, then: reject}}\n")
    with fleet.load() as load:
        eventually(lambda: fleet.spent() >= spent + DAY_USD * Decimal("0.8"), 40)  # refused when it is nearly all
        load.wait_for(200)
        came = load.stop()
    assert {call.status for call in came} == {200, 402}, counted(came)
    fleet.settle()
    assert fleet.spent() <= ceiling + (DAY_USD * BY_SHARES_OVER if fleet.redis_url is None else 0)
    refused = next(call for call in came if call.status == 402)
    assert refused.headers["x-should-retry"] == "false"
    assert refused.headers["x-pointsman-reason"] == "cost_ceiling.per_day"


def test_the_books_agree_with_the_provider_to_the_last_token(fleet: Fleet) -> None:
    fleet.maker.fault({"status": 500}, model="red-*", times=7)
    fleet.maker.fault({"status": 429}, model="red-*", times=5)
    with fleet.load() as load:
        load.wait_for(150)
        came = load.stop()
    fleet.settle()
    assert all(call.is_whole for call in came), counted(came)
    billed = Counter[str]()
    for entry in fleet.maker.entries():
        usage = entry["usage"] or {}
        billed.update({name: usage.get(name, 0) for name in ("input_tokens", "output_tokens")})
    booked = Counter[str]()
    rows = fleet.controller.usage("use_case,model,provider,outcome")
    for row in rows:
        booked.update({name: row[name] for name in ("input_tokens", "output_tokens")})
    assert booked == billed
    dollars = sum(Decimal(row["cost_usd"]) for row in rows)
    assert dollars == sum(billed[name] * price for name, price in zip(sorted(billed), PRICE, strict=True)) / 1_000_000


async def test_two_hundred_calls_at_once_neither_pass_a_dollar_nor_are_refused_while_money_is_left(
    fleet: Fleet,
) -> None:
    """Waves over all sidecars, each answered in part, until not one more call fits beside what is left."""
    red = "models/red.yaml"
    dear = fleet.rules[red].replace("output: 15.00", "output: 600.00")
    spent = fleet.spent()
    ceiling = {
        USE_CASE_FILE: use_case("red", more=f"cost_ceiling: {{per_day: {spent + 1}, then: reject}}\n"),
        red: dear,
    }
    revision = fleet.repo.commit(fleet.rules | ceiling)
    eventually(lambda: all(s.status().active.revision == revision for s in fleet.sidecars), 10)
    answered, after, deadline = 0, 0, time.monotonic() + USED_UP_SECONDS
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        kind = Kind("anthropic", False)
        # Once hardly anything is left, two waves more: nothing may come of them that is not there.
        while after < 2 and time.monotonic() < deadline:
            urls = islice(cycle(sidecar.url for sidecar in fleet.sidecars), 200)
            came = await asyncio.gather(*(call(session, url, kind, "Hello.") for url in urls))
            assert {one.status for one in came} <= {200, 402}, counted(came)
            answered += sum(one.status == 200 for one in came)
            await asyncio.to_thread(fleet.settle)
            after += spent + 1 - fleet.spent() < SIDECARS * MOST_RESERVED
    left = spent + 1 - fleet.spent()
    print(f"{answered} calls answered, {left} of a dollar left")
    assert left >= (-BY_SHARES_OVER if fleet.redis_url is None else 0)
    assert left < SIDECARS * MOST_RESERVED, "refused while money was left"
