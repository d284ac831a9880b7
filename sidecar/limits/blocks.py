"""Blocks of a rate that the shared store grants ahead, spent here without asking again. The caller brings the time.

A block lives `BLOCK_SECONDS` from when it was asked for, so what is spent in a window of w seconds was granted in one
of w + `BLOCK_SECONDS`: with a burst of 2 s and a minute's window (60 + 2 + 4) / 60 = 1.10 of the limit.
"""

from dataclasses import dataclass
from math import exp, inf

BLOCK_SECONDS = 4.0
AHEAD_SECONDS = 2.0
"""For how long a block should last at the pace of late."""
MEMORY_SECONDS = 5.0
"""Of the pace: what was spent longer ago counts less and less."""


@dataclass(frozen=True, slots=True)
class RateAsk:
    key: str
    """The rule's id."""
    per_minute: int
    need: int
    """Granted whole, or nothing is."""
    want: int
    """At most this is granted: the need and what will be needed soon."""
    back: int
    """Granted before and not used; below zero: used beyond what was granted."""


@dataclass(frozen=True, slots=True)
class RateGrant:
    granted: int
    wait_seconds: float
    """Until the need could be granted; 0 where it was."""
    remaining: int
    """What else could be granted at once."""
    reset_seconds: float
    """Until the store is owed nothing."""


class Block:
    """What one rule has been granted."""

    __slots__ = (
        "_back",
        "_closed_need",
        "_closed_until",
        "_left",
        "_pace",
        "_paced_at",
        "_read_at",
        "_reply",
        "_until",
    )

    def __init__(self) -> None:
        self._left = 0
        self._until = 0.0
        self._back = 0
        self._closed_need: float = inf
        self._closed_until = 0.0
        self._pace = 0.0
        """Units per second."""
        self._paced_at = 0.0
        self._reply = RateGrant(0, 0.0, 0, 0.0)
        self._read_at = 0.0

    def covers(self, amount: int, now: float) -> bool:
        return now < self._until and amount <= self._left

    def closed_seconds(self, amount: int, now: float) -> float:
        """How long the store has said that this much would have to wait."""
        return max(0.0, self._closed_until - now) if amount >= self._closed_need else 0.0

    def spend(self, amount: int, now: float) -> None:
        self._left -= amount
        self._pace = self._pace * exp((self._paced_at - now) / MEMORY_SECONDS) + amount / MEMORY_SECONDS
        self._paced_at = now

    def correct(self, unused: int, now: float) -> None:
        """A reservation that is settled: what it did not use, or below zero what it used beyond."""
        if now < self._until:
            self._left += unused
        else:
            self._back += unused

    def ask(self, key: str, per_minute: int, need: int, waiting: int, now: float) -> RateAsk:
        """What is left goes back with the question, so that a block never outlives its own time.

        Args:
            waiting: what other calls wait for as well.
        """
        back = self._back + (self._left if now < self._until else 0)
        self._left = self._back = 0
        pace = self._pace * exp((self._paced_at - now) / MEMORY_SECONDS)
        return RateAsk(key, per_minute, need, need + waiting + int(pace * AHEAD_SECONDS), back)

    def granted(self, ask: RateAsk, grant: RateGrant, asked_at: float, now: float) -> None:
        self._left, self._until = grant.granted, asked_at + BLOCK_SECONDS
        self._reply, self._read_at = grant, now
        if grant.granted:
            self._closed_need = inf
        else:
            self._closed_need, self._closed_until = ask.need, now + grant.wait_seconds

    def failed(self, ask: RateAsk) -> None:
        """No answer. What goes back may have arrived or not: it is lost. What was used beyond is still owed."""
        self._back += min(0, ask.back)

    def remaining(self, now: float) -> int:
        return self._reply.remaining + (max(0, self._left) if now < self._until else 0)

    def reset_seconds(self, now: float) -> float:
        return max(0.0, self._reply.reset_seconds - (now - self._read_at))
