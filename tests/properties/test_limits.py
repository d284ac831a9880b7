"""Fleets of sidecars against one limit or one budget, over networks that lose, delay and repeat: decision 12's bounds.

Time is turned by hand; demand is uneven (Zipf) and bursty, and more than the limit allows.
"""

import asyncio
from bisect import bisect_right
from collections import deque
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from schemas.bundle import Ceiling, HardCeiling, WhenAway
from schemas.bundle import Limits as LimitsDocument
from schemas.record import CallRecord
from schemas.spend import FleetSpend, UseCaseSpend
from sidecar.errors import LimitReached
from sidecar.limiter.limits import Admission, Limits
from sidecar.limits.blocks import BLOCK_SECONDS
from sidecar.limits.fleet import REPORT_SECONDS
from sidecar.limits.gcra import BURST_SECONDS, WINDOW_SECONDS
from sidecar.routing.snapshot import UseCase
from tests.fakes import core_bundles as bundles
from tests.fakes.limit_store import Fate, MemoryStore, SharedMemory
from tests.fakes.ports import HandClock
from tests.fakes.spend import DAY, Verdicts, record, report

FATES: tuple[Fate, ...] = ("lost", "unheard", "late", "twice")
FLEETS = settings(max_examples=8, deadline=None, phases=[Phase.generate], suppress_health_check=[HealthCheck.too_slow])
seeds = st.integers(0, 2**32)


def fates_of(random: Random, share_bad: float) -> Iterator[Fate]:
    while True:
        yield random.choice(FATES) if random.random() < share_bad else "answered"


@dataclass
class Fleet:
    """`sidecars` of them; `bad` of a hundred questions to the shared store go wrong. None: there is no store."""

    sidecars: int
    random: Random
    bad: float | None = None
    has_controller: bool = True
    clock: HandClock = field(default_factory=HandClock)
    members: list[Limits] = field(default_factory=list)
    stores: list[MemoryStore] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.shared = SharedMemory(self.clock)
        for number in range(self.sidecars):
            store = None
            if self.bad is not None:
                store = MemoryStore(self.shared, str(number), fates_of(self.random, self.bad))
                self.stores.append(store)
            made = Limits(clock=self.clock, observer=Verdicts(), store=store, has_controller=self.has_controller)
            if self.has_controller:
                made.fleet(report(live=self.sidecars), self.clock.monotonic())
            self.members.append(made)
        self.weights = [1 / (rank + 1) ** 1.1 for rank in range(self.sidecars)]

    def callers(self, per_second: float, seconds: float) -> list[int]:
        """Who calls in these seconds."""
        count = int(per_second * seconds * self.random.choice((0.2, 1, 1, 1.8)))
        return self.random.choices(range(self.sidecars), self.weights, k=count)

    async def pass_time(self, seconds: float) -> None:
        await self.clock.turn(seconds)
        for member in self.members:
            await member.tidy()
        for store in self.stores:
            if self.random.random() < 0.2:
                store.arrive_late()


async def admitted(fleet: Fleet, use_case: UseCase, tokens: int, per_second: float, seconds: float) -> list[float]:
    """When calls passed, of a demand of so many a second."""
    passed, step = list[float](), 0.25
    for tick in range(int(seconds / step)):
        for number, member in enumerate(fleet.callers(per_second, step)):
            call_id = f"{tick}.{number}"
            try:
                await fleet.members[member].admit(call_id, use_case, None, tokens)
            except LimitReached:
                continue
            passed.append(fleet.clock.monotonic())
            fleet.members[member].settle(call_id, tokens)
        await fleet.pass_time(step)
    return passed


def most_in_a_window(times: list[float], window: float = WINDOW_SECONDS) -> int:
    return max((bisect_right(times, start + window) - index for index, start in enumerate(times)), default=0)


def limited(when_away: WhenAway = "local_share", **limits: Any) -> UseCase:
    return bundles.snapshot(limits=LimitsDocument(on_store_error=when_away, **limits)).use_cases["chat"]


PER_MINUTE = 3_000
BY_SHARES = PER_MINUTE * (WINDOW_SECONDS + BURST_SECONDS) / WINDOW_SECONDS
BY_BLOCKS = PER_MINUTE * (WINDOW_SECONDS + BURST_SECONDS + BLOCK_SECONDS) / WINDOW_SECONDS
assert round(BY_BLOCKS) == round(1.10 * PER_MINUTE)


@FLEETS
@given(seed=seeds, sidecars=st.sampled_from([1, 3, 20]), tokens=st.sampled_from([1, 7]))
async def test_shares_let_no_more_through_than_the_rate_a_burst_and_one_call_each(
    seed: int, sidecars: int, tokens: int
) -> None:
    fleet = Fleet(sidecars, Random(seed))
    use_case = limited(tokens_per_minute=PER_MINUTE)
    passed = await admitted(fleet, use_case, tokens, 1.5 * PER_MINUTE / 60 / tokens, 75)
    assert most_in_a_window(passed) * tokens <= BY_SHARES + sidecars * tokens


