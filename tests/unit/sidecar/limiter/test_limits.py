"""What the pipeline asks and tells: scopes, reservations by call, errors, headers, reloads."""

import asyncio
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from schemas.bundle import Caller, Ceiling, Model, Provider
from schemas.bundle import Limits as LimitsDocument
from schemas.record import CallRecord, Usage
from sidecar.errors import LimitReached
from sidecar.limiter.budgets import MoneyRefusal
from sidecar.limiter.limits import AFTER_DEADLINE_SECONDS, Limits
from sidecar.limits.rules import Refusal
from sidecar.routing.snapshot import Target, UseCase
from tests.fakes import core_bundles as bundles
from tests.fakes.limit_store import MemoryStore, SharedMemory
from tests.fakes.ports import HandClock, at_rest
from tests.fakes.spend import DAY, Verdicts, record, report


class Setting:
    def __init__(self, **more: Any) -> None:
        self.clock = HandClock()
        self.verdicts = Verdicts()
        self.limits = Limits(clock=self.clock, observer=self.verdicts, **more)

    async def admits(self, call_id: str, use_case: UseCase, caller: Caller | None = None, tokens: int = 10) -> bool:
        try:
            await self.limits.admit(call_id, use_case, caller, tokens)
        except LimitReached:
            return False
        return True


def limited(**limits: Any) -> UseCase:
    return bundles.snapshot(limits=LimitsDocument(**limits)).use_cases["chat"]


def targets(provider: LimitsDocument | None = None, model: LimitsDocument | None = None) -> tuple[Target, ...]:
    """`alpha@one`, which is limited, and `beta@two`, which is not."""
    alpha = bundles.model("one")
    made = Model(vendor=alpha.vendor, context_window=9, max_output_tokens=9, served_by=alpha.served_by, limits=model)
    providers: dict[str, Provider] = {"one": bundles.provider(limits=provider), "two": bundles.provider()}
    models = {"alpha": made, "beta": bundles.model("two")}
    return bundles.snapshot(models=models, providers=providers).use_cases["chat"].chain.targets


async def test_a_call_without_limits_costs_nothing_and_says_nothing() -> None:
    setting = Setting()
    admission = await setting.limits.admit("1", bundles.snapshot().use_cases["chat"], None, 10)
    assert not admission.headers
    assert not setting.verdicts.all


async def test_a_refusal_says_which_rule_and_when_to_come_again() -> None:
    setting, use_case = Setting(), limited(requests_per_minute=6, tokens_per_minute=6_000)
    admission = await setting.limits.admit("1", use_case, None, 100)
    assert admission.headers == {
        "x-ratelimit-limit-requests": "6", "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "10s", "x-ratelimit-limit-tokens": "6000",
        "x-ratelimit-remaining-tokens": "100", "x-ratelimit-reset-tokens": "1s",
    }  # fmt: skip
    with pytest.raises(LimitReached, match=r"limit\.use_case\.chat\.requests_per_minute.*try again in 10 s") as caught:
        await setting.limits.admit("2", use_case, None, 100)
    assert (caught.value.status, caught.value.rule) == (429, "limit.use_case.chat.requests_per_minute")
    assert caught.value.headers["retry-after"] == "10"
    assert caught.value.headers["x-ratelimit-remaining-requests"] == "0"


async def test_what_can_never_pass_is_not_to_be_tried_again() -> None:
    setting = Setting()
    with pytest.raises(LimitReached, match="this call alone needs about 601 tokens") as caught:
        await setting.limits.admit("1", limited(tokens_per_minute=600), None, 601)
    assert caught.value.headers["x-should-retry"] == "false"
    assert "retry-after" not in caught.value.headers


async def test_a_callers_limit_holds_beside_the_use_cases_and_the_tighter_one_is_shown() -> None:
    setting, use_case = Setting(), limited(requests_per_minute=6000)
    caller = Caller(name="bot", key_sha256="", limits=LimitsDocument(requests_per_minute=60))
    admission = await setting.limits.admit("1", use_case, caller, 10)
    assert admission.headers["x-ratelimit-limit-requests"] == "60"
    assert await setting.admits("2", use_case, caller)
    with pytest.raises(LimitReached, match=r"limit\.caller\.bot"):
        await setting.limits.admit("3", use_case, caller, 10)
    assert await setting.admits("4", use_case, None)


