"""Which conversation a call belongs to, and which target answered it last: there its prompt is cached.

State without I/O: the caller brings the time. It is kept in memory, for the newest conversations; after a restart the
plan decides as for a new one.
"""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass

KEPT = 50_000
"""About 16 MB at most."""

IDLE_SECONDS = 600.0
"""Prompt caches are kept for 5 to 10 minutes after their last use (learn.microsoft.com, Azure OpenAI, "Prompt caching";
anthropic SDK, `cache_control_ephemeral_param`)."""

STAY_SECONDS = 3600.0
"""After this time at one target a conversation is planned anew: caches in memory are not kept longer (the same page),
and what an outage has moved comes home."""


def conversation_key(*, named: str | None, beginning: bytes = b"", call: str = "") -> str:
    """A hash of what tells conversations apart, the same in every sidecar. Booked whole: its lot can be drawn again.

    Args:
        named: what the caller calls it (`x-pointsman-conversation`).
        beginning: what the request's body tells of it; empty where that is nothing.
        call: the call's own id: a call that says neither is a conversation of its own.
    """
    if named:
        kind, told = b"named", named.encode("utf-8", "surrogateescape")
    elif beginning:
        kind, told = b"beginning", beginning
    else:
        kind, told = b"call", call.encode()
    return hashlib.blake2b(told, digest_size=16, person=kind).hexdigest()


@dataclass(slots=True)
class _Place:
    target_key: str
    since: float
    last: float


class Conversations:
    """Keyed by use case and conversation; its targets by their keys, which outlive every reload."""

    def __init__(self) -> None:
        self._places: OrderedDict[tuple[str, str], _Place] = OrderedDict()

    def note(self, use_case: str, conversation: str, target_key: str, now: float) -> None:
        """An answer at `now` (monotonic seconds)."""
        key = (use_case, conversation)
        place = self._places.get(key)
        if place is None or place.target_key != target_key or _is_over(place, now):
            self._places[key] = _Place(target_key, now, now)
        else:
            place.last = now
        self._places.move_to_end(key)
        if len(self._places) > KEPT:
            self._places.popitem(last=False)

    def target_of(self, use_case: str, conversation: str, now: float) -> str | None:
        """The key of the target that answered last; None where that is not known or too long ago."""
        place = self._places.get((use_case, conversation))
        return None if place is None or _is_over(place, now) else place.target_key


def _is_over(place: _Place, now: float) -> bool:
    return now - place.last > IDLE_SECONDS or now - place.since > STAY_SECONDS
