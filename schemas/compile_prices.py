"""Price rows as people write them to price rows as they travel: newest first, factors worked out."""

from collections.abc import Sequence
from decimal import Decimal
from typing import TypedDict

from schemas import bundle as compiled
from schemas.rules.model import Model, ServedBy
from schemas.rules.price import Price, ServicePrice, Tier

ONCE = Decimal(1)


def compile_prices(model: Model, door: ServedBy) -> tuple[compiled.Price, ...]:
    """What calls through this door cost: its own prices, else the model's, times the door's factor."""
    times = door.price_times or ONCE
    newest_first = sorted(door.prices or model.prices, key=lambda price: price.since, reverse=True)
    return tuple(compile_price(price, times) for price in newest_first)


def compile_price(price: Price, times: Decimal = ONCE) -> compiled.Price:
    return compiled.Price(
        since=price.since.isoformat(),
        **_rates(price, price.input, price.output, times),
        tiers=_tiers(price.tiers, times),
        service={name: _service(row, price, times) for name, row in price.service.named().items()},
        per_request=price.per_request,
        per_1000_searches=price.per_1000_searches,
    )


def _service(row: ServicePrice, standard: Price, times: Decimal) -> compiled.TieredRates:
    if row.input is not None and row.output is not None:
        return compiled.TieredRates(**_rates(row, row.input, row.output, times), tiers=_tiers(row.tiers, times))
    times *= row.times or ONCE
    return compiled.TieredRates(
        **_rates(standard, standard.input, standard.output, times), tiers=_tiers(standard.tiers, times)
    )


def _tiers(tiers: Sequence[Tier], times: Decimal) -> tuple[compiled.Tier, ...]:
    return tuple(
        compiled.Tier(above_input_tokens=tier.above_input_tokens, **_rates(tier, tier.input, tier.output, times))
        for tier in tiers
    )


class _Rates(TypedDict):
    input: Decimal
    output: Decimal
    cache_read: Decimal | None
    cache_write: Decimal | None
    cache_write_1h: Decimal | None
    reasoning: Decimal | None


def _rates(row: Price | ServicePrice | Tier, input: Decimal, output: Decimal, times: Decimal) -> _Rates:
    return {
        "input": input * times,
        "output": output * times,
        "cache_read": _scaled(row.cache_read, times),
        "cache_write": _scaled(row.cache_write, times),
        "cache_write_1h": _scaled(row.cache_write_1h, times),
        "reasoning": _scaled(row.reasoning, times),
    }


def _scaled(price: Decimal | None, times: Decimal) -> Decimal | None:
    return None if price is None else price * times