async def test_tokens_are_settled_with_what_was_used_and_only_once() -> None:
    setting, use_case = Setting(), limited(tokens_per_minute=600)
    assert await setting.admits("1", use_case, tokens=20)
    assert not await setting.admits("2", use_case, tokens=1)
    setting.limits.settle("1", 5)
    setting.limits.settle("1", 5)
    setting.limits.release("1")
    assert not await setting.admits("2", use_case, tokens=16)
    assert await setting.admits("2", use_case, tokens=15)


async def test_a_released_call_frees_its_place_and_its_tokens_and_stays_a_request() -> None:
    setting, use_case = Setting(), limited(tokens_per_minute=600, concurrency=1, requests_per_minute=30)
    assert await setting.admits("1", use_case, tokens=20)
    setting.limits.release("1")
    assert [rule.rpartition(".")[2] for rule, _ in setting.verdicts.all] == [
        "concurrency", "requests_per_minute", "tokens_per_minute",
    ]  # fmt: skip
    with pytest.raises(LimitReached, match="requests_per_minute"):
        await setting.limits.admit("2", use_case, None, 20)
    await setting.clock.turn(2)
    assert await setting.admits("3", use_case, tokens=20)


async def test_a_call_that_a_rate_refuses_or_that_leaves_holds_no_place() -> None:
    setting, use_case = Setting(), limited(requests_per_minute=30, concurrency=1)
    assert await setting.admits("1", use_case)
    setting.limits.release("1")
    assert not await setting.admits("2", use_case)
    waiting = asyncio.create_task(setting.limits.admit("3", use_case, None, 1))
    await at_rest()
    waiting.cancel()
    await setting.clock.turn(5)
    assert await setting.admits("4", use_case)


async def test_calls_queue_for_a_place() -> None:
    setting, use_case = Setting(), limited(concurrency=1)
    assert await setting.admits("1", use_case)
    waiting = asyncio.create_task(setting.admits("2", use_case))
    await at_rest()
    setting.limits.settle("1", 0)
    assert await waiting


async def test_what_is_never_settled_is_released_after_its_deadline() -> None:
    setting, use_case = Setting(), limited(concurrency=1)
    assert await setting.admits("1", use_case)
    background = asyncio.create_task(setting.limits.run())
    await at_rest()
    await setting.clock.turn(use_case.timeouts.deadline + AFTER_DEADLINE_SECONDS - 1)
    waiting = asyncio.create_task(setting.admits("2", use_case))
    await at_rest()
    await setting.clock.turn(0.5)
    assert not waiting.done()
    await setting.clock.turn(0.5)
    assert await waiting
    background.cancel()


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"provider": LimitsDocument(requests_per_minute=30)}, "limit.provider.requests_per_minute"),
        ({"provider": LimitsDocument(concurrency=1)}, "limit.provider.concurrency"),
        ({"model": LimitsDocument(tokens_per_minute=300)}, "limit.model.tokens_per_minute"),
    ],
)
async def test_a_limit_at_a_target_skips_it_and_no_other(limits: dict[str, LimitsDocument], reason: str) -> None:
    setting, (alpha, beta) = Setting(), targets(**limits)
    now = setting.clock.monotonic()
    assert setting.limits.limited_targets((alpha, beta), 10, now) == {}
    assert await setting.limits.take("1", alpha, 10) is None
    assert setting.limits.limited_targets((alpha, beta), 10, now) == {"alpha@one": reason}
    refusal = await setting.limits.take("2", alpha, 10)
    assert isinstance(refusal, Refusal)
    assert refusal.rule.reason == reason
    assert await setting.limits.take("2", beta, 10) is None


async def test_the_next_attempt_gives_back_what_the_one_before_had_taken() -> None:
    setting, (alpha, beta) = Setting(), targets(LimitsDocument(concurrency=1, tokens_per_minute=600))
    use_case = bundles.snapshot().use_cases["chat"]
    await setting.limits.admit("1", use_case, None, 20)
    assert await setting.limits.take("1", alpha, 20) is None
    assert await setting.limits.take("1", beta, 20) is None
    assert await setting.limits.take("2", alpha, 20) is None
    setting.limits.settle("2", 15)
    assert await setting.limits.take("3", alpha, 5) is None


