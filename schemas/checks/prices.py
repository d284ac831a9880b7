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


STALE_AFTER_DAYS = 365
"""Prices of models move every few months; after a year without a look they are a guess."""


def prices_are_not_stale(rules: RuleSet, today: date) -> Iterator[Problem]:
    for model in rules.models.values():
        checked = model.content.prices_checked
        if checked is not None and checked > today:
            message = f"prices checked on {checked}: that day has not come yet"
            yield model.problem(("prices_checked",), "prices-checked-in-future", message, severity="warning")
        seen: set[Path] = set()
        for index, door in enumerate(model.content.served_by):
            price = price_in_force(prices_of(model.content, door), today)
            path: Path = ("served_by", index, "prices") if door.prices else ("prices",)
            if price is None or price.free or path in seen:
                continue
            seen.add(path)
            looked_at = max(price.since, checked) if checked is not None else price.since
            if (today - looked_at).days > STALE_AFTER_DAYS:
                message = f"the price in force is from {price.since}, and nobody has looked at it since {looked_at}"
                suggestion = f"compare it with the provider's page, then write prices_checked: {today}"
                yield model.problem(path, "stale-price", message, suggestion, severity="warning", at_key=True)


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
