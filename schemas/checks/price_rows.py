"""Each price row makes sense by itself: nothing is free unsaid, long inputs cost more, no part is left to guess."""

from collections.abc import Iterator, Sequence
from datetime import date
from itertools import pairwise

from schemas.problems import Problem
from schemas.rules.model import Model
from schemas.rules.price import CacheAndReasoning, Price, ServicePrice, Tier
from schemas.rules.rule_set import RuleFile, RuleSet
from schemas.yaml_source import Path

Row = tuple[RuleFile[Model], Path, Price]
Parts = Price | ServicePrice | Tier

_OPTIONAL_PARTS = tuple(CacheAndReasoning.model_fields)


def free_is_said_aloud(rules: RuleSet, today: date) -> Iterator[Problem]:
    for model, path, price in _rows(rules):
        is_zero = not (price.input or price.output or price.per_request)
        if is_zero and not price.free:
            message = "a price of 0 would hide what is spent"
            yield model.problem(path, "zero-price", message, "write the price, or free: true where nobody bills")
        if price.free and not is_zero:
            yield model.problem((*path, "free"), "free-has-price", "free: true beside prices", "keep one of the two")


def tiers_grow(rules: RuleSet, today: date) -> Iterator[Problem]:
    """Bounds grow from row to row; a price that falls is said, since no provider is known to bill so."""
    for model, path, price in _tiered(rules):
        for index, (lower, higher) in enumerate(pairwise(price.tiers)):
            place = (*path, "tiers", index + 1, "above_input_tokens")
            if lower.above_input_tokens >= higher.above_input_tokens:
                message = f"{higher.above_input_tokens} does not lie above {lower.above_input_tokens} before it"
                yield model.problem(place, "tiers-do-not-grow", message, "the lowest bound first")
        inputs = (price.input, *(tier.input for tier in price.tiers))
        for index, (cheaper, dearer) in enumerate(pairwise(inputs)):
            if cheaper is not None and dearer is not None and dearer < cheaper:
                message = f"longer inputs cost less: {dearer} after {cheaper}"
                place = (*path, "tiers", index, "input")
                yield model.problem(place, "tier-is-cheaper", message, severity="warning")


def every_part_is_said(rules: RuleSet, today: date) -> Iterator[Problem]:
    """A tier that leaves out what its row names would bill that part as plain input or output."""
    for model, path, price in _rows(rules):
        yield from _left_out(model, price, price.tiers, (*path, "tiers"))
        for name, service in price.service.named().items():
            place = (*path, "service", name)
            if service.times is None:
                yield from _left_out(model, price, (service,), place, inside=False)
                yield from _left_out(model, service, service.tiers, (*place, "tiers"))


def _left_out(
    model: RuleFile[Model], row: Parts, others: Sequence[Parts], path: Path, *, inside: bool = True
) -> Iterator[Problem]:
    for index, other in enumerate(others):
        for part in _OPTIONAL_PARTS:
            if getattr(row, part) is not None and getattr(other, part) is None:
                message = f"{part} is left out here, though the row has one"
                yield model.problem((*path, index) if inside else path, "price-left-out", message, f"write {part} too")


def services_are_clear(rules: RuleSet, today: date) -> Iterator[Problem]:
    for model, path, price in _rows(rules):
        for name, service in price.service.named().items():
            own = service.model_fields_set - {"times"}
            if service.times is not None and own:
                reason = f"times stands beside {', '.join(sorted(own))}"
            elif service.times is None and (service.input is None or service.output is None):
                reason = "neither times, nor both input and output"
            else:
                continue
            message = f"the price at {name} is not clear: {reason}"
            yield model.problem(
                (*path, "service", name), "service-price-unclear", message, "write times: 0.5, or every price"
            )


def caches_are_cheaper(rules: RuleSet, today: date) -> Iterator[Problem]:
    for model, path, price in _tiered(rules):
        for place, row in ((path, price), *(((*path, "tiers", i), tier) for i, tier in enumerate(price.tiers))):
            if row.cache_read is not None and row.input is not None and row.cache_read > row.input:
                message = f"reading from the cache costs more than reading anew: {row.cache_read} above {row.input}"
                yield model.problem((*place, "cache_read"), "cache-read-above-input", message, severity="warning")


def factors_stand_alone(rules: RuleSet, today: date) -> Iterator[Problem]:
    for model in rules.models.values():
        for index, door in enumerate(model.content.served_by):
            if door.price_times is not None and door.prices:
                message = "price_times is a factor on the model's prices, and this door has its own"
                yield model.problem(
                    ("served_by", index, "price_times"), "factor-beside-prices", message, "keep one of the two"
                )


def hours_are_priced(rules: RuleSet, today: date) -> Iterator[Problem]:
    """Anthropic bills what its cache keeps for an hour apart (platform.claude.com, "Prompt caching", "Pricing")."""
    for model in rules.models.values():
        for index, door in enumerate(model.content.served_by):
            provider = rules.providers.get(door.provider)
            prices = door.prices or model.content.prices
            if provider is None or provider.content.dialect != "anthropic" or not prices:
                continue
            newest = max(prices, key=lambda price: price.since)
            if newest.cache_write is not None and newest.cache_write_1h is None:
                path: Path = ("served_by", index, "prices") if door.prices else ("prices",)
                yield model.problem(
                    (*path, prices.index(newest)),
                    "hour-not-priced",
                    f"cache writes for an hour at {door.provider} are booked at the price of shorter ones",
                    "write cache_write_1h",
                    severity="warning",
                )


def _rows(rules: RuleSet) -> Iterator[Row]:
    """Every dated row, with its place."""
    for model in rules.models.values():
        for index, price in enumerate(model.content.prices):
            yield model, ("prices", index), price
        for door_index, door in enumerate(model.content.served_by):
            for index, price in enumerate(door.prices or ()):
                yield model, ("served_by", door_index, "prices", index), price


def _tiered(rules: RuleSet) -> Iterator[tuple[RuleFile[Model], Path, Price | ServicePrice]]:
    """What may hold tiers: every row, and every service tier in it."""
    for model, path, price in _rows(rules):
        yield model, path, price
        for name, service in price.service.named().items():
            yield model, (*path, "service", name), service