async def test_a_reload_goes_on_with_what_is_counted() -> None:
    setting = Setting()
    assert await setting.admits("1", limited(requests_per_minute=30))
    for _ in range(10):
        assert not await setting.admits("2", limited(requests_per_minute=30))
    assert not await setting.admits("2", limited(requests_per_minute=30, tokens_per_minute=10**9))
    assert await setting.admits("2", limited(tokens_per_minute=10**9))
    await setting.clock.turn(1)
    assert not await setting.admits("2", limited(requests_per_minute=30))
    await setting.clock.turn(1)
    assert await setting.admits("2", limited(requests_per_minute=30))


async def test_a_fleet_that_grows_takes_its_share_at_once() -> None:
    setting, use_case = Setting(has_controller=True), limited(requests_per_minute=600)
    assert setting.limits.fleet(report(live=10), setting.clock.monotonic())
    assert [await setting.admits(str(number), use_case) for number in range(3)] == [True, True, False]


async def test_money_is_reserved_settled_once_and_told_to_the_plan() -> None:
    setting = Setting()
    use_case = bundles.snapshot(ceiling=Ceiling(per_day=Decimal(10))).use_cases["chat"]
    reserve = setting.limits.reserve_money
    assert await reserve("1", use_case, None, DAY, Decimal(9)) is None
    assert await reserve("1", use_case, None, DAY, Decimal(4)) is None  # the same call, planned again
    assert setting.limits.spend("chat", DAY).per_day == 4
    refused = await reserve("2", use_case, None, DAY, Decimal("6.5"))
    assert isinstance(refused, MoneyRefusal)
    assert refused.reason == "cost_ceiling.per_day"
    for _ in range(2):
        setting.limits.settle_money(record("1", "3", wasted="0.5"))
    assert setting.limits.spend("chat", DAY).per_day == Decimal("3.5")
    assert await reserve("2", use_case, None, DAY, Decimal("6.5")) is None


async def test_a_record_without_a_price_or_a_reservation_is_settled_too() -> None:
    setting = Setting()
    setting.limits.settle_money(record("1", None, wasted="0.5"))
    assert setting.limits.spend("chat", DAY).per_day == Decimal("0.5")


async def test_money_of_a_call_that_was_never_settled_comes_back() -> None:
    setting = Setting()
    use_case = bundles.snapshot(ceiling=Ceiling(per_day=Decimal(10))).use_cases["chat"]
    assert await setting.limits.reserve_money("1", use_case, None, DAY, Decimal(9)) is None
    await setting.clock.turn(use_case.timeouts.deadline + AFTER_DEADLINE_SECONDS)
    await setting.limits.tidy()
    assert setting.limits.spend("chat", DAY).per_day == 0


async def test_what_was_shipped_is_counted_by_the_report_that_has_it() -> None:
    setting = Setting(has_controller=True)
    now = setting.clock.monotonic()
    setting.limits.fleet(report("1"), now)
    setting.limits.settle_money(record("1", "2"))
    setting.limits.shipped([record("1", "2")])
    assert setting.limits.fleet(report("3", at="2026-11-25T12:00:01Z"), now)
    assert setting.limits.spend("chat", DAY).per_day == 3


async def test_expected_lengths_are_learned_from_what_providers_counted() -> None:
    setting = Setting()
    assert setting.limits.expect_output("chat", 5000) == 1024
    for number in range(100):
        made = record(str(number))
        usage = Usage(input_tokens=1, output_tokens=10)
        setting.limits.settle_money(_with(made, usage=usage))
        setting.limits.settle_money(_with(made, id=f"e{number}", usage=Usage(output_tokens=9_999), estimated=True))
    assert setting.limits.expect_output("chat", 5000) == 10


async def test_a_sidecar_that_ends_leaves_its_places_to_others() -> None:
    clock = HandClock()
    shared = SharedMemory(clock)
    one, two = (Limits(clock=clock, observer=Verdicts(), store=MemoryStore(shared, name)) for name in ("one", "two"))
    use_case = limited(concurrency=8)
    for number in range(8):
        await one.admit(str(number), use_case, None, 1)
    for number in range(8):
        one.settle(str(number), 1)
    await one.close()
    for number in range(8):
        await two.admit(str(number), use_case, None, 1)


def _with(made: CallRecord, **changes: Any) -> CallRecord:
    return msgspec.structs.replace(made, **changes)
