"""Recent calls: found by id, and bounded."""

from sidecar.telemetry.recent import KEPT, RecentCalls
from tests.fakes.records import record


def test_the_last_calls_are_found_and_older_ones_forgotten() -> None:
    recent = RecentCalls()
    for number in range(KEPT + 1):
        recent.observe(record(str(number)))
    assert recent.get("0") is None
    assert recent.get("1") is not None
    assert recent.get(str(KEPT)) == record(str(KEPT))
