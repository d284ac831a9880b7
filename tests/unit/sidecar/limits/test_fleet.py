"""How many share a limit: more at once, fewer after a minute."""

import pytest

from sidecar.limits.fleet import FleetSize


@pytest.mark.parametrize(
    ("reports", "at", "live"),
    [
        ([], 0, 1),
        ([(0, 5)], 0, 5),
        ([(0, 5)], 1_000, 5),  # nobody says otherwise any more
        ([(0, 5), (1, 9)], 1, 9),
        ([(0, 5), (1, 3)], 1, 5),
        ([(0, 5), (1, 3)], 60, 3),
        ([(0, 5), (1, 3), (30, 4)], 59, 5),
        ([(0, 5), (1, 3), (30, 4)], 60, 4),
        ([(0, 5), (10, 3), (65, 3)], 65, 3),
        ([(0, 0)], 0, 1),
        ([(0, 9), (5, 2), (10, 9), (50, 2)], 69, 9),
    ],
)
def test_who_shares(reports: list[tuple[float, int]], at: float, live: int) -> None:
    fleet = FleetSize()
    for when, count in reports:
        fleet.report(count, when)
    assert fleet.live(at) == live
