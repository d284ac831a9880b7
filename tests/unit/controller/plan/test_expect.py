"""Money a month, with an interval where there are days enough."""

from decimal import Decimal

from controller.plan.expect import monthly_cost
from controller.plan.replay import Money


def money(before: str, after: str) -> Money:
    return Money(1, Decimal(before), Decimal(after))


def test_days_without_calls_count() -> None:
    cost = monthly_cost({"2026-11-01": money("10", "4"), "2026-11-04": money("10", "4")}, "2026-11-01", "2026-11-04")
    assert cost.days == 4
    assert (cost.before.usd, cost.after.usd) == (5 * Decimal("30.4375"), 2 * Decimal("30.4375"))
    assert cost.difference.usd == cost.after.usd - cost.before.usd
    assert cost.before.low is None


def test_the_interval_holds_the_mean_and_is_the_same_each_time() -> None:
    days = {f"2026-11-{day:02}": money(str(day), str(day % 3)) for day in range(1, 15)}
    one, other = (monthly_cost(days, "2026-11-01", "2026-11-14") for _ in range(2))
    assert one == other
    for monthly in (one.before, one.after, one.difference):
        assert monthly.low is not None
        assert monthly.high is not None
        assert monthly.low < monthly.usd < monthly.high
