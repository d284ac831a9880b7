"""A rate let through evenly, with a short burst, and what is larger than that paid back afterwards."""

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.limits.gcra import BURST_SECONDS, WINDOW_SECONDS, Gcra

START = 1_000.0


def passed(rate: Gcra, amount: float, now: float) -> bool:
    if rate.wait(amount, now) > 0:
        return False
    rate.take(amount, now)
    return True


@pytest.mark.parametrize(
    ("per_minute", "amounts", "let_through"),
    [
        (60, [1, 1, 1], [True, True, False]),
        (600, [20, 1], [True, False]),
        (600, [21, 1], [True, False]),  # larger than a burst, and nothing is owed
        (600, [1, 20], [True, False]),  # larger than what is left of the burst
        (600, [1, 21], [True, False]),
        (2, [1, 1], [True, False]),  # one call is more than a burst of it
        (0.5, [1, 1], [True, False]),
    ],
)
def test_what_comes_at_once(per_minute: float, amounts: list[int], let_through: list[bool]) -> None:
    rate = Gcra(per_minute)
    assert [passed(rate, amount, START) for amount in amounts] == let_through


@pytest.mark.parametrize("amount", [1, 5, 100, 5_000])
def test_the_wait_is_the_shortest_that_helps(amount: int) -> None:
    rate = Gcra(600)
    rate.take(300, START)
    wait = rate.wait(amount, START)
    assert not passed(rate, amount, START + wait - 1e-6)
    assert passed(rate, amount, START + wait + 1e-6)


def test_what_is_given_back_may_be_taken_again_but_never_more_than_a_burst() -> None:
    rate = Gcra(600)
    rate.take(20, START)
    rate.give_back(15)
    assert (rate.remaining(START), rate.reset_seconds(START)) == (15, pytest.approx(0.5))
    rate.give_back(1_000)
    assert (rate.remaining(START), rate.reset_seconds(START)) == (20, 0)


def test_a_changed_rate_keeps_the_units_that_are_owed() -> None:
    rate = Gcra(600)
    rate.take(20, START)
    rate.change(60, START)
    assert rate.reset_seconds(START) == pytest.approx(20)
    rate.change(600, START)
    assert rate.reset_seconds(START) == pytest.approx(2)


@given(
    per_minute=st.floats(0.5, 1e7),
    steps=st.lists(st.tuples(st.floats(0, 30), st.floats(0.001, 0.2)), min_size=1, max_size=200),
)
def test_no_window_lets_more_through_than_its_rate_and_a_burst_or_one_amount(
    per_minute: float, steps: list[tuple[float, float]]
) -> None:
    """`steps`: seconds since the step before, and the amount as a part of the limit."""
    rate, taken = Gcra(per_minute), list[tuple[float, float]]()
    times = accumulate((gap for gap, _ in steps), initial=START)
    for now, (_, part) in zip(times, steps, strict=False):
        if passed(rate, part * per_minute, now):
            taken.append((now, part * per_minute))
    burst = max([per_minute * BURST_SECONDS / WINDOW_SECONDS, *(amount for _, amount in taken)])
    for start, _ in taken:
        for window in (1.0, 10.0, WINDOW_SECONDS):
            inside = sum(amount for at, amount in taken if start <= at <= start + window)
            assert inside <= (per_minute * window / WINDOW_SECONDS + burst) * (1 + 1e-9)


@given(
    st.lists(st.tuples(st.floats(0, 10), st.floats(1, 1_000), st.booleans()), max_size=60),
)
def test_reloads_do_not_let_more_through_than_the_highest_of_the_rates(
    steps: list[tuple[float, float, bool]],
) -> None:
    """`steps`: seconds since the step before, a rate, and whether it is loaded; a call is tried at each."""
    rate, highest, now, taken = Gcra(100), 100.0, START, list[float]()
    for gap, per_minute, is_loaded in steps:
        now += gap
        if is_loaded:
            rate.change(per_minute, now)
            highest = max(highest, per_minute)
        if passed(rate, 1, now):
            taken.append(now)
    for start in taken:
        inside = sum(1 for at in taken if start <= at <= start + WINDOW_SECONDS)
        assert inside <= highest * (WINDOW_SECONDS + BURST_SECONDS) / WINDOW_SECONDS + 1 + 1e-6
