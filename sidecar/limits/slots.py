"""Calls in flight and the short queue before them. Who waits, and until when, is the caller's business."""

from typing import Literal

MOST_WAITING = 100
"""Beyond it, or beyond as many as may be in flight, a call is refused at once."""
QUEUE_SECONDS = 2.0
"""The longest wait for a place: shorter than what an SDK would wait before it asks again."""

Entry = Literal["in", "queued", "full"]


class Slots:
    __slots__ = ("_waiting", "in_use")

    def __init__(self) -> None:
        self.in_use = 0
        self._waiting: dict[str, None] = {}

    def enter_at_once(self, allowed: int) -> bool:
        """Where nobody waits and a place is free, which is nearly always."""
        if self._waiting or self.in_use >= allowed:
            return False
        self.in_use += 1
        return True

    def enter(self, call_id: str, allowed: int) -> Entry:
        """First come, first served."""
        if self.enter_at_once(allowed):
            return "in"
        if len(self._waiting) >= min(allowed, MOST_WAITING):
            return "full"
        self._waiting[call_id] = None
        return "queued"

    @property
    def has_queue(self) -> bool:
        return bool(self._waiting)

    def leave(self, allowed: int) -> list[str]:
        """A call ended; those that are now in, and must be told."""
        self.in_use -= 1
        return self.admit(allowed)

    def admit(self, allowed: int) -> list[str]:
        """Those that are now in, and must be told."""
        admitted = []
        while self._waiting and self.in_use < allowed:
            call_id = next(iter(self._waiting))
            del self._waiting[call_id]
            self.in_use += 1
            admitted.append(call_id)
        return admitted

    def give_up(self, call_id: str) -> bool:
        """It waits no longer. False: it was let in meanwhile, and must leave."""
        if call_id not in self._waiting:
            return False
        del self._waiting[call_id]
        return True
