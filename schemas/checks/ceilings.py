"""Cost ceilings that can work."""

from collections.abc import Iterator
from datetime import date
from itertools import pairwise

from schemas.checks.chain_members import ways_out_of
from schemas.checks.prices import price_in_force, prices_of
from schemas.problems import Problem
from schemas.rules.price import Price
from schemas.rules.rule_set import RuleSet

_PERIODS = ("per_request", "per_day", "per_month")


def ceilings_grow(rules: RuleSet, today: date) -> Iterator[Problem]:
    """A ceiling above that of a longer period can never be reached."""
    for use_case in rules.use_cases.values():
        ceiling = use_case.content.cost_ceiling
        if ceiling is None:
            continue
        amounts = [(period, amount) for period in _PERIODS if (amount := getattr(ceiling, period)) is not None]
        for (shorter, low), (longer, high) in pairwise(amounts):
            if low > high:
                message = f"{shorter} {low} is above {longer} {high}: it can never be reached"
                yield use_case.problem(("cost_ceiling", shorter), "ceiling-never-reached", message)


def hard_ceilings_are_the_last(rules: RuleSet, today: date) -> Iterator[Problem]:
    """A hard amount refuses; one that nothing can come up to, or that hides a softer one, is a mistake."""
    for use_case in rules.use_cases.values():
        ceiling = use_case.content.cost_ceiling
        if ceiling is None or ceiling.hard is None:
            continue
        hard = ceiling.hard
        for period, most in (("per_day", hard.per_day), ("per_month", hard.per_month)):
            soft = getattr(ceiling, period)
            path = ("cost_ceiling", "hard", period)
            if most is None or soft is None:
                continue
            if soft >= most:
                message = f"hard.{period} {most} is not above {period} {soft}: the way out would never be taken"
                yield use_case.problem(path, "ceiling-never-reached", message)
            elif ceiling.then == "reject":
                message = f"{period} {soft} refuses already: hard.{period} can never be reached"
                yield use_case.problem(path, "ceiling-never-reached", message, "name cheaper models in then")
        if hard.per_day is not None and hard.per_month is not None and hard.per_day > hard.per_month:
            message = f"hard.per_day {hard.per_day} is above hard.per_month {hard.per_month}: it can never be reached"
            yield use_case.problem(("cost_ceiling", "hard", "per_day"), "ceiling-never-reached", message)


def ceilings_lead_elsewhere(rules: RuleSet, today: date) -> Iterator[Problem]:
    for use_case in rules.use_cases.values():
        for chain in ways_out_of(use_case.content):
            for path, model in chain.members:
                if model == use_case.content.primary:
                    message = f'"{model}" is the primary itself'
                    yield use_case.problem(path, "way-out-is-primary", message, "name another model, or reject")


def ceilings_lead_to_cheaper(rules: RuleSet, today: date) -> Iterator[Problem]:
    for use_case in rules.use_cases.values():
        ceiling = use_case.content.cost_ceiling
        primary = _price_today(rules, use_case.content.primary, today)
        if ceiling is None or ceiling.then == "reject" or primary is None:
            continue
        for index, model in enumerate(ceiling.then):
            price = _price_today(rules, model, today)
            if price is None or model == use_case.content.primary:
                continue
            if price.input >= primary.input and price.output >= primary.output:
                message = f'"{model}" is not cheaper than the primary on {today}'
                path = ("cost_ceiling", "then", index)
                yield use_case.problem(path, "ceiling-not-cheaper", message, severity="warning")


def _price_today(rules: RuleSet, name: str, today: date) -> Price | None:
    """At the first door, which is where a call goes first."""
    model = rules.models.get(name)
    return None if model is None else price_in_force(prices_of(model.content, model.content.served_by[0]), today)
