"""Usage times price: each part of the input once, at its own price."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.bundle import Price, Rates, Tier, TieredRates
from schemas.record import Usage
from sidecar.accounting.pricing import cost_of, tariff_of
from tests.fakes import core_bundles as bundles

PLAIN = bundles.price("3", "15")
CACHED = bundles.price("3", "15", cache_read=Decimal("0.3"), cache_write=Decimal("3.75"))
HOURS = bundles.price("3", "15", cache_write=Decimal("3.75"), cache_write_1h=Decimal(6))
THINKING = bundles.price("1", "2", reasoning=Decimal(8))
LONG = bundles.price(
    "2",
    "12",
    cache_read=Decimal("0.2"),
    tiers=(
        Tier(above_input_tokens=200_000, input=Decimal(4), output=Decimal(18), cache_read=Decimal("0.4")),
        Tier(above_input_tokens=500_000, input=Decimal(8), output=Decimal(20), cache_read=Decimal("0.8")),
    ),
)
SERVICES = bundles.price(
    "2",
    "10",
    service={
        "flex": TieredRates(input=Decimal(1), output=Decimal(5)),
        "batch": TieredRates(
            input=Decimal(1),
            output=Decimal(5),
            tiers=(Tier(above_input_tokens=9, input=Decimal(2), output=Decimal(7)),),
        ),
    },
)
FEES = bundles.price("1", "1", per_request=Decimal("0.005"), per_1000_searches=Decimal(10))


@pytest.mark.parametrize(
    ("usage", "price", "usd"),
    [
        (Usage(), PLAIN, "0"),
        (Usage(1_000_000, 0), PLAIN, "3"),
        (Usage(0, 1_000_000), PLAIN, "15"),
        (Usage(1, 1), PLAIN, "0.000018"),
        (Usage(1_000_000, 0, cache_read_tokens=400_000), CACHED, "1.92"),
        (Usage(1_000_000, 0, cache_read_tokens=400_000, cache_write_tokens=100_000), CACHED, "1.995"),
        (Usage(1_000_000, 0, cache_read_tokens=400_000, cache_write_tokens=100_000), PLAIN, "3"),
        (Usage(0, 1_000_000, reasoning_tokens=900_000), PLAIN, "15"),
        (Usage(10, 0, cache_read_tokens=20), CACHED, "0.000006"),
        (Usage(100, 100), bundles.price("0", "0"), "0"),
        (Usage(1_000_000, 0, cache_write_tokens=1_000_000, cache_write_1h_tokens=400_000), HOURS, "4.65"),
        (Usage(1_000_000, 0, cache_write_tokens=1_000_000, cache_write_1h_tokens=400_000), CACHED, "3.75"),
        (Usage(10, 0, cache_write_tokens=10, cache_write_1h_tokens=99), HOURS, "0.00006"),
        (Usage(0, 1_000_000, reasoning_tokens=500_000), THINKING, "5"),
        (Usage(0, 10, reasoning_tokens=99), THINKING, "0.00008"),
        (Usage(200_000, 1_000_000), LONG, "12.4"),
        (Usage(200_001, 0, cache_read_tokens=1), LONG, "0.8000004"),
        (Usage(500_000, 1_000_000), LONG, "20"),
        (Usage(600_000, 1_000_000, cache_read_tokens=100_000), LONG, "24.08"),
        (Usage(1_000_000, 1_000_000, service="flex"), SERVICES, "6"),
        (Usage(9, 0, service="batch"), SERVICES, "0.000009"),
        (Usage(10, 0, service="batch"), SERVICES, "0.00002"),
        (Usage(), FEES, "0.005"),
        (Usage(1_000_000, 0, web_searches=3), FEES, "1.035"),
    ],
)
def test_the_cost_is_exact(usage: Usage, price: Price, usd: str) -> None:
    assert cost_of(usage, tariff_of(price)) == Decimal(usd)


def test_a_free_cache_is_free_and_not_unknown() -> None:
    free = bundles.price("3", "15", cache_read=Decimal(0))
    assert cost_of(Usage(100, 0, cache_read_tokens=100), tariff_of(free)) == 0


@pytest.mark.parametrize(
    ("usage", "price"),
    [(Usage(1, 1), None), (Usage(1, 1, service="priority"), SERVICES), (Usage(1, 1, web_searches=1), PLAIN)],
)
def test_without_a_price_the_cost_is_unknown(usage: Usage, price: Price | None) -> None:
    assert cost_of(usage, price and tariff_of(price)) is None


money = st.decimals(0, 1000, places=6)
maybe = st.none() | money
rates = {"input": money, "output": money} | dict.fromkeys(
    ("cache_read", "cache_write", "cache_write_1h", "reasoning"), maybe
)
tokens = st.integers(0, 2_000_000)
tiers = st.lists(
    st.builds(Tier, above_input_tokens=st.integers(1, 1_500_000), **rates),
    max_size=3,
    unique_by=lambda tier: tier.above_input_tokens,
).map(lambda found: tuple(sorted(found, key=lambda tier: tier.above_input_tokens)))
prices = st.builds(
    Price,
    since=st.just("2026-01-01"),
    tiers=tiers,
    service=st.dictionaries(st.sampled_from(["flex", "batch"]), st.builds(TieredRates, tiers=tiers, **rates)),
    per_request=maybe,
    per_1000_searches=maybe,
    **rates,
)


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    """As a provider counts: no part is larger than its whole."""
    inputs, outputs = draw(tokens), draw(tokens)
    read = draw(st.integers(0, inputs))
    written = draw(st.integers(0, inputs - read))
    return Usage(
        input_tokens=inputs,
        output_tokens=outputs,
        cache_read_tokens=read,
        cache_write_tokens=written,
        cache_write_1h_tokens=draw(st.integers(0, written)),
        reasoning_tokens=draw(st.integers(0, outputs)),
        web_searches=draw(st.integers(0, 5)),
        service=draw(st.sampled_from(["", "flex", "batch", "priority"])),
    )


def naive(usage: Usage, price: Price) -> Decimal | None:
    """The bill as a person would write it: one line per kind of token, each with its own price."""
    table: TieredRates | None = price.service.get(usage.service) if usage.service else price
    if table is None or (usage.web_searches and price.per_1000_searches is None):
        return None
    row: Rates = table
    for tier in table.tiers:
        if usage.input_tokens > tier.above_input_tokens:
            row = tier
    short_writes = usage.cache_write_tokens - usage.cache_write_1h_tokens
    write_price = row.input if row.cache_write is None else row.cache_write
    lines = [
        (usage.input_tokens - usage.cache_read_tokens - usage.cache_write_tokens, row.input),
        (usage.cache_read_tokens, row.input if row.cache_read is None else row.cache_read),
        (short_writes, write_price),
        (usage.cache_write_1h_tokens, write_price if row.cache_write_1h is None else row.cache_write_1h),
        (usage.output_tokens - usage.reasoning_tokens, row.output),
        (usage.reasoning_tokens, row.output if row.reasoning is None else row.reasoning),
    ]
    bill = sum((count * each / 1_000_000 for count, each in lines), Decimal(0))
    return bill + (price.per_request or 0) + usage.web_searches * (price.per_1000_searches or Decimal(0)) / 1000


@given(usage=usages(), price=prices)
def test_the_cost_is_the_bill_line_by_line(usage: Usage, price: Price) -> None:
    assert cost_of(usage, tariff_of(price)) == naive(usage, price)


@given(price=prices, usage=usages(), more=st.integers(1, 1000))
def test_more_output_never_costs_less(price: Price, usage: Usage, more: int) -> None:
    tariff = tariff_of(price)
    before = cost_of(usage, tariff)
    longer = Usage(
        **{name: getattr(usage, name) for name in Usage.__struct_fields__}
        | {"output_tokens": usage.output_tokens + more}
    )
    after = cost_of(longer, tariff)
    assert (before is None and after is None) or (before is not None and after is not None and after >= before)
