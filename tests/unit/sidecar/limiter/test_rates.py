"""Rates over shares and leases: all rules of a call grant, or none is charged."""

import asyncio
from itertools import chain, repeat
from math import inf
from typing import Any

import pytest

from schemas.bundle import Limits
from sidecar.limiter.rates import AWAY_SECONDS, Rates
from sidecar.limiter.scopes import Charge, Need
from sidecar.limits.fleet import FleetSize
from sidecar.limits.meters import RateMeter
from sidecar.limits.rules import Refusal, rules_of
from tests.fakes.limit_store import Fate, MemoryStore, SharedMemory
from tests.fakes.ports import HandClock
from tests.fakes.spend import Verdicts


class Setting:
    def __init__(self, *fates: Fate, has_store: bool = True) -> None:
        self.clock = HandClock()
        self.shared = SharedMemory(self.clock)
        self.store = MemoryStore(self.shared, fates=chain(fates, repeat("answered")))
        self.verdicts = Verdicts()
        self.fleet = FleetSize()
        self.rates = Rates(self.clock, self.fleet, self.store if has_store else None, self.verdicts)


def meter(name: str = "chat", per_minute: int = 600, **more: Any) -> RateMeter:
    return RateMeter(rules_of("use_case", name, Limits(tokens_per_minute=per_minute, **more))["tokens_per_minute"])


async def passes(setting: Setting, *needs: Need) -> bool:
    return not isinstance(await setting.rates.take(needs), Refusal)


@pytest.mark.parametrize("has_store", [True, False])
async def test_one_rule_that_refuses_leaves_the_others_uncharged(has_store: bool) -> None:
    setting = Setting(has_store=has_store)
    wide, narrow = meter("wide"), meter("narrow", 60)
    assert await passes(setting, Need(narrow, 2))
    refusal = await setting.rates.take([Need(wide, 1), Need(narrow, 1)])
    assert isinstance(refusal, Refusal)
    assert (refusal.rule.name, refusal.wait_seconds) == ("narrow", pytest.approx(1, abs=0.01))
    assert await passes(setting, Need(wide, 20))
    assert setting.verdicts.all[-2:] == [
        ("limit.use_case.narrow.tokens_per_minute", "refused"),
        ("limit.use_case.wide.tokens_per_minute", "allowed"),
    ]


async def test_while_a_block_lasts_nobody_is_asked() -> None:
    setting, rule = Setting(), meter(per_minute=60_000)
    for _ in range(50):
        assert await passes(setting, Need(rule, 10))
        await setting.clock.turn(0.01)
    asked = len(setting.store.asked)
    for _ in range(20):
        assert await passes(setting, Need(rule, 10))
    assert len(setting.store.asked) - asked <= 1


async def test_a_refusal_of_the_store_is_not_asked_for_again_before_its_time() -> None:
    setting, rule = Setting(), meter()
    assert await passes(setting, Need(rule, 20))
    assert not await passes(setting, Need(rule, 20))
    asked = len(setting.store.asked)
    for _ in range(10):
        assert not await passes(setting, Need(rule, 20))
    assert setting.rates.is_closed(rule, 20, setting.clock.monotonic())
    assert len(setting.store.asked) == asked
    await setting.clock.turn(2.01)
    assert await passes(setting, Need(rule, 20))


@pytest.mark.parametrize("has_store", [True, False])
async def test_what_alone_is_more_than_a_minutes_limit_never_passes(has_store: bool) -> None:
    setting = Setting(has_store=has_store)
    refusal = await setting.rates.take([Need(meter(), 601)])
    assert isinstance(refusal, Refusal)
    assert refusal.wait_seconds == inf
    assert not setting.store.asked


@pytest.mark.parametrize("has_store", [True, False])
async def test_a_rule_in_shadow_counts_what_it_would_refuse_and_refuses_nothing(has_store: bool) -> None:
    setting = Setting(has_store=has_store)
    shadow = meter(enforce=False)
    for amount in (20, 20, 700):
        assert await passes(setting, Need(shadow, amount))
    assert [verdict for _, verdict in setting.verdicts.all] == ["allowed", "shadow_refused", "shadow_refused"]
    assert setting.rates.is_closed(shadow, 20, setting.clock.monotonic()) is False


@pytest.mark.parametrize(
    ("when_away", "passed", "wait"),
    [("local_share", [True, False], 1.0), ("allow", [True, True], None), ("deny", [False, False], AWAY_SECONDS)],
)
@pytest.mark.parametrize("is_known_to_be_away", [True, False])
async def test_without_the_store_each_rule_does_as_it_says(
    when_away: Any, passed: list[bool], wait: float | None, is_known_to_be_away: bool
) -> None:
    setting = Setting(*["lost"] * 99)
    setting.store.is_away = is_known_to_be_away
    setting.fleet.report(2, setting.clock.monotonic())
    rule = meter(on_store_error=when_away)
    results = [await setting.rates.take([Need(rule, 10)]) for _ in range(2)]
    assert [not isinstance(result, Refusal) for result in results] == passed
    if isinstance(results[1], Refusal):
        assert results[1].wait_seconds == pytest.approx(wait, abs=1.01)
    assert setting.verdicts.count("store_error") == (0 if is_known_to_be_away else 2)
    assert len(setting.store.asked) == (0 if is_known_to_be_away else 2)


@pytest.mark.parametrize("fates", [(), ("lost",) * 9])
@pytest.mark.parametrize(("actual", "room"), [(4, 16), (20, 0)])
async def test_a_settled_reservation_makes_room_or_owes(fates: tuple[Fate, ...], actual: int, room: int) -> None:
    setting, rule = Setting(*fates), meter()
    charges = await setting.rates.take([Need(rule, 10)])
    assert charges == [Charge(rule, 10, not fates)]
    setting.rates.correct(charges[0], actual)
    assert await passes(setting, *([Need(rule, room)] if room else []))
    assert not await passes(setting, Need(rule, 1))


async def test_calls_that_wait_for_one_answer_are_all_served_by_it_or_the_next() -> None:
    setting, rule = Setting(), meter(per_minute=60_000)
    results = await asyncio.gather(*(passes(setting, Need(rule, 100)) for _ in range(20)))
    assert all(results)
    assert len(setting.store.asked) <= 3
    assert not await passes(setting, Need(rule, 100))


async def test_where_rules_stand() -> None:
    for setting in (Setting(), Setting(has_store=False)):
        rule = meter()
        await passes(setting, Need(rule, 5))
        remaining, reset = setting.rates.standing(rule, setting.clock.monotonic())
        assert (remaining, reset) == (15, pytest.approx(0.5))
