"""Retries never become a storm: a fifth of the calls of the last ten seconds, and a floor for quiet times."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.routing.retry_budget import FLOOR_PER_SECOND, SHARE, WINDOW_SECONDS, RetryBudget

FLOOR = int(FLOOR_PER_SECOND * WINDOW_SECONDS)


def taken(budget: RetryBudget, provider: str, now: float, wanted: int) -> int:
    return sum(budget.take(provider, now) for _ in range(wanted))


@pytest.mark.parametrize(("calls", "allowed"), [(0, FLOOR), (100, FLOOR + 20), (1_000, FLOOR + 200)])
def test_a_fifth_of_the_calls_and_the_floor(calls: int, allowed: int) -> None:
    budget = RetryBudget()
    for number in range(calls):
        budget.note_first("one", number / calls)
    assert taken(budget, "one", 1.0, 10_000) == allowed


def test_one_provider_s_trouble_is_not_another_s() -> None:
    budget = RetryBudget()
    taken(budget, "one", 0.0, 10_000)
    assert budget.take("two", 0.0)


def test_it_fills_again_as_time_passes() -> None:
    budget = RetryBudget()
    assert taken(budget, "one", 0.0, 10_000) == FLOOR
    assert not budget.take("one", WINDOW_SECONDS - 0.1)
    assert taken(budget, "one", WINDOW_SECONDS, 10_000) == FLOOR


@given(st.lists(st.tuples(st.floats(0, 0.5), st.integers(0, 5)), max_size=300))
def test_in_no_ten_seconds_are_there_more_retries_than_the_calls_before_allow(steps: list[tuple[float, int]]) -> None:
    """A provider that is down for good: each call fails and wants to be made again, as often as it may."""
    budget, now = RetryBudget(), 0.0
    firsts: list[float] = []
    again: list[float] = []
    for pause, retries in steps:
        now += pause
        firsts.append(now)
        budget.note_first("one", now)
        again += [now] * taken(budget, "one", now, retries)
        recent = sum(time > now - WINDOW_SECONDS for time in again)
        calls = sum(time > now - WINDOW_SECONDS for time in firsts)
        assert recent <= SHARE * calls + FLOOR
