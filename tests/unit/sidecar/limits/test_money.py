"""What the ledger has, what this sidecar adds, and whether a call still fits into its share."""

from decimal import Decimal

import pytest

from schemas.bundle import Caller, Ceiling, HardCeiling
from sidecar.limits.fleet import FleetSize
from sidecar.limits.money import Budget, MoneyBook, PurseKey, budgets_of
from sidecar.routing.plan import Spend
from tests.fakes import core_bundles as bundles
from tests.fakes.spend import DAY, report

NOW = 1_000.0
TODAY, MONTH = PurseKey("use_case", "chat", DAY), PurseKey("use_case", "chat", DAY[:7])
ONE = Decimal(1)


def book(*, has_controller: bool = True) -> MoneyBook:
    return MoneyBook(FleetSize(), has_controller=has_controller)


def budget(usd: str = "10", key: PurseKey = TODAY) -> Budget:
    return Budget(key, Decimal(usd), "cost_ceiling.per_day", "local_share")


@pytest.mark.parametrize(
    ("ceiling", "budgets"),
    [
        (None, []),
        (Ceiling(per_request=ONE), []),
        (Ceiling(per_day=ONE, then=("beta",)), []),
        (Ceiling(per_day=ONE), [("cost_ceiling.per_day", 1, DAY)]),
        (Ceiling(per_day=ONE, then=("beta",), hard=HardCeiling(per_day=ONE * 2, per_month=ONE * 9)),
         [("cost_ceiling.hard.per_day", 2, DAY), ("cost_ceiling.hard.per_month", 9, "2026-11")]),
        (Ceiling(per_month=ONE, hard=HardCeiling(per_day=ONE)),
         [("cost_ceiling.hard.per_day", 1, DAY), ("cost_ceiling.per_month", 1, "2026-11")]),
    ],
)  # fmt: skip
def test_the_amounts_that_refuse(ceiling: Ceiling | None, budgets: list[tuple[str, int, str]]) -> None:
    use_case = bundles.snapshot(ceiling=ceiling).use_cases["chat"]
    found = [(made.reason, made.limit_usd, made.key.period) for made in budgets_of(use_case, None, DAY)]
    assert found == budgets


def test_a_callers_budget_is_one_more() -> None:
    use_case = bundles.snapshot().use_cases["chat"]
    caller = Caller(name="bot", key_sha256="", per_month=ONE, on_store_error="deny")
    assert list(budgets_of(use_case, caller, DAY)) == [
        Budget(PurseKey("caller", "bot", "2026-11"), ONE, "caller.per_month", "deny")
    ]
    assert next(budgets_of(use_case, caller, DAY)).id == "caller.per_month.bot"


def test_what_a_call_costs_is_counted_once_on_its_way_to_the_ledger() -> None:
    money = book()
    money.report(report("5", at="2026-11-25T12:00:00Z"), NOW)
    money.add(DAY, "chat", "bot", Decimal(2))
    assert money.spend("chat", DAY) == Spend(Decimal(7), Decimal(7))
    money.acknowledged(DAY, "chat", "bot", Decimal(2))
    assert money.spend("chat", DAY) == Spend(Decimal(7), Decimal(7))
    money.report(report("7", at="2026-11-25T12:00:01Z"), NOW)
    assert money.spend("chat", DAY) == Spend(Decimal(7), Decimal(7))
    money.purse(TODAY).reserved += 3
    assert money.spend("chat", DAY).per_day == 10


@pytest.mark.parametrize(
    ("has_controller", "of_today", "of_last_month", "of_tomorrow"), [(True, None, None, None), (False, 0, 0, 0)]
)
def test_without_a_report_nothing_is_known_where_one_is_due(
    has_controller: bool, of_today: int | None, of_last_month: int | None, of_tomorrow: int | None
) -> None:
    money = book(has_controller=has_controller)
    keys = (TODAY, PurseKey("caller", "bot", "2026-10"), PurseKey("use_case", "chat", "2026-11-26"))
    assert [money.booked(key) for key in keys] == [of_today, of_last_month, of_tomorrow]


