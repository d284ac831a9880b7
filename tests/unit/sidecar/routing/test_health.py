"""Breakers: five failures in a row, rests that double, and what must not make a target rest longer."""

from sidecar.routing.health import FIRST_REST_SECONDS, LONGEST_REST_SECONDS, OPEN_AFTER_FAILURES, Health

KEY = "alpha@one"


def broken(now: float = 0.0) -> Health:
    health = Health()
    for _ in range(OPEN_AFTER_FAILURES):
        health.failed(KEY, now)
    return health


def test_it_takes_five_failures_in_a_row() -> None:
    health = Health()
    for _ in range(OPEN_AFTER_FAILURES - 1):
        health.failed(KEY, 0.0)
    assert health.resting(0.0) == {}
    health.succeeded(KEY)
    health.failed(KEY, 0.0)
    assert health.resting(0.0) == {}, "a success begins the count anew"


def test_a_target_rests_for_five_seconds_and_no_other_with_it() -> None:
    health = broken()
    assert health.resting(FIRST_REST_SECONDS - 0.01) == {KEY: "breaker_open"}
    assert health.resting(FIRST_REST_SECONDS) == {}


def test_a_probe_that_fails_doubles_the_rest_up_to_five_minutes() -> None:
    health, now, rests = broken(), 0.0, []
    for _ in range(9):
        rest = 0.0
        while health.resting(now + rest):
            rest += FIRST_REST_SECONDS
        rests.append(rest)
        now += rest
        health.failed(KEY, now)
    assert rests == [5, 10, 20, 40, 80, 160, 300, 300, 300]


def test_a_target_that_stays_down_for_days_does_no_harm() -> None:
    health, now = broken(), 0.0
    for _ in range(3_000):
        now += LONGEST_REST_SECONDS
        assert health.resting(now) == {}
        health.failed(KEY, now)
    assert health.resting(now) == {KEY: "breaker_open"}


def test_calls_that_were_under_way_when_the_breaker_opened_do_not_make_the_rest_longer() -> None:
    health = broken()
    for _ in range(50):
        health.failed(KEY, 0.1)
    assert health.resting(FIRST_REST_SECONDS) == {}


def test_a_probe_that_succeeds_forgets_everything() -> None:
    health = broken()
    health.succeeded(KEY)
    assert health.resting(0.0) == {}
    health.failed(KEY, 1.0)
    assert health.resting(1.0) == {}
