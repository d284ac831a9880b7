"""Tables of one use case's traffic, day by day, and their charts. Pure."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

from controller.dashboard.view import Table
from controller.ledger.booking import NOTHING
from controller.ledger.money import EXACT, shown
from controller.ledger.traffic import Sum, Traffic
from controller.plots.charts import Lines, Stack

SHOWN_MODELS: Final = 5
OTHERS: Final = "other models"
NOBODY: Final = "no answer"
AWAY: Final = "Unknown while the ledger cannot be read."


def days_between(since: date, until: date) -> list[str]:
    return [(since + timedelta(number)).isoformat() for number in range((until - since).days + 1)]


def traffic_tables(name: str, traffic: Traffic | None, days: Sequence[str]) -> tuple[Table, ...]:
    """
    Args:
        traffic: None: the ledger cannot be read.
    """
    sums = () if traffic is None else traffic.sums
    empty = AWAY
    if traffic is not None:
        empty = (
            f"No call of the last {len(days)} days is booked. Point an agent's base URL at a sidecar and send "
            f"x-pointsman-use-case: {name}; calls stand here some seconds later."
        )
    return (_models(sums, days, empty), _costs(sums, days, empty), _speeds(traffic, days, empty), _reasons(sums, empty))


def _models(sums: Sequence[Sum], days: Sequence[str], empty: str) -> Table:
    by_model: defaultdict[str, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
    for one in sums:
        if one.calls:
            by_model[one.model or NOBODY][one.day] += one.calls
    ranked = sorted(by_model, key=lambda model: (-sum(by_model[model].values()), model))
    named, rest = ranked[:SHOWN_MODELS], ranked[SHOWN_MODELS:]
    series = [(model, [by_model[model][day] for day in days]) for model in named]
    if rest:
        series.append((OTHERS, [sum(by_model[model][day] for model in rest) for day in days]))
    rows = [
        (day, f"{sum(numbers):,}", *(f"{number:,}" for number in numbers))
        for day, *numbers in zip(days, *(values for _, values in series), strict=True)
        if sum(numbers)
    ]
    head = ("day", "calls", *(model for model, _ in series))
    chart = Stack("Calls of each day, by the model that answered", days, series) if rows else None
    return Table("traffic", f"Traffic of {len(days)} days by model", head, rows[::-1], empty, chart=chart)


def _costs(sums: Sequence[Sum], days: Sequence[str], empty: str) -> Table:
    cost: defaultdict[str, Decimal] = defaultdict(lambda: NOTHING)
    wasted: defaultdict[str, Decimal] = defaultdict(lambda: NOTHING)
    unpriced: defaultdict[str, int] = defaultdict(int)
    for one in sums:
        cost[one.day] = EXACT.add(cost[one.day], one.cost_usd)
        wasted[one.day] = EXACT.add(wasted[one.day], one.wasted_usd)
        unpriced[one.day] += one.unpriced
    rows = [
        (day, shown(EXACT.add(cost[day], wasted[day])), shown(cost[day]), shown(wasted[day]), f"{unpriced[day]:,}")
        for day in days
        if day in cost
    ]
    head = ("day", "spent, USD", "on answers, USD", "on attempts that gave none, USD", "calls of unknown cost")
    series = [("on answers", [float(cost[day]) for day in days])]
    if any(wasted.values()):
        series.append(("on attempts that gave none", [float(wasted[day]) for day in days]))
    note = "What calls of unknown cost have spent is in no figure here." if any(unpriced.values()) else ""
    chart = Stack("Spent on each day, in US dollars", days, series, "USD") if rows else None
    return Table("cost", f"Cost of {len(days)} days", head, rows[::-1], empty, chart=chart, note=note)


def _speeds(traffic: Traffic | None, days: Sequence[str], empty: str) -> Table:
    speeds = {} if traffic is None else traffic.speeds
    rows = [
        (day, f"{speeds[day].calls:,}", f"{speeds[day].middle:.3f}", f"{speeds[day].slow:.3f}")
        for day in days
        if day in speeds
    ]
    if traffic is not None and traffic.sums:
        empty = "No answered call of these days is kept any more; `--keep-calls` says how long they are."
    found = [speeds.get(day) for day in days]
    series = [
        ("half of the calls answered within (p50)", [None if one is None else one.middle for one in found]),
        ("95 of 100 answered within (p95)", [None if one is None else one.slow for one in found]),
    ]
    head = ("day", "answered calls", "p50, seconds", "p95, seconds")
    chart = Lines("Seconds to the whole answer", days, series, "seconds") if rows else None
    return Table("latency", f"Latency of {len(days)} days", head, rows[::-1], empty, chart=chart)


def _reasons(sums: Sequence[Sum], empty: str) -> Table:
    found: defaultdict[tuple[str, str], int] = defaultdict(int)
    for one in sums:
        found[one.outcome, one.reason] += one.calls
    calls = sum(found.values())
    ranked = sorted(((number, key) for key, number in found.items() if number), key=lambda item: (-item[0], item[1]))
    rows = [(outcome, reason or "none", f"{number:,}", f"{number / calls:.2%}") for number, (outcome, reason) in ranked]
    head = ("outcome", "because of", "calls", "share")
    return Table("outcomes", "Outcomes by reason", head, rows, empty)
