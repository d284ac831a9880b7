"""Usage × price → US dollars. Each part of the input is priced once, at its own price."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from schemas.bundle import Price, Rates, TieredRates
from schemas.record import Usage

MILLION = Decimal(1_000_000)
NOTHING = Decimal(0)
STANDARD = ""
"""The service tier of an answer that names no other."""


@dataclass(frozen=True, slots=True)
class Tariff:
    """A price row made ready to bill by: what it leaves out is filled in."""

    since: str
    """ISO date."""
    services: Mapping[str, "Steps"]
    """Service tier → its rates."""
    per_request: Decimal
    """In millionths of a dollar, as `per_search`, so that a call's cost is divided once."""
    per_search: Decimal | None


@dataclass(frozen=True, slots=True)
class Steps:
    """Rates by the length of the input."""

    base: "FullRates"
    tiers: tuple[tuple[int, "FullRates"], ...]
    """Input tokens above which the whole call has these rates instead; the highest first."""

    def at(self, input_tokens: int) -> "FullRates":
        for above, rates in self.tiers:
            if input_tokens > above:
                return rates
        return self.base


@dataclass(frozen=True, slots=True)
class FullRates:
    """US dollars per million tokens."""

    input: Decimal
    output: Decimal
    cache_read: Decimal
    cache_write: Decimal
    hour_more: Decimal
    """What a write for an hour costs on top of `cache_write`."""
    reasoning_more: Decimal
    """What reasoning costs on top of `output`; may be below 0."""


def tariff_of(price: Price) -> Tariff:
    return Tariff(
        since=price.since,
        services={STANDARD: _steps(price)} | {name: _steps(rates) for name, rates in price.service.items()},
        per_request=(price.per_request or NOTHING) * MILLION,
        per_search=None if price.per_1000_searches is None else price.per_1000_searches * 1000,
    )


def cost_of(usage: Usage, tariff: Tariff | None) -> Decimal | None:
    """US dollars, unrounded; None when a price is unknown: of the day, the service tier, or the searches."""
    if tariff is None or (steps := tariff.services.get(usage.service)) is None:
        return None
    rates = steps.at(usage.input_tokens) if steps.tiers else steps.base
    read, written = usage.cache_read_tokens, usage.cache_write_tokens
    total = rates.output * usage.output_tokens
    if read or written:
        total += rates.input * max(0, usage.input_tokens - read - written)
        total += rates.cache_read * read + rates.cache_write * written
        if usage.cache_write_1h_tokens and rates.hour_more:
            total += rates.hour_more * min(usage.cache_write_1h_tokens, written)
    else:
        total += rates.input * usage.input_tokens
    if usage.reasoning_tokens and rates.reasoning_more:
        total += rates.reasoning_more * min(usage.reasoning_tokens, usage.output_tokens)
    if tariff.per_request:
        total += tariff.per_request
    if usage.web_searches:
        if tariff.per_search is None:
            return None
        total += tariff.per_search * usage.web_searches
    return total / MILLION


def _steps(rates: TieredRates) -> Steps:
    highest_first = sorted(rates.tiers, key=lambda tier: tier.above_input_tokens, reverse=True)
    return Steps(_full(rates), tuple((tier.above_input_tokens, _full(tier)) for tier in highest_first))


def _full(rates: Rates) -> FullRates:
    """A cache price that is not stated is the input price: that is what a provider bills that has no other."""
    cache_write = rates.input if rates.cache_write is None else rates.cache_write
    return FullRates(
        input=rates.input,
        output=rates.output,
        cache_read=rates.input if rates.cache_read is None else rates.cache_read,
        cache_write=cache_write,
        hour_more=NOTHING if rates.cache_write_1h is None else rates.cache_write_1h - cache_write,
        reasoning_more=NOTHING if rates.reasoning is None else rates.reasoning - rates.output,
    )
