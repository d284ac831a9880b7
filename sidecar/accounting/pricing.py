"""Usage × price → US dollars. Each part of the input is priced once, at its own price."""

from decimal import Decimal

from schemas.bundle import Price
from schemas.record import Usage

MILLION = Decimal(1_000_000)


def cost_of(usage: Usage, price: Price | None) -> Decimal | None:
    """US dollars, unrounded; None when the price is unknown.

    A cache price that is not stated is the input price: that is what a provider bills that has no other.
    """
    if price is None:
        return None
    cached = usage.cache_read_tokens + usage.cache_write_tokens
    total = price.input * max(0, usage.input_tokens - cached) + price.output * usage.output_tokens
    if cached:
        total += usage.cache_read_tokens * (price.input if price.cache_read is None else price.cache_read)
        total += usage.cache_write_tokens * (price.input if price.cache_write is None else price.cache_write)
    return total / MILLION