@FLEETS
@given(seed=seeds, sidecars=st.sampled_from([1, 3, 20]), bad=st.sampled_from([0.0, 0.1, 0.5]))
async def test_blocks_let_no_more_through_than_a_tenth_above_the_limit(seed: int, sidecars: int, bad: float) -> None:
    fleet = Fleet(sidecars, Random(seed), bad)
    use_case = limited("deny", requests_per_minute=PER_MINUTE)
    passed = await admitted(fleet, use_case, 1, 1.5 * PER_MINUTE / 60, 75)
    assert most_in_a_window(passed) <= BY_BLOCKS


async def test_blocks_of_sidecars_that_fell_silent_are_not_spent_when_all_wake_at_once() -> None:
    """Each is busy in its turn, below the limit, and is granted ahead; then all call at once."""
    fleet, use_case, passed = Fleet(150, Random(1), 0.0), limited("deny", requests_per_minute=PER_MINUTE), list[float]()

    async def burst(members: list[Limits], calls: int) -> None:
        for member in members:
            for _ in range(calls):
                try:
                    await member.admit("call", use_case, None, 1)
                    passed.append(fleet.clock.monotonic())
                except LimitReached:
                    break

    for member in fleet.members:
        for _ in range(10):
            await burst([member], PER_MINUTE // 60 // 10)
            await fleet.clock.turn(0.2)
    await fleet.clock.turn(10)
    await burst(fleet.members, PER_MINUTE)
    for window in (1.0, 10.0, WINDOW_SECONDS):
        most = PER_MINUTE * (window + BURST_SECONDS + BLOCK_SECONDS) / WINDOW_SECONDS
        assert most_in_a_window(passed, window) <= most


@FLEETS
@given(seed=seeds, bad=st.sampled_from([0.1, 0.5, 1.0]))
async def test_a_fleet_that_is_cut_off_adds_its_shares_and_no_more(seed: int, bad: float) -> None:
    fleet = Fleet(10, Random(seed), bad)
    passed = await admitted(fleet, limited(requests_per_minute=PER_MINUTE), 1, 3 * PER_MINUTE / 60, 75)
    assert most_in_a_window(passed) <= BY_BLOCKS + BY_SHARES + fleet.sidecars


async def test_blocks_use_nearly_the_whole_limit_with_a_fraction_of_the_questions() -> None:
    fleet = Fleet(20, Random(1), 0.0)
    passed = await admitted(fleet, limited(requests_per_minute=60_000), 1, 1_500, 20)
    assert len(passed) >= 0.9 * 1_000 * 20
    assert fleet.shared.takes <= 0.25 * len(passed)


@FLEETS
@given(seed=seeds, bad=st.sampled_from([0.0, 0.2, 0.5]))
async def test_there_are_never_more_calls_in_flight_than_the_limit(seed: int, bad: float) -> None:
    random = Random(seed)
    fleet, use_case = Fleet(4, random, bad), limited("deny", concurrency=13)
    open_calls = list[tuple[int, str]]()
    for tick in range(400):
        member, call_id = random.randrange(4), str(tick)
        if random.random() < 0.6:
            admission = fleet.members[member].admit(call_id, use_case, None, 1)
            if await _at_once(fleet, admission):
                open_calls.append((member, call_id))
        elif open_calls:
            member, call_id = open_calls.pop(random.randrange(len(open_calls)))
            fleet.members[member].settle(call_id, 0)
        assert len(open_calls) <= 13
        await fleet.pass_time(random.choice((0.05, 0.2, 1.0)))


async def _at_once(fleet: Fleet, admission: Coroutine[Any, Any, Admission]) -> bool:
    """Whether it is let in; one that would queue is refused when its wait is over."""
    task = asyncio.ensure_future(admission)
    await fleet.clock.turn(0)
    if not task.done():
        await fleet.clock.turn(2.5)
    return task.exception() is None


LIMIT = Decimal(20)
PRICE = Decimal("0.05")


def capped(when_away: WhenAway) -> UseCase:
    ceiling = Ceiling(then=("beta",), hard=HardCeiling(per_day=LIMIT), on_store_error=when_away)
    return bundles.snapshot(ceiling=ceiling).use_cases["chat"]


@dataclass
class Ledger:
    """The controller's books, and its reports on their way."""

    fleet: Fleet
    booked: Decimal = Decimal(0)
    history: list[Decimal] = field(default_factory=list)
    under_way: list[deque[tuple[int, FleetSpend, tuple[CallRecord, ...]]]] = field(default_factory=list)
    pending: list[list[CallRecord]] = field(default_factory=list)
    ticks: int = 0

    def __post_init__(self) -> None:
        self.under_way = [deque() for _ in self.fleet.members]
        self.pending = [[] for _ in self.fleet.members]

    def document(self) -> FleetSpend:
        spent = UseCaseSpend(self.booked, self.booked)
        at = f"2026-11-25T12:{self.ticks // 60:02}:{self.ticks % 60:02}Z"
        return FleetSpend(DAY, at, {"chat": spent}, {}, self.fleet.sidecars)

    def turn(self, *, may_ship: float, may_report: float, longest_delay: int) -> None:
        """A second: some ship what they have and get a receipt, some are sent a report; it comes when it comes."""
        self.ticks += 1
        self.history.append(self.booked)
        random = self.fleet.random
        shipped = [tuple[CallRecord, ...]() for _ in self.pending]
        for number, pending in enumerate(self.pending):
            if random.random() < may_ship or self.ticks % 5 == 0:
                shipped[number], self.pending[number] = tuple(pending), []
                self.booked += sum((call.cost_usd or Decimal(0) for call in pending), Decimal(0))
        for number, records in enumerate(shipped):
            if records or random.random() < may_report:
                due = self.ticks + random.randint(0, longest_delay)
                self.under_way[number].append((due, self.document(), records))

    def deliver(self) -> None:
        random = self.fleet.random
        for number, waiting in enumerate(self.under_way):
            member = self.fleet.members[number]
            arriving = [message for message in waiting if message[0] <= self.ticks]
            for message in arriving:
                waiting.remove(message)
            random.shuffle(arriving)
            for _, document, shipped in arriving:
                member.shipped(shipped)
                for _ in range(random.choice((1, 1, 2))):
                    member.fleet(document, self.fleet.clock.monotonic())


async def spend_all(fleet: Fleet, ledger: Ledger, use_case: UseCase, seconds: int, **network: Any) -> Decimal:
    """What a fleet spends that is held by nothing but the ceiling."""
    total = Decimal(0)
    for tick in range(seconds):
        for number, member in enumerate(fleet.callers(60, 1)):
            call_id = f"{tick}.{number}"
            if await fleet.members[member].reserve_money(call_id, use_case, None, DAY, PRICE) is None:
                made = record(call_id, str(PRICE), caller="")
                fleet.members[member].settle_money(made)
                ledger.pending[member].append(made)
                total += PRICE
        if network:
            ledger.turn(**network)
            ledger.deliver()
        await fleet.pass_time(1)
    return total


@FLEETS
@given(seed=seeds, sidecars=st.sampled_from([1, 4, 12]))
async def test_a_budget_is_not_passed_while_reports_are_fresh(seed: int, sidecars: int) -> None:
    fleet = Fleet(sidecars, Random(seed))
    total = await spend_all(fleet, Ledger(fleet), capped("deny"), 60, may_ship=1.0, may_report=1.0, longest_delay=0)
    assert LIMIT - sidecars * PRICE * sidecars <= total <= LIMIT


@FLEETS
@given(seed=seeds, longest_delay=st.sampled_from([1, 5, 12]), may_report=st.sampled_from([0.05, 0.5]))
async def test_a_budget_is_passed_by_no_more_than_was_booked_in_the_age_of_a_report(
    seed: int, longest_delay: int, may_report: float
) -> None:
    """Reports are lost, late, repeated and out of order; records are shipped within five seconds."""
    fleet = Fleet(6, Random(seed))
    ledger = Ledger(fleet)
    total = await spend_all(
        fleet, ledger, capped("deny"), 120, may_ship=0.3, may_report=may_report, longest_delay=longest_delay
    )
    books, window = ledger.history, int(REPORT_SECONDS) + 5
    in_that_age = max(books[tick] - books[max(0, tick - window)] for tick in range(len(books)))
    assert total <= LIMIT + in_that_age


@FLEETS
@given(seed=seeds, sidecars=st.sampled_from([1, 4, 12]))
async def test_a_controller_that_is_gone_leaves_each_sidecar_its_share(seed: int, sidecars: int) -> None:
    fleet = Fleet(sidecars, Random(seed))
    total = await spend_all(fleet, Ledger(fleet), capped("local_share"), 90)
    assert total <= LIMIT


@FLEETS
@given(seed=seeds, sidecars=st.sampled_from([1, 4, 12]), bad=st.sampled_from([0.0, 0.1, 0.5]))
async def test_a_shared_budget_is_never_passed_whatever_the_network_does(seed: int, sidecars: int, bad: float) -> None:
    fleet = Fleet(sidecars, Random(seed), bad)
    ledger = Ledger(fleet)
    total = await spend_all(fleet, ledger, capped("deny"), 120)
    assert total <= LIMIT
    if bad == 0.0:
        assert total == LIMIT


@FLEETS
@given(seed=seeds)
async def test_a_store_that_is_emptied_begins_again_where_the_ledger_is(seed: int) -> None:
    """What is passed is at most what sidecars held, and what the ledger did not have yet."""
    fleet = Fleet(4, Random(seed), 0.0)
    ledger = Ledger(fleet)
    network = {"may_ship": 1.0, "may_report": 1.0, "longest_delay": 0}
    total = await spend_all(fleet, ledger, capped("deny"), 3, **network)
    held = sum(budget.held for budget in fleet.shared.budgets.values())
    fleet.shared.flush()
    total += await spend_all(fleet, ledger, capped("deny"), 120, **network)
    assert total <= LIMIT + Decimal(held) / 1_000_000
