"""What a token costs: dated rows, as the people who read the provider's price list write them."""

from decimal import Decimal
from typing import Annotated

from pydantic import Field, WithJsonSchema

from schemas.rules.base import Count, Day, PricePerMillion, Rules

Times = Annotated[
    Decimal,
    Field(gt=0, le=100),
    WithJsonSchema({"type": "number", "title": "a factor", "exclusiveMinimum": 0, "maximum": 100}),
]
Fee = Annotated[
    Decimal,
    Field(ge=0, le=1_000_000),
    WithJsonSchema({"type": "number", "title": "an amount in US dollars", "minimum": 0, "maximum": 10**6}),
]


class CacheAndReasoning(Rules):
    """Parts of the input and of the output that may have prices of their own."""

    cache_read: PricePerMillion | None = None
    """Input tokens read from the provider's prompt cache; as `input` where left out."""
    cache_write: PricePerMillion | None = None
    """Input tokens written to the provider's prompt cache; as `input` where left out."""
    cache_write_1h: PricePerMillion | None = None
    """Those written to be kept for an hour; as `cache_write` where left out."""
    reasoning: PricePerMillion | None = None
    """Output tokens that the model thought in; as `output` where left out."""


class Tier(CacheAndReasoning):
    """Prices of every token of a call whose input is long."""

    above_input_tokens: Count
    """The whole call has these prices once its input, caches included, is longer than this."""
    input: PricePerMillion
    """Input tokens that no cache served."""
    output: PricePerMillion
    """Output tokens, reasoning included."""


class ServicePrice(CacheAndReasoning):
    """Prices of one service tier: either a factor, or prices of its own, which replace the row's altogether."""

    times: Times | None = None
    """Every token price of the row, and of its tiers, times this: 0.5 for half the price."""
    input: PricePerMillion | None = None
    """Input tokens that no cache served."""
    output: PricePerMillion | None = None
    """Output tokens, reasoning included."""
    tiers: tuple[Tier, ...] = ()
    """Long-context prices at this service tier."""


class Service(Rules):
    """Service tiers other than the standard one, by what the answer says that it was served at.

    A call served at a tier that is not named here has no known price.
    """

    batch: ServicePrice | None = None
    """Batches that are answered later."""
    flex: ServicePrice | None = None
    """Slower and cheaper."""
    priority: ServicePrice | None = None
    """Faster and dearer; with capacity that you paid for ahead, what your contract says."""
    fast: ServicePrice | None = None
    """Anthropic's fast mode."""

    def named(self) -> dict[str, ServicePrice]:
        return {name: price for name in type(self).model_fields if (price := getattr(self, name)) is not None}


class Price(CacheAndReasoning):
    """US dollars per million tokens, from a day on."""

    since: Annotated[Day, Field(alias="from")]
    """The first day of this price (UTC)."""
    input: PricePerMillion
    """Input tokens that no cache served."""
    output: PricePerMillion
    """Output tokens, reasoning included."""
    tiers: tuple[Tier, ...] = ()
    """Prices for long inputs, the lowest bound first."""
    service: Service = Service()
    """Prices at other service tiers: `service: {batch: {times: 0.5}}`."""
    per_request: Fee | None = None
    """US dollars for the call itself, whatever its tokens."""
    per_1000_searches: Fee | None = None
    """US dollars per thousand web searches that the provider runs; a call with searches has no known price without."""
    free: bool = False
    """Says aloud that nothing is billed, as for a server of your own; only then may all prices be 0."""
    contract: bool = False
    """A price of your own contract, which `models import` does not hold against the provider's list."""
