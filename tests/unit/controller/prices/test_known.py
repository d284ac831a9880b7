"""What genai-prices says, in rows of our own: held against what it would bill itself in `test_listed_prices.py`."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from controller.prices.known import Known, PriceList
from schemas.rules.price import Price

TODAY = date(2026, 11, 25)


@pytest.fixture(scope="module")
def prices() -> PriceList:
    return PriceList(TODAY)


def row(since: str, **parts: Any) -> Price:
    return Price.model_validate({"from": date.fromisoformat(since), **parts})


def known(prices: PriceList, source: str, name: str) -> Known:
    found = prices.find(source, name)
    assert found is not None
    return found


def test_a_dated_price_begins_on_its_day(prices: PriceList) -> None:
    found = known(prices, "openrouter", "meta-llama/llama-4-maverick")
    assert found.is_dated
    assert found.rows == (row("2026-11-03", input=Decimal("0.35"), output=Decimal(1), cache_read=Decimal("0.17")),)


def test_a_price_that_is_announced_stands_after_the_one_in_force() -> None:
    found = known(PriceList(date(2026, 10, 18)), "openrouter", "meta-llama/llama-4-maverick")
    assert [(price.since.isoformat(), price.input) for price in found.rows] == [
        ("2026-10-18", Decimal("0.15")),
        ("2026-10-19", Decimal("0.1875")),
        ("2026-11-03", Decimal("0.35")),
    ]


def test_bounds_of_each_part_become_parts_of_each_bound(prices: PriceList) -> None:
    (price,) = known(prices, "google", "gemini-3.1-pro-preview").rows
    assert price.tiers == (
        row("2026-01-01", input=0, output=0, tiers=[
            {"above_input_tokens": 200_000, "input": 4, "output": 18, "cache_read": Decimal("0.4")}
        ]).tiers
    )  # fmt: skip
    batch = price.service.batch
    assert batch is not None
    assert (batch.times, batch.input, batch.cache_read) == (None, 1, Decimal("0.2"))


def test_one_factor_says_it_where_one_does(prices: PriceList) -> None:
    (price,) = known(prices, "openai", "gpt-5").rows
    factors = {name: service.times for name, service in price.service.named().items()}
    assert factors == {"batch": Decimal("0.5"), "flex": Decimal("0.5"), "priority": 2}


def test_an_hour_in_the_cache_has_its_price(prices: PriceList) -> None:
    (price,) = known(prices, "anthropic", "claude-sonnet-4-6").rows
    assert (price.cache_write, price.cache_write_1h, price.per_1000_searches) == (Decimal("3.75"), 6, 10)


def test_a_price_by_the_hour_of_the_day_is_no_row(prices: PriceList) -> None:
    found = known(prices, "deepseek", "deepseek-chat")
    assert (found.rows, found.not_said) == ((), ("prices by the hour of the day",))


@pytest.mark.parametrize(("source", "name"), [("openai", "nobody-knows"), ("anthropic", "gpt-5")])
def test_what_is_unknown_has_no_price(prices: PriceList, source: str, name: str) -> None:
    assert prices.find(source, name) is None


def test_a_name_that_stands_for_many_is_not_offered(prices: PriceList) -> None:
    names = {found.name for found in prices.all_of("aws", ("*nova*",))}
    assert names
    assert not any(name.startswith("regional.") for name in names)
