"""How late the event loop is: what makes every call late, whatever its provider does."""

from collections import deque

from sidecar.ports import Clock

EVERY_SECONDS = 0.25
WITHIN_SECONDS = 60.0
"""What is reported is the worst of this time, so that no scrape of a minute misses it."""


class LoopLag:
    """Sleeps a little, again and again, and sees how much later it wakes."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._late: deque[tuple[float, float]] = deque()
        """Moment and lateness of wakings, each worse than all that came after it."""

    async def run(self) -> None:
        while True:
            due = self._clock.monotonic() + EVERY_SECONDS
            await self._clock.sleep(EVERY_SECONDS)
            self.note(self._clock.monotonic(), due)

    def note(self, now: float, due: float) -> None:
        late = max(0.0, now - due)
        while self._late and self._late[-1][1] <= late:
            self._late.pop()
        self._late.append((now, late))

    def worst_seconds(self) -> float:
        since = self._clock.monotonic() - WITHIN_SECONDS
        while self._late and self._late[0][0] < since:
            self._late.popleft()
        return self._late[0][1] if self._late else 0.0
