"""Places for calls in flight: by shares, by the shared store, and in a short queue."""

import asyncio
from itertools import chain, repeat
from typing import Any

import pytest

from schemas.bundle import Limits
from sidecar.limiter.places import Places
from sidecar.limits.fleet import FleetSize
from sidecar.limits.holdings import RENEW_SECONDS, HoldAsk
from sidecar.limits.meters import SlotMeter
from sidecar.limits.rules import Refusal, rules_of
from sidecar.limits.slots import QUEUE_SECONDS
from tests.fakes.limit_store import Fate, MemoryStore, SharedMemory
from tests.fakes.ports import HandClock, at_rest
from tests.fakes.spend import Verdicts


class Setting:
    def __init__(self, *fates: Fate, shared: SharedMemory | None = None, holder: str = "one", **store: bool) -> None:
        self.clock = HandClock() if shared is None else shared.clock
        self.shared = shared or SharedMemory(self.clock)
        self.store = MemoryStore(self.shared, holder, chain(fates, repeat("answered")))
        self.verdicts = Verdicts()
        self.fleet = FleetSize()
        used = self.store if store.get("has_store", True) else None
        self.places = Places(self.clock, self.fleet, used, self.verdicts)


def meter(places: int = 2, **more: Any) -> SlotMeter:
    return SlotMeter(rules_of("use_case", "chat", Limits(concurrency=places, **more))["concurrency"])


@pytest.mark.parametrize("has_store", [True, False])
async def test_who_finds_no_place_waits_for_the_next_and_leaves_the_rest_to_others(has_store: bool) -> None:
    setting, rule = Setting(has_store=has_store), meter(1)
    assert await setting.places.enter(rule, "a", may_wait=True) is True
    waiting = asyncio.create_task(setting.places.enter(rule, "b", may_wait=True))
    await at_rest()
    assert isinstance(await setting.places.enter(rule, "c", may_wait=True), Refusal)
    setting.places.leave(rule)
    assert await waiting is True
    assert rule.slots.in_use == 1
    assert not setting.clock.waiting()


async def test_the_wait_is_short() -> None:
    setting, rule = Setting(has_store=False), meter(1)
    await setting.places.enter(rule, "a", may_wait=True)
    waiting = asyncio.create_task(setting.places.enter(rule, "b", may_wait=True))
    await at_rest()
    await setting.clock.turn(QUEUE_SECONDS - 0.01)
    assert not waiting.done()
    await setting.clock.turn(0.01)
    assert isinstance(await waiting, Refusal)
    setting.places.leave(rule)
    assert rule.slots.in_use == 0


async def test_who_leaves_the_queue_or_its_turn_leaves_no_place_taken() -> None:
    setting, rule = Setting(has_store=False), meter(1)
    await setting.places.enter(rule, "a", may_wait=True)
    gone = asyncio.create_task(setting.places.enter(rule, "b", may_wait=True))
    await at_rest()
    gone.cancel()
    await at_rest()
    turned = asyncio.create_task(setting.places.enter(rule, "c", may_wait=True))
    await at_rest()
    setting.places.leave(rule)  # its turn comes …
    turned.cancel()  # … as it leaves
    await at_rest()
    assert rule.slots.in_use == 0
    assert await setting.places.enter(rule, "d", may_wait=True) is True


async def test_an_attempt_does_not_wait() -> None:
    setting, rule = Setting(has_store=False), meter(1)
    assert await setting.places.enter(rule, "a", may_wait=False) is True
    assert setting.places.is_full(rule, setting.clock.monotonic())
    assert isinstance(await setting.places.enter(rule, "b", may_wait=False), Refusal)
    setting.places.leave(rule)
    assert not setting.places.is_full(rule, setting.clock.monotonic())


@pytest.mark.parametrize("has_store", [True, False])
async def test_in_shadow_nobody_is_held_up(has_store: bool) -> None:
    setting, rule = Setting(has_store=has_store), meter(1, enforce=False)
    assert await setting.places.enter(rule, "a", may_wait=True) is True
    assert await setting.places.enter(rule, "b", may_wait=True) is False
    assert not setting.places.is_full(rule, setting.clock.monotonic())
    assert [verdict for _, verdict in setting.verdicts.all] == ["allowed", "shadow_refused"]


@pytest.mark.parametrize(("when_away", "places"), [("local_share", 2), ("allow", 9), ("deny", 0)])
@pytest.mark.parametrize("is_known_to_be_away", [True, False])
async def test_without_the_store_each_rule_does_as_it_says(
    when_away: Any, places: int, is_known_to_be_away: bool
) -> None:
    setting, rule = Setting(*["lost"] * 99), meter(4, on_store_error=when_away)
    setting.store.is_away = is_known_to_be_away
    setting.fleet.report(2, setting.clock.monotonic())
    entered = [await setting.places.enter(rule, str(number), may_wait=False) for number in range(9)]
    assert entered.count(True) == places


async def test_a_fleet_shares_its_places_to_the_last_and_gives_back_what_is_idle() -> None:
    first = Setting()
    second = Setting(shared=first.shared, holder="two")
    one, two = meter(10), meter(10)
    entered = [await first.places.enter(one, f"a{number}", may_wait=False) for number in range(6)]
    entered += [await second.places.enter(two, f"b{number}", may_wait=False) for number in range(6)]
    assert entered.count(True) == one.slots.in_use + two.slots.in_use
    assert 9 <= entered.count(True) <= 10
    for _ in range(one.slots.in_use):
        first.places.leave(one)
    await first.clock.turn(RENEW_SECONDS)
    await first.places.renew(one)
    assert first.shared.budgets[one.rule.id].holders["one"].held == 0
    more = [await second.places.enter(two, f"c{number}", may_wait=False) for number in range(10)]
    assert two.slots.in_use == 10
    assert more[-1] is not True


async def test_calls_that_ask_at_once_are_not_refused_while_places_are_left() -> None:
    setting, rule = Setting(), meter(100)
    entered = await asyncio.gather(*(setting.places.enter(rule, str(number), may_wait=False) for number in range(50)))
    assert entered == [True] * 50
    assert all(isinstance(ask, HoldAsk) and ask.keep <= ask.need for ask in setting.store.asked)


async def test_a_sidecar_that_died_loses_its_places_after_a_minute() -> None:
    first = Setting()
    second = Setting(shared=first.shared, holder="two")
    one, two = meter(2), meter(2)
    for number in range(2):
        await first.places.enter(one, str(number), may_wait=False)
    assert isinstance(await second.places.enter(two, "b", may_wait=False), Refusal)
    await first.clock.turn(61)
    assert await second.places.enter(two, "b", may_wait=False) is True
