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


def test_an_agent_s_calls_are_listed_in_their_order() -> None:
    recent = RecentCalls()
    for number, agent in enumerate(("a", "b", "a")):
        recent.observe(record(str(number), agent=agent))
    assert [found.id for found in recent.of_agent("a")] == ["0", "2"]
