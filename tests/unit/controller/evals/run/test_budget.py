"""Budgets: what is spent stays within them as long as no call is dearer than the dearest before it."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from controller.evals.run.budget import Budget

CENTS = st.integers(0, 300)


def test_one_call_at_a_time_while_nothing_is_known_of_a_model() -> None:
    budget = Budget(Decimal(1))
    budget.begin("a")
    assert not budget.fits("a")
    assert budget.fits("b")
    budget.end("a", Decimal("0.3"))
    assert budget.fits("a")


def test_calls_under_way_count() -> None:
    budget = Budget(Decimal(1), highest_usd={"a": Decimal("0.4")})
    budget.begin("a")
    budget.begin("a")
    assert not budget.fits("a")
    budget.end("a", None)
    assert budget.fits("a"), "it failed, and cost nothing that is known"


def test_without_a_limit_everything_fits() -> None:
    budget = Budget()
    budget.end("a", Decimal(10**9))
    assert budget.fits("a")


@given(st.lists(CENTS), CENTS, st.integers(1, 8))
def test_it_is_never_passed(costs: list[int], limit: int, at_once: int) -> None:
    """Any order of beginnings and ends, if only the first call is the dearest."""
    budget, open_calls = Budget(Decimal(limit)), 0
    left = sorted(costs, reverse=True)[1:]
    budget.begin("a")
    budget.end("a", Decimal(max(costs, default=0)))
    first = budget.spent_usd
    while left or open_calls:
        if left and open_calls < at_once and budget.fits("a"):
            budget.begin("a")
            open_calls += 1
        elif open_calls:
            budget.end("a", Decimal(left.pop() if left else 0))
            open_calls -= 1
        else:
            break
    assert budget.spent_usd <= max(limit, first)
