"""How many calls of a use case may be asked twice. State without I/O."""

MOST_SAVED = 5.0
"""Hedges that quiet hours save up for a bad minute."""


class HedgeBudget:
    """Each call pays its share in; a hedge takes one out."""

    def __init__(self) -> None:
        self._saved: dict[str, float] = {}

    def note_call(self, use_case: str, percent: float) -> None:
        self._saved[use_case] = min(MOST_SAVED, self._saved.get(use_case, 1.0) + percent / 100)

    def take(self, use_case: str) -> bool:
        """Whether one more call may be asked twice; if so it is counted."""
        saved = self._saved.get(use_case, 0.0)
        if saved < 1.0:
            return False
        self._saved[use_case] = saved - 1.0
        return True
