"""How many calls may be asked twice."""

from sidecar.routing.hedge_budget import MOST_SAVED, HedgeBudget


def hedged(budget: HedgeBudget, calls: int, percent: float) -> int:
    """Every call would be asked twice if it might."""
    times = 0
    for _ in range(calls):
        budget.note_call("chat", percent)
        times += budget.take("chat")
    return times


def test_no_more_than_its_share_of_the_calls_is_asked_twice() -> None:
    assert 19 <= hedged(HedgeBudget(), 1_000, 2.0) <= 21


def test_the_first_slow_call_of_a_sidecar_may_be_asked_twice() -> None:
    assert hedged(HedgeBudget(), 1, 2.0) == 1


def test_a_quiet_day_does_not_save_up_for_a_storm() -> None:
    budget = HedgeBudget()
    for _ in range(100_000):
        budget.note_call("chat", 2.0)
    assert sum(budget.take("chat") for _ in range(100)) == MOST_SAVED


def test_one_use_case_does_not_spend_another_s() -> None:
    budget = HedgeBudget()
    budget.note_call("chat", 2.0)
    assert not budget.take("search")
