"""Which targets are not to be tried now: their breaker is open, or their provider asked for time. State without I/O."""

from collections.abc import Iterable, Mapping

from sidecar.routing.breaker import Breaker

BREAKER_OPEN, THROTTLED = "breaker_open", "throttled"

LONGEST_THROTTLE_SECONDS = 120.0
"""However long a provider's Retry-After is: what the vendors' own SDKs cut it to."""

LAST_RESORT_SECONDS = 1.0
"""Where every target of a call rests, one call at most in this time is let through to see whether that still holds."""


class Health:
    """Keyed by target, so that it outlives every reload."""

    def __init__(self) -> None:
        self._breakers: dict[str, Breaker] = {}
        self._tripped: set[str] = set()
        """Targets whose breaker is open or half-open."""
        self._throttled: dict[str, float] = {}
        self._last_resort: dict[str, float] = {}

    def resting(self, now: float) -> Mapping[str, str]:
        """Targets not to be tried at `now` (monotonic seconds), each with the reason that the plan gives."""
        if not self._tripped and not self._throttled:
            return {}
        for key in [key for key, until in self._throttled.items() if until <= now]:
            del self._throttled[key]
        reasons = dict.fromkeys(self._throttled, THROTTLED)
        reasons.update((key, BREAKER_OPEN) for key in self._tripped if self._breakers[key].blocks(now))
        return reasons

    def seconds_left(self, keys: Iterable[str], now: float) -> float | None:
        """Until the first of these targets may be tried again; None where none of them rests."""
        ends = [end - now for key in keys if (end := self._end(key)) is not None]
        return min((max(0.0, left) for left in ends), default=None)

    def last_resort(self, keys: Iterable[str], now: float) -> str | None:
        """Of targets whose breakers are all open, the one that may be tried all the same, seldom; None: not now.

        A target that is up again is found so in a second, however long its rest had grown to be.
        """
        opened = [key for key in keys if key in self._tripped and key not in self._throttled]
        if not opened:
            return None
        key = min(opened, key=lambda key: self._breakers[key].until or 0.0)
        if now < self._last_resort.get(key, 0.0):
            return None
        self._last_resort[key] = now + LAST_RESORT_SECONDS
        return key

    def enter(self, key: str) -> bool:
        """An attempt is made. True: it is a breaker's probe, and what it shows decides."""
        return key in self._tripped and self._breakers[key].enter()

    def failed(self, key: str, now: float, jitter: float, *, is_probe: bool = False) -> None:
        breaker = self._breakers.setdefault(key, Breaker())
        breaker.failed(now, jitter, is_probe=is_probe)
        if breaker.until is not None:
            self._tripped.add(key)
            self._last_resort[key] = now + LAST_RESORT_SECONDS

    def succeeded(self, key: str, now: float, *, is_probe: bool = False) -> None:
        breaker = self._breakers.get(key)
        if breaker is None:
            breaker = self._breakers[key] = Breaker()
        breaker.succeeded(now, is_probe=is_probe)
        if is_probe and breaker.until is None:
            self._tripped.discard(key)
            self._last_resort.pop(key, None)

    def left(self, key: str, *, is_probe: bool = False) -> None:
        """An attempt ended that says nothing of its target."""
        if is_probe:
            self._breakers[key].left(is_probe=True)

    def throttle(self, key: str, seconds: float, now: float) -> None:
        """Its provider asked for time (Retry-After): no call of this sidecar goes there until then."""
        until = now + min(seconds, LONGEST_THROTTLE_SECONDS)
        self._throttled[key] = max(until, self._throttled.get(key, 0.0))

    def _end(self, key: str) -> float | None:
        ends = [self._throttled.get(key), self._breakers[key].until if key in self._tripped else None]
        return max((end for end in ends if end is not None), default=None)
