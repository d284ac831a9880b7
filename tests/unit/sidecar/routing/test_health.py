"""Which targets rest and why: breakers, providers that asked for time, and the one that is tried when all rest."""

from sidecar.routing.breaker import FIRST_REST_SECONDS, OPEN_AFTER_FAILURES, PROBES_AFTER_THE_FIRST
from sidecar.routing.health import LAST_RESORT_SECONDS, LONGEST_THROTTLE_SECONDS, Health

KEY, OTHER = "alpha@one", "beta@two"
MIDDLE = 0.5


def broken(*keys: str, now: float = 0.0) -> Health:
    health = Health()
    for key in keys or (KEY,):
        for _ in range(OPEN_AFTER_FAILURES):
            health.failed(key, now, MIDDLE)
    return health


def test_a_target_rests_for_five_seconds_and_no_other_with_it() -> None:
    health = broken()
    assert health.resting(FIRST_REST_SECONDS - 0.01) == {KEY: "breaker_open"}
    assert health.resting(FIRST_REST_SECONDS) == {}


def test_while_a_probe_is_under_way_the_target_rests_for_everybody_else() -> None:
    health = broken()
    assert health.enter(KEY)
    assert health.resting(FIRST_REST_SECONDS) == {KEY: "breaker_open"}
    health.left(KEY, is_probe=True)
    assert health.resting(FIRST_REST_SECONDS) == {}


def test_probes_that_succeed_forget_everything() -> None:
    health, now = broken(), FIRST_REST_SECONDS
    for _ in range(1 + PROBES_AFTER_THE_FIRST):
        assert health.enter(KEY)
        health.succeeded(KEY, now, is_probe=True)
    assert health.resting(now) == {}
    assert not health.enter(KEY)
    health.failed(KEY, now, MIDDLE)
    assert health.resting(now) == {}


def test_a_provider_that_asks_for_time_gets_it_from_every_call_but_not_for_ever() -> None:
    health = Health()
    health.throttle(KEY, 30.0, now=0.0)
    health.throttle(KEY, 5.0, now=1.0)
    assert health.resting(29.9) == {KEY: "throttled"}
    assert health.seconds_left([KEY, OTHER], 10.0) == 20.0
    assert health.resting(30.0) == {}
    health.throttle(KEY, 86_400.0, now=100.0)
    assert health.seconds_left([KEY], 100.0) == LONGEST_THROTTLE_SECONDS


def test_where_every_breaker_is_open_one_call_a_second_finds_out_whether_that_still_holds() -> None:
    health = broken(KEY, now=0.0)
    for _ in range(OPEN_AFTER_FAILURES):
        health.failed(OTHER, 1.0, MIDDLE)
    keys = [OTHER, KEY]
    now = 1.0 + LAST_RESORT_SECONDS
    assert health.last_resort(keys, now) == KEY, "the one whose rest ends first"
    assert health.last_resort(keys, now) is None
    assert health.enter(KEY)
    health.failed(KEY, now, MIDDLE, is_probe=True)
    assert health.last_resort(keys, now + LAST_RESORT_SECONDS) == OTHER


def test_a_target_that_was_just_found_down_is_no_last_resort() -> None:
    assert broken(KEY, now=0.0).last_resort([KEY], 0.0) is None


def test_a_last_resort_that_answers_ends_the_rest() -> None:
    health = broken(KEY)
    now = LAST_RESORT_SECONDS
    assert health.last_resort([KEY], now) == KEY
    assert health.enter(KEY)
    health.succeeded(KEY, now, is_probe=True)
    assert health.resting(now) == {}


def test_a_provider_that_asked_for_time_is_no_last_resort() -> None:
    health = broken(KEY)
    health.throttle(KEY, 60.0, now=0.0)
    assert health.last_resort([KEY], 10.0) is None
