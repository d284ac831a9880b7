"""A rate as one number: when all that was let through will have been paid back. The caller brings the time.

The generic cell rate algorithm (ITU-T I.371), with debt: what is larger than a burst passes when nothing is owed, and
is then paid back before anything else passes. So in any window of w seconds at most rate × w and the larger of a burst
and the largest single amount is let through.
"""

WINDOW_SECONDS = 60.0
"""Limits are per minute."""
BURST_SECONDS = 2.0
"""How much of the rate may come at once."""


class Gcra:
    __slots__ = ("_paid_at", "_seconds_each")

    def __init__(self, per_minute: float) -> None:
        self._seconds_each = WINDOW_SECONDS / per_minute
        self._paid_at = 0.0

    def wait(self, amount: float, now: float) -> float:
        """Seconds until this much would be let through; 0 is now."""
        allowance = BURST_SECONDS - amount * self._seconds_each
        wait = self._paid_at - now - (allowance if allowance > 0.0 else 0.0)
        return wait if wait > 0.0 else 0.0

    def take(self, amount: float, now: float) -> None:
        paid_at = self._paid_at
        self._paid_at = (paid_at if paid_at > now else now) + amount * self._seconds_each

    def give_back(self, amount: float) -> None:
        """What was taken and not used. Credit beyond a burst is lost."""
        self._paid_at -= amount * self._seconds_each

    def change(self, per_minute: float, now: float) -> None:
        """Another rate from now on: what is owed stays the same number of units."""
        seconds_each = WINDOW_SECONDS / per_minute
        self._paid_at = now + max(0.0, self._paid_at - now) * seconds_each / self._seconds_each
        self._seconds_each = seconds_each

    def remaining(self, now: float) -> int:
        """What may come at once now."""
        owed = self._paid_at - now
        left = int((BURST_SECONDS - owed if owed > 0.0 else BURST_SECONDS) / self._seconds_each)
        return left if left > 0 else 0

    def reset_seconds(self, now: float) -> float:
        """Until nothing is owed."""
        owed = self._paid_at - now
        return owed if owed > 0.0 else 0.0
