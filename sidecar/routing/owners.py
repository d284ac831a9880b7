"""Which target keeps the state of an earlier answer: a conversation that its provider holds goes on where it began.

Kept in memory, for the newest answers. After a restart an owner is not known, and the plan decides as for a new call.
"""

from collections import OrderedDict

KEPT = 50_000
"""About 10 MB at most: two short strings for each answer."""


class Owners:
    """State without I/O."""

    def __init__(self) -> None:
        self._targets: OrderedDict[str, str] = OrderedDict()

    def note(self, state_id: str, target_key: str) -> None:
        """An answer that can be continued, by its id. Answers without an id cannot."""
        if not state_id:
            return
        self._targets[state_id] = target_key
        self._targets.move_to_end(state_id)
        if len(self._targets) > KEPT:
            self._targets.popitem(last=False)

    def of(self, state_id: str | None) -> str | None:
        """The key of the target that keeps it; None where it is not known."""
        return None if state_id is None else self._targets.get(state_id)
