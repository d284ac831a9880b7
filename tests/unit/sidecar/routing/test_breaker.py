"""Breakers: what opens one, rests that double, and the few calls that find out whether a target is up again."""

import pytest

from sidecar.routing.breaker import (
    FEWEST_CALLS,
    FIRST_REST_SECONDS,
    LONGEST_REST_SECONDS,
    OPEN_AFTER_FAILURES,
    PROBES_AFTER_THE_FIRST,
    WINDOW_SECONDS,
    Breaker,
)

MIDDLE = 0.5
"""A jitter that makes a rest as long as it says."""


def fail(breaker: Breaker, now: float, times: int = 1, *, is_probe: bool = False) -> None:
    for _ in range(times):
        breaker.failed(now, MIDDLE, is_probe=is_probe)


def opened(now: float = 0.0) -> Breaker:
    breaker = Breaker()
    fail(breaker, now, OPEN_AFTER_FAILURES)
    return breaker


def test_it_takes_five_failures_in_a_row() -> None:
    breaker = Breaker()
    fail(breaker, 0.0, OPEN_AFTER_FAILURES - 1)
    assert not breaker.blocks(0.0)
    breaker.succeeded(0.0, is_probe=False)
    fail(breaker, 0.0, OPEN_AFTER_FAILURES - 1)
    assert not breaker.blocks(0.0), "a success begins the count anew"
    fail(breaker, 0.0)
    assert breaker.blocks(0.0)


def test_half_of_twenty_calls_that_fail_open_it_though_never_five_in_a_row() -> None:
    breaker = Breaker()
    for second in range(FEWEST_CALLS // 2):
        assert not breaker.blocks(second)
        breaker.succeeded(second, is_probe=False)
        fail(breaker, second)
    assert breaker.blocks(FEWEST_CALLS // 2 - 1)


def test_failures_of_long_ago_do_not_count() -> None:
    breaker = Breaker()
    for turn in range(200):
        breaker.succeeded(turn * 4.0, is_probe=False)
        fail(breaker, turn * 4.0)
        assert not breaker.blocks(turn * 4.0), f"fewer than {FEWEST_CALLS} calls in {WINDOW_SECONDS} s"


@pytest.mark.parametrize(("jitter", "seconds"), [(0.0, 4.0), (0.5, 5.0), (1.0, 6.0)])
def test_rests_are_spread_by_a_fifth(jitter: float, seconds: float) -> None:
    breaker = Breaker()
    for _ in range(OPEN_AFTER_FAILURES):
        breaker.failed(0.0, jitter, is_probe=False)
    assert breaker.until == pytest.approx(seconds)


def test_after_its_rest_one_call_probes_and_the_others_wait_for_what_it_shows() -> None:
    breaker = opened()
    assert not breaker.blocks(FIRST_REST_SECONDS)
    assert breaker.enter()
    assert breaker.blocks(FIRST_REST_SECONDS)
    breaker.left(is_probe=True)
    assert not breaker.blocks(FIRST_REST_SECONDS), "a probe whose caller left shows nothing: the next call probes"


def test_after_the_first_probe_three_more_close_it() -> None:
    breaker, now = opened(), FIRST_REST_SECONDS
    assert breaker.enter()
    breaker.succeeded(now, is_probe=True)
    for _ in range(PROBES_AFTER_THE_FIRST):
        assert not breaker.blocks(now)
        assert breaker.enter()
    assert breaker.blocks(now), "no more than three at a time"
    for _ in range(PROBES_AFTER_THE_FIRST):
        breaker.succeeded(now, is_probe=True)
    assert not breaker.enter(), "closed: a call is no probe any more"
    fail(breaker, now, OPEN_AFTER_FAILURES - 1)
    assert not breaker.blocks(now)


def test_a_probe_that_fails_doubles_the_rest_up_to_five_minutes() -> None:
    breaker, now, rests = opened(), 0.0, []
    for _ in range(9):
        assert breaker.until is not None
        rests.append(breaker.until - now)
        now = breaker.until
        assert breaker.enter()
        fail(breaker, now, is_probe=True)
    assert rests == [5, 10, 20, 40, 80, 160, 300, 300, 300]


def test_probes_that_fail_within_a_rest_begin_it_anew_and_do_not_lengthen_it() -> None:
    """Retries that waited while it opened, and probes made side by side: all of them met the same outage."""
    breaker = opened()
    for retry in range(16):
        assert breaker.enter()
        fail(breaker, retry / 16, is_probe=True)
    assert breaker.until == 15 / 16 + FIRST_REST_SECONDS
    now = breaker.until
    assert breaker.enter()
    breaker.succeeded(now, is_probe=True)
    for _ in range(PROBES_AFTER_THE_FIRST):
        assert breaker.enter()
    fail(breaker, now, PROBES_AFTER_THE_FIRST, is_probe=True)
    assert breaker.until == now + 2 * FIRST_REST_SECONDS


def test_a_target_that_stays_down_for_days_does_no_harm() -> None:
    breaker, now = opened(), 0.0
    for _ in range(3_000):
        now += LONGEST_REST_SECONDS
        assert not breaker.blocks(now)
        assert breaker.enter()
        fail(breaker, now, is_probe=True)
    assert breaker.blocks(now)


def test_calls_that_were_under_way_when_it_opened_neither_lengthen_nor_end_the_rest() -> None:
    breaker = opened()
    fail(breaker, 0.1, 50)
    breaker.succeeded(0.2, is_probe=False)
    assert breaker.blocks(FIRST_REST_SECONDS - 0.01)
    assert not breaker.blocks(FIRST_REST_SECONDS)