@pytest.mark.parametrize(
    ("key", "booked"),
    [
        (TODAY, 5),
        (MONTH, 5),
        (PurseKey("caller", "bot", "2026-11"), 3),
        (PurseKey("caller", "other", "2026-11"), 0),
        (PurseKey("use_case", "other", DAY), 0),
        (PurseKey("use_case", "chat", "2026-11-26"), 0),
        (PurseKey("use_case", "chat", "2026-12"), 0),
        (PurseKey("use_case", "chat", "2026-11-24"), None),
        (PurseKey("use_case", "chat", "2026-10"), None),
    ],
)
def test_what_a_report_says_of_a_period(key: PurseKey, booked: int | None) -> None:
    money = book()
    money.report(report("5", caller="3"), NOW)
    assert money.booked(key) == booked


@pytest.mark.parametrize(
    ("at", "later", "is_taken"),
    [
        ("2026-11-25T12:00:00Z", 1, True),  # the same again
        ("2026-11-25T11:59:59.999Z", 1, False),
        ("2026-11-25T11:00:00Z", 31, True),  # a clock that stepped back, believed after a silence
        ("2026-11-25T13:00:00+01:00", 1, True),
        ("2026-11-25T12:30:00+01:00", 1, False),
        ("2026-11-25T12:00:01", 1, False),
        ("yesterday", 1, False),
    ],
)
def test_late_and_unreadable_reports_change_nothing(at: str, later: float, is_taken: bool) -> None:
    money = book()
    assert money.report(report("5"), NOW)
    money.add(DAY, "chat", "", ONE)
    money.acknowledged(DAY, "chat", "", ONE)
    assert money.report(report("4", at=at), NOW + later) is is_taken
    assert money.spend("chat", DAY).per_day == (4 if is_taken else 6)


def test_a_controller_that_is_silent_for_half_a_minute_is_away() -> None:
    money, alone = book(), book(has_controller=False)
    assert (money.is_away(NOW), alone.is_away(NOW)) == (True, False)
    money.report(report(), NOW)
    assert (money.is_away(NOW + 30), money.is_away(NOW + 30.1)) == (False, True)


@pytest.mark.parametrize(
    ("live", "own", "usd", "fits"),
    [
        (1, "0", "4", True),
        (1, "0", "4.01", False),
        (4, "0", "1", True),
        (4, "0.5", "0.5", True),
        (4, "0.5", "0.51", False),
    ],
)
def test_a_sidecar_keeps_to_its_share_of_what_is_left(live: int, own: str, usd: str, fits: bool) -> None:
    money = book()
    money.report(report("6", live=live), NOW)
    money.add(DAY, "chat", "", Decimal(own))
    assert money.fits(budget("10"), Decimal(usd), NOW) is fits


def test_periods_turn_and_what_ends_after_midnight_is_yesterdays() -> None:
    money = book(has_controller=False)
    money.add(DAY, "chat", "bot", ONE)
    assert money.spend("chat", "2026-11-26") == Spend(Decimal(0), ONE)
    money.add(DAY, "chat", "bot", ONE)
    assert money.spend("chat", "2026-11-26") == Spend(Decimal(0), ONE * 2)
    assert money.spend("chat", "2026-12-01") == Spend(Decimal(0), Decimal(0))
    money.add("2026-11-26", "chat", "bot", ONE)
    assert money.spend("chat", "2026-12-01") == Spend(Decimal(0), Decimal(0))
    assert (money.find(TODAY), money.find(MONTH)) == (None, None)


def test_an_acknowledgement_of_what_another_life_of_the_sidecar_spent_takes_nothing_off() -> None:
    money = book()
    money.add(DAY, "chat", "", ONE)
    money.acknowledged(DAY, "chat", "", ONE * 5)
    assert money.spend("chat", DAY).per_day == 1
    money.acknowledged(DAY, "other", "", ONE)
    assert money.spend("other", DAY).per_day == 0
