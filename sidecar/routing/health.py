"""Which targets rest after failing, and for how long. State without I/O: the caller brings the time.

Five failures in a row open a target's breaker for five seconds, doubling up to five minutes while it keeps failing
(the figures of Finagle's failure accrual). When the rest is over the next call is the probe: a failure opens it again.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

OPEN_AFTER_FAILURES = 5
FIRST_REST_SECONDS = 5.0
LONGEST_REST_SECONDS = 300.0
MOST_DOUBLINGS = 10
"""More would change nothing: the rest is as long as it gets."""


@dataclass(slots=True)
class _Breaker:
    failures: int = 0
    rests: int = 0
    until: float = 0.0


class Health:
    """Keyed by target, so that it outlives every reload."""

    def __init__(self) -> None:
        self._breakers: dict[str, _Breaker] = {}
        self._resting: set[str] = set()

    def resting(self, now: float) -> Mapping[str, str]:
        """Targets not to be tried at `now` (monotonic seconds), each with the reason that the plan gives."""
        if not self._resting:
            return {}
        self._resting = {key for key in self._resting if self._breakers[key].until > now}
        return dict.fromkeys(self._resting, "breaker_open")

    def seconds_left(self, keys: Iterable[str], now: float) -> float | None:
        """Until the first of these targets may be tried again; None where none of them rests."""
        ends = [self._breakers[key].until - now for key in keys if key in self._resting]
        return min(ends, default=None)

    def failed(self, key: str, now: float) -> None:
        breaker = self._breakers.setdefault(key, _Breaker())
        if now < breaker.until:
            return  # it was in flight when the breaker opened: the same outage
        breaker.failures += 1
        if breaker.failures >= OPEN_AFTER_FAILURES or breaker.rests:
            breaker.until = now + min(LONGEST_REST_SECONDS, FIRST_REST_SECONDS * 2.0**breaker.rests)
            breaker.rests = min(breaker.rests + 1, MOST_DOUBLINGS)
            breaker.failures = 0
            self._resting.add(key)

    def succeeded(self, key: str) -> None:
        if key in self._breakers:
            del self._breakers[key]
            self._resting.discard(key)
