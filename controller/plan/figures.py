"""How a model's attempts went: their number, their errors, and times in buckets, so that memory does not grow."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from schemas.record import AttemptRecord

STEP: Final = 1.05
"""Each bucket reaches 5 % further than the one before: a percentile is known that exactly."""
EDGES: Final[Sequence[float]] = tuple(0.001 * STEP**number for number in range(290))
"""Seconds, from a millisecond to about 20 minutes."""
NOT_THE_TARGETS: Final = frozenset({"client_closed", "hedge_lost"})
"""Ends that say nothing of how the target works."""
ENOUGH_CALLS: Final = 20
"""Fewer answers tell no percentile."""


@dataclass(slots=True)
class Figures:
    attempts: int = 0
    errors: int = 0
    seconds: dict[int, int] = field(default_factory=dict)
    """Bucket → answers."""

    def add(self, attempt: AttemptRecord) -> None:
        if attempt.outcome in NOT_THE_TARGETS:
            return
        self.attempts += 1
        if attempt.outcome != "ok":
            self.errors += 1
            return
        bucket = bisect_left(EDGES, attempt.seconds)
        self.seconds[bucket] = self.seconds.get(bucket, 0) + 1

    def __add__(self, other: "Figures") -> "Figures":
        buckets = self.seconds.keys() | other.seconds.keys()
        return Figures(
            self.attempts + other.attempts,
            self.errors + other.errors,
            {bucket: self.seconds.get(bucket, 0) + other.seconds.get(bucket, 0) for bucket in buckets},
        )

    @property
    def tells(self) -> bool:
        return sum(self.seconds.values()) >= ENOUGH_CALLS

    @property
    def error_share(self) -> float:
        return self.errors / self.attempts if self.attempts else 0.0

    def quantile(self, share: float) -> float:
        """Seconds that this share of the answers took at most. Only where there are answers."""
        left = share * sum(self.seconds.values())
        for bucket in sorted(self.seconds):
            left -= self.seconds[bucket]
            if left <= 0:
                break
        return EDGES[min(bucket, len(EDGES) - 1)]
