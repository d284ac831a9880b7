"""Every way to call a model has a price that is in force."""

from collections.abc import Iterator, Sequence
from datetime import date

from schemas.problems import Problem
from schemas.rules.model import Model, ServedBy
from schemas.rules.price import Price
from schemas.rules.rule_set import RuleFile, RuleSet
from schemas.yaml_source import Path


def price_in_force(prices: Sequence[Price], today: date) -> Price | None:
    """The newest price that is not in the future; None when there is none."""
    return max((price for price in prices if price.since <= today), key=lambda price: price.since, default=None)


def prices_of(model: Model, door: ServedBy) -> tuple[Price, ...]:
    """A door's own prices replace the model's altogether."""
    return door.prices or model.prices


def every_door_has_a_price(rules: RuleSet, today: date) -> Iterator[Problem]:
    for model in rules.models.values():
        for index, door in enumerate(model.content.served_by):
            prices = prices_of(model.content, door)
            if price_in_force(prices, today) is None:
                yield _missing_price(model, index, door, prices, today)


def _missing_price(model: RuleFile[Model], index: int, door: ServedBy, prices: Sequence[Price], today: date) -> Problem:
    path: Path = ("served_by", index)
    if not prices:
        message = f'no price for "{model.content.model}" at {door.provider}'
        suggestion = "add prices; free: true for a server of your own"
    else:
        first = min(price.since for price in prices)
        message = (
            f'no price for "{model.content.model}" at {door.provider} is in force on {today}; the first is from {first}'
        )
        suggestion = "add the price that is in force today"
        path = (*path, "prices") if door.prices else ("prices",)
    return model.problem(path, "missing-price", message, suggestion, at_key=bool(prices))


def price_dates_differ(rules: RuleSet, today: date) -> Iterator[Problem]:
    for model in rules.models.values():
        rows: list[tuple[Path, Sequence[Price]]] = [(("prices",), model.content.prices)]
        rows += [(("served_by", i, "prices"), door.prices or ()) for i, door in enumerate(model.content.served_by)]
        for path, prices in rows:
            seen: set[date] = set()
            for index, price in enumerate(prices):
                if price.since in seen:
                    message = f"a second price from {price.since}"
                    yield model.problem((*path, index, "from"), "duplicate-price-date", message)
                seen.add(price.since)


def doors_differ(rules: RuleSet, today: date) -> Iterator[Problem]:
    for model in rules.models.values():
        seen: set[str] = set()
        for index, door in enumerate(model.content.served_by):
            if door.provider in seen:
                message = f'"{door.provider}" serves this model twice; a target is one model at one provider'
                yield model.problem(("served_by", index, "provider"), "duplicate-provider", message)
            seen.add(door.provider)
