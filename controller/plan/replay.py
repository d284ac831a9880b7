"""Recorded calls under the old and the new rules, summed up as they come: memory does not grow with their number."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from controller.plan.figures import Figures
from controller.plan.recorded import RecordedCall, moment_of
from controller.plan.side import Decision, Side
from schemas.record import Usage
from sidecar.routing.snapshot import Target

NOTHING: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class Place:
    """Where calls go: a target; or nowhere, with the reason."""

    model: str
    provider: str
    vendor: str
    refusal: str = ""

    def __str__(self) -> str:
        return f"{self.model}@{self.provider}" if self.model else f"refused ({self.refusal})"


@dataclass(frozen=True, slots=True)
class Flow:
    """Calls of one use case that go from one place to another, which may be the same."""

    use_case: str
    before: Place
    after: Place


@dataclass(slots=True)
class Money:
    """Of some calls, under either rules. Where a call's cost is unknown under one, it is counted apart, under both."""

    calls: int = 0
    before_usd: Decimal = NOTHING
    after_usd: Decimal = NOTHING
    unpriced: int = 0
    """Answered, and without a known price."""
    without_usage: int = 0
    """Nobody knows their tokens: they failed, or their caller left before an answer."""

    def add(self, before: Decimal | None, after: Decimal | None, usage: Usage | None) -> None:
        self.calls += 1
        if usage is None:
            self.without_usage += 1
        elif before is None or after is None:
            self.unpriced += 1
        else:
            self.before_usd += before
            self.after_usd += after

    def __add__(self, other: "Money") -> "Money":
        return Money(
            self.calls + other.calls,
            self.before_usd + other.before_usd,
            self.after_usd + other.after_usd,
            self.unpriced + other.unpriced,
            self.without_usage + other.without_usage,
        )


@dataclass(slots=True)
class Trip:
    """How often a ceiling had a say."""

    calls: int = 0
    first_at: str = ""
    days: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Replay:
    """`add` every call in the order of time; then read the tallies."""

    before: Side
    after: Side
    flows: dict[Flow, Money] = field(default_factory=dict)
    days: dict[str, dict[str, Money]] = field(default_factory=dict)
    """Use case → day → its money."""
    trips: dict[tuple[str, str, str], Trip] = field(default_factory=dict)
    """By use case, ceiling, and `before` or `after`."""
    figures: dict[tuple[str, str], Figures] = field(default_factory=dict)
    """How attempts went, by use case and model."""
    without_facts: int = 0
    """Recorded by a sidecar that did not say what its rules looked at; not replayed."""
    out_of_order: int = 0
    """Not replayed: an earlier call came after them, so that ceilings would not fill as they did."""
    first_day: str = ""
    last_at: str = ""
    _places: dict[Target, Place] = field(default_factory=dict)
    _same_prices: dict[tuple[Target, Target], bool] = field(default_factory=dict)

    def add(self, call: RecordedCall) -> None:
        for attempt in call.attempts:
            key = (call.use_case, attempt.model)
            figures = self.figures.get(key)
            if figures is None:
                figures = self.figures[key] = Figures()
            figures.add(attempt)
        if call.facts is None:
            self.without_facts += 1
            return
        if call.at < self.last_at:
            self.out_of_order += 1
            return
        self.last_at = call.at
        day = call.at[:10]
        self.first_day = self.first_day or day
        at = moment_of(call)
        before, after = (side.decide(call, call.facts, at) for side in (self.before, self.after))
        usage = call.usage
        before_usd = self._cost(self.before, before, usage)
        after_usd = before_usd if self._costs_the_same(before, after) else self._cost(self.after, after, usage)
        for side, decision, usd in ((self.before, before, before_usd), (self.after, after, after_usd)):
            if usd:
                side.spend(call, usd)
            if decision.ceiling:
                self._trip(call, decision.ceiling, "before" if side is self.before else "after")
        flow = Flow(call.use_case, self._place(before), self._place(after))
        of_flow = self.flows.get(flow)
        if of_flow is None:
            of_flow = self.flows[flow] = Money()
        of_flow.add(before_usd, after_usd, usage)
        days = self.days.setdefault(call.use_case, {})
        of_day = days.get(day)
        if of_day is None:
            of_day = days[day] = Money()
        of_day.add(before_usd, after_usd, usage)

    def _cost(self, side: Side, decision: Decision, usage: Usage | None) -> Decimal | None:
        """A call that is refused costs nothing; one that was not counted costs what nobody knows."""
        if decision.target is None:
            return NOTHING
        return None if usage is None else decision.target.cost_on(side.priced_on, usage)

    def _costs_the_same(self, before: Decision, after: Decision) -> bool:
        one, other = before.target, after.target
        if one is None or other is None:
            return False
        same = self._same_prices.get((one, other))
        if same is None:
            day = self.after.priced_on
            same = self._same_prices[one, other] = one.price_on(day) == other.price_on(day)
        return same

    def _trip(self, call: RecordedCall, ceiling: str, when: str) -> None:
        trip = self.trips.setdefault((call.use_case, ceiling, when), Trip(first_at=call.at))
        trip.calls += 1
        trip.days.add(call.at[:10])

    def _place(self, decision: Decision) -> Place:
        target = decision.target
        if target is None:
            return Place("", "", "", decision.reason)
        place = self._places.get(target)
        if place is None:
            place = self._places[target] = Place(target.model, target.provider, target.vendor)
        return place

    @property
    def total(self) -> Money:
        return sum(self.flows.values(), Money())

    def by_use_case(self) -> Mapping[str, Mapping[Flow, Money]]:
        grouped: dict[str, dict[Flow, Money]] = {}
        for flow, money in self.flows.items():
            grouped.setdefault(flow.use_case, {})[flow] = money
        return dict(sorted(grouped.items()))
