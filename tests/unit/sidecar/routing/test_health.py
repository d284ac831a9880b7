"""Breakers: what opens one, how long its target rests, and what a failure inside a rest means."""

from sidecar.routing.health import FIRST_REST_SECONDS, OPEN_AFTER_FAILURES, Health


def test_calls_that_fail_together_count_as_one_reason_to_rest() -> None:
    """All that was in flight fails at once when a provider dies: that is one outage, and not one rest each."""
    health = Health()
    for _ in range(OPEN_AFTER_FAILURES * 4):
        health.failed("a", 100.0)
    assert health.resting(100.0 + FIRST_REST_SECONDS - 0.1) == {"a": "breaker_open"}
    assert health.resting(100.0 + FIRST_REST_SECONDS) == {}


def test_a_failed_probe_doubles_the_rest() -> None:
    health = Health()
    for _ in range(OPEN_AFTER_FAILURES):
        health.failed("a", 100.0)
    probed = 100.0 + FIRST_REST_SECONDS
    assert health.resting(probed) == {}
    for _ in range(2):  # two calls went out as the rest ended
        health.failed("a", probed)
    assert health.resting(probed + 2 * FIRST_REST_SECONDS - 0.1) == {"a": "breaker_open"}
    assert health.resting(probed + 2 * FIRST_REST_SECONDS) == {}
