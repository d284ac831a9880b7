"""What one sidecar holds of something that is counted out over the fleet: money of a budget, or places for calls.

The store keeps, per budget, what is spent and who holds how much: never more in all than the limit. A holder says its
own spending as a running total, so that a question that arrives twice or late counts once. A holder that is silent for
`HOLD_SECONDS` loses what it holds. The caller brings the time.
"""

from dataclasses import dataclass
from math import inf

HOLD_SECONDS = 60.0
SPARE_SECONDS = 10.0
"""A hold is not used any more this long before the store may give it to others."""
RENEW_SECONDS = 20.0
PARTS = 4
"""A block is this part of one sidecar's share of what is left: what is held shrinks as the rest does."""


@dataclass(frozen=True, slots=True)
class HoldAsk:
    """All amounts in the budget's smallest units: millionths of a dollar, or calls."""

    key: str
    limit: int
    seed: int | None
    """What the ledger says is spent, for a store that does not know the key. None: nobody knows."""
    spent: int
    """By this holder since it began: a running total."""
    told: int
    """How much of it the store is known to have counted."""
    keep: int
    """Held by calls in flight."""
    need: int
    """`keep` and what a new call needs."""
    least: int
    """The smallest block."""
    parts: int
    """One block is this part of what is left; 0: no block."""
    key_seconds: int
    """How long the store keeps the key when nobody asks."""
    number: int
    """Of this holder's questions about this key: one that arrives after a later one changes nothing."""


@dataclass(frozen=True, slots=True)
class HoldGrant:
    is_granted: bool
    held: int
    spent: int
    """By the whole fleet."""
    held_by_others: int


class Holding:
    __slots__ = ("_closed_need", "_closed_until", "_held", "_is_asking", "_number", "_renewed", "_told", "_until")

    def __init__(self) -> None:
        self._held = 0
        self._told = 0
        self._until = 0.0
        self._renewed = 0.0
        self._closed_need: float = inf
        self._closed_until = 0.0
        self._is_asking = False
        self._number = 0

    def covers(self, need: int, spent: int, now: float) -> bool:
        """Whether what is held is enough for `need`, calls in flight included, beside what is spent of it already."""
        return now < self._until and not self._is_asking and need + spent - self._told <= self._held

    def closed_seconds(self, need: int, now: float) -> float:
        return max(0.0, self._closed_until - now) if need >= self._closed_need else 0.0

    def is_due(self, keep: int, spent: int, now: float) -> bool:
        """Time to tell what was spent, to keep what is in use, and to give back the rest."""
        return self.has_news(keep, spent) and not self._is_asking and now >= self._renewed + RENEW_SECONDS

    def has_news(self, keep: int, spent: int) -> bool:
        return keep > 0 or spent > self._told or self._held > 0

    def ask(
        self, key: str, limit: int, seed: int | None, *, spent: int, keep: int, more: int, sidecars: int, least: int,
        key_seconds: int, now: float,
    ) -> HoldAsk:  # fmt: skip
        """`more` 0 asks for nothing new: what is not in use goes back."""
        self._is_asking = True
        self._renewed = now
        self._number += 1
        parts = PARTS * sidecars if more else 0
        return HoldAsk(key, limit, seed, spent, self._told, keep, keep + more, least, parts, key_seconds, self._number)

    def granted(self, ask: HoldAsk, grant: HoldGrant, asked_at: float, now: float, wait_seconds: float) -> None:
        """`wait_seconds`: how long a refusal is believed."""
        self._is_asking = False
        self._held, self._told = grant.held, ask.spent
        self._until = asked_at + HOLD_SECONDS - SPARE_SECONDS
        self._closed_need = inf if grant.is_granted else ask.need
        self._closed_until = now + wait_seconds

    def failed(self) -> None:
        """No answer: what was held and not in use may be another's by now."""
        self._is_asking = False
        self._until = 0.0

    @property
    def held(self) -> int:
        return self._held
