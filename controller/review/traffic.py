"""Recorded calls summed up for a review, as they come: memory does not grow with their number. Pure."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from controller.plan.figures import Figures
from controller.plan.recorded import RecordedCall

BY: Final = ("use_case", "model", "reason", "outcome", "day")
"""The keys of the ledger's sums that `Books.add_sum` takes."""
AS_PLANNED: Final = frozenset({"", "primary", "split", "canary", "pinned", "sticky", "conversation"})
"""Reasons of a first choice; a rule's own is `rules[0]`."""


@dataclass(slots=True)
class Traffic:
    """Of one use case, or of one of its models."""

    calls: int = 0
    failed: int = 0
    """Calls that ended in an error; those whose caller left are none."""
    spent_usd: Decimal = Decimal(0)
    """Known costs, those of failed attempts included."""
    unpriced: int = 0
    """Calls that were answered and whose cost nobody knows."""
    figures: Figures = field(default_factory=Figures)
    moved: Counter[str] = field(default_factory=Counter)
    """Why calls went elsewhere than to their first choice."""
    days: dict[str, Decimal] = field(default_factory=dict)
    """ISO day → US dollars."""

    def add_sum(self, row: Mapping[str, str | int]) -> None:
        """Calls of one day, with one outcome for one reason, as the ledger sums them."""
        calls, day, outcome, reason = int(row["requests"]), str(row["day"]), row["outcome"], str(row["reason"])
        self.calls += calls
        self.failed += calls if outcome not in ("ok", "client_closed") else 0
        self.unpriced += int(row["unpriced_requests"]) if outcome == "ok" else 0
        spent = Decimal(row["cost_usd"]) + Decimal(row["wasted_usd"])
        self.spent_usd += spent
        self.days[day] = self.days.get(day, Decimal(0)) + spent
        if calls and reason not in AS_PLANNED and not reason.startswith("rules["):
            self.moved[reason] += calls

    def add(self, call: RecordedCall) -> None:
        self.calls += 1
        self.failed += call.outcome not in ("ok", "client_closed")
        self.unpriced += call.outcome == "ok" and call.cost_usd is None
        spent = (call.cost_usd or Decimal(0)) + (call.wasted_usd or Decimal(0))
        self.spent_usd += spent
        self.days[call.at[:10]] = self.days.get(call.at[:10], Decimal(0)) + spent
        if call.reason not in AS_PLANNED and not call.reason.startswith("rules["):
            self.moved[call.reason] += 1

    @property
    def months(self) -> dict[str, Decimal]:
        """Calendar month → US dollars, as far as the calls reach."""
        months: dict[str, Decimal] = {}
        for day, spent in self.days.items():
            months[day[:7]] = months.get(day[:7], Decimal(0)) + spent
        return months


@dataclass(slots=True)
class Books:
    """`add` every call of the period; then read the sums."""

    use_cases: dict[str, Traffic] = field(default_factory=dict)
    models: dict[tuple[str, str], Traffic] = field(default_factory=dict)
    """By use case and the model that answered, or was tried last."""

    def add(self, call: RecordedCall) -> None:
        self.use_cases.setdefault(call.use_case, Traffic()).add(call)
        if call.model:
            self.models.setdefault((call.use_case, call.model), Traffic()).add(call)
        for attempt in call.attempts:
            self.use_cases[call.use_case].figures.add(attempt)

    def add_sum(self, row: Mapping[str, str | int]) -> None:
        """A row of the ledger's sums by `BY`. They hold no single attempts: quantiles of times are unknown."""
        use_case, model = str(row["use_case"]), str(row["model"])
        self.use_cases.setdefault(use_case, Traffic()).add_sum(row)
        if model:
            self.models.setdefault((use_case, model), Traffic()).add_sum(row)

    def of(self, use_case: str) -> Traffic:
        return self.use_cases.get(use_case, Traffic())

    def calls_of_model(self, model: str) -> int:
        return sum(traffic.calls for (_, name), traffic in self.models.items() if name == model)
