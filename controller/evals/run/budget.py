"""What a run may spend. Pure: who asks waits elsewhere."""

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal

from schemas.record import Usd


@dataclass(slots=True)
class Budget:
    """A call is expected to cost as much as the dearest one of its model so far."""

    limit_usd: Usd | None = None
    spent_usd: Usd = Decimal(0)
    highest_usd: dict[str, Usd] = field(default_factory=dict)
    """By model, of those whose cost is known."""
    open: Counter[str] = field(default_factory=Counter)
    """Calls that are under way, by model."""

    def fits(self, model: str) -> bool:
        """Whether one more call stays within the limit, should all that are under way cost what is expected.

        While nothing is known of a model one call of it goes at a time.
        """
        if self.limit_usd is None:
            return True
        if model not in self.highest_usd:
            return self.open[model] == 0 and self._bound() < self.limit_usd
        return self._bound() + self.highest_usd[model] <= self.limit_usd

    def begin(self, model: str) -> None:
        self.open[model] += 1

    def end(self, model: str, cost_usd: Usd | None) -> None:
        """None: what it cost is not known, or it cost nothing."""
        self.open[model] -= 1
        if cost_usd is not None:
            self.spent_usd += cost_usd
            self.highest_usd[model] = max(cost_usd, self.highest_usd.get(model, cost_usd))

    def _bound(self) -> Usd:
        expected = (self.highest_usd.get(model, Decimal(0)) * calls for model, calls in self.open.items())
        return self.spent_usd + sum(expected, Decimal(0))
