from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.ledger.spend import SpendBook
from controller.ledger.store import Ledger
from schemas.record import CallRecord
from schemas.spend import CallerSpend, FleetSpend, UseCaseSpend
from tests.fakes.processes import eventually

MakeRecord = Callable[..., CallRecord]
OpenLedger = Callable[..., Ledger]

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC).timestamp()
DAY = 86_400.0


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        return self.now


def spent(spend: FleetSpend) -> dict[str, tuple[str, str]]:
    return {name: (str(usd.per_day), str(usd.per_month)) for name, usd in spend.use_cases.items()}


def on(day: str, **changes: object) -> dict[str, object]:
    return {"at": f"{day}T10:00:00.000Z", **changes}


async def test_spend_counts_cost_and_waste_of_the_day_and_of_its_month(
    open_ledger: OpenLedger, make_record: MakeRecord
) -> None:
    clock = Clock()
    ledger = open_ledger(now=clock)
    await ledger.book(
        [
            make_record(1, **on("2026-11-25", cost_usd=Decimal("0.10"), wasted_usd=Decimal("0.01"), caller="bot")),
            make_record(2, **on("2026-11-25", cost_usd=None, caller="bot")),
            make_record(3, **on("2026-11-01", cost_usd=Decimal("0.20"), caller="bot")),
            make_record(4, **on("2026-10-31", cost_usd=Decimal(9))),
            make_record(5, **on("2026-11-26", cost_usd=Decimal("0.40"), use_case="early")),
        ]
    )
    for known in (ledger, open_ledger(now=clock)):  # in memory, and read anew
        spend = known.spend()
        assert (spend.day, spend.at) == ("2026-11-25", "2026-11-25T12:00:00.000Z")
        assert spend.use_cases == {
            "support": UseCaseSpend(Decimal("0.11"), Decimal("0.31")),
            "early": UseCaseSpend(Decimal(0), Decimal("0.40")),
        }
        assert spend.callers == {"bot": CallerSpend(Decimal("0.31"))}


async def test_a_new_day_begins_at_nothing_and_keeps_its_month(
    open_ledger: OpenLedger, make_record: MakeRecord
) -> None:
    clock = Clock()
    ledger = open_ledger(now=clock)
    await ledger.book([make_record(1, **on("2026-11-25", cost_usd=Decimal("0.5")))])
    clock.now += DAY
    assert spent(ledger.spend()) == {"support": ("0", "0.5")}
    await ledger.book([make_record(2, **on("2026-11-26", cost_usd=Decimal("0.25")))])
    assert spent(ledger.spend()) == {"support": ("0.25", "0.75")}
    clock.now += 5 * DAY
    assert spent(ledger.spend()) == {}


async def test_a_receipt_tells_what_it_has_booked_and_a_second_one_adds_nothing(
    ledger: Ledger, make_record: MakeRecord
) -> None:
    day = ledger.spend().day
    for _ in range(2):
        receipt = await ledger.book([make_record(1, **on(day, cost_usd=Decimal("0.5")))])
        assert receipt.spend is not None
        assert spent(receipt.spend) == {"support": ("0.5", "0.5")}


@pytest.mark.parametrize("open_database", ["postgresql"], indirect=True)
async def test_controllers_of_one_ledger_learn_each_other_s_spend(
    open_ledger: OpenLedger, make_record: MakeRecord
) -> None:
    one = open_ledger(now=Clock(), refresh_seconds=0.05)
    other = open_ledger(now=Clock(), refresh_seconds=0.05)
    await one.book([make_record(1, **on("2026-11-25", cost_usd=Decimal("0.5")))])
    await other.book([make_record(2, **on("2026-11-25", cost_usd=Decimal("0.25")))])
    for ledger in (one, other):
        eventually(lambda ledger=ledger: spent(ledger.spend()) == {"support": ("0.75", "0.75")})


def test_what_nobody_asks_for_any_more_is_forgotten() -> None:
    book = SpendBook()
    book.replace([("a", "2026-10-31", Decimal(1)), ("b", "2026-11-01", Decimal(1))], [])
    book.forget_before("2026-11")
    assert (book.use_cases_on("2026-10-31"), set(book.use_cases_on("2026-11-02"))) == ({}, {"b"})


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(20, 30), st.decimals(0, 9, places=9)), max_size=20))
def test_a_day_and_its_month_are_the_sums_of_what_was_spent(amounts: list[tuple[str, int, Decimal]]) -> None:
    book = SpendBook()
    book.replace([(name, f"2026-11-{day}", usd) for name, day, usd in amounts], [])
    for name, spend in book.use_cases_on("2026-11-25").items():
        own = [(day, usd) for other, day, usd in amounts if other == name]
        assert spend.per_month == sum(usd for _, usd in own)
        assert spend.per_day == sum(usd for day, usd in own if day == 25)
