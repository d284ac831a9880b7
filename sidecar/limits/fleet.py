"""How many sidecars share a limit. More count at once, fewer only after a minute: both keep the sum of shares low."""

from collections import deque

FALL_SECONDS = 60.0
"""A controller that restarts sees few sidecars at first; and one that is gone may still have calls in flight."""
REPORT_SECONDS = 30.0
"""An older report says nothing about now: the controller counts as away."""


class FleetSize:
    """Nobody has said: one. A sidecar without a controller is alone; one whose controller went away keeps its count."""

    def __init__(self) -> None:
        self._reports: deque[tuple[float, int]] = deque()
        """Times and counts of the last minute, counts falling: the first is the largest."""
        self._last = 1

    def report(self, live: int, now: float) -> None:
        self._last = max(1, live)
        while self._reports and self._reports[-1][1] <= self._last:
            self._reports.pop()
        self._reports.append((now, self._last))

    def live(self, now: float) -> int:
        """The most that were reported within the last minute; the last report where there was none."""
        if not self._reports:
            return self._last
        while self._reports and self._reports[0][0] <= now - FALL_SECONDS:
            self._reports.popleft()
        return self._reports[0][1] if self._reports else self._last
