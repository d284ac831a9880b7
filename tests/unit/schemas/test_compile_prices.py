"""Factors are worked out before rules travel: what a sidecar gets are rows."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from schemas.bundle import Price, Tier, TieredRates, decode_bundle, encode_bundle
from schemas.compile_prices import compile_prices
from schemas.rules.model import Model
from tests.fakes import core_bundles as bundles

LONG = {"above_input_tokens": 200_000, "input": 4, "output": 18, "cache_read": Decimal("0.4")}
ROW = {"from": date(2026, 1, 1), "input": 2, "output": 12, "cache_read": Decimal("0.2"), "tiers": [LONG]}
RATES = {"input": Decimal(2), "output": Decimal(12), "cache_read": Decimal("0.2")}
LONG_RATES = {"input": Decimal(4), "output": Decimal(18), "cache_read": Decimal("0.4")}


def times(rates: dict[str, Decimal], factor: str) -> dict[str, Decimal]:
    return {name: price * Decimal(factor) for name, price in rates.items()}


def tiered(factor: str) -> dict[str, Any]:
    return {**times(RATES, factor), "tiers": (Tier(above_input_tokens=200_000, **times(LONG_RATES, factor)),)}


@pytest.mark.parametrize(
    ("row", "door", "expected"),
    [
        (ROW, {}, tiered("1")),
        (ROW, {"price_times": Decimal("1.1")}, tiered("1.1")),
        (
            ROW | {"service": {"batch": {"times": Decimal("0.5")}}},
            {"price_times": Decimal("1.1")},
            {**tiered("1.1"), "service": {"batch": TieredRates(**tiered("0.55"))}},
        ),
        (
            ROW | {"service": {"priority": {"input": 3, "output": 20}}},
            {},
            {**tiered("1"), "service": {"priority": TieredRates(input=Decimal(3), output=Decimal(20))}},
        ),
        (
            ROW | {"per_request": Decimal("0.01"), "per_1000_searches": 10},
            {"price_times": 2},
            {**tiered("2"), "per_request": Decimal("0.01"), "per_1000_searches": Decimal(10)},
        ),
        (ROW, {"prices": [{"from": date(2026, 1, 1), "input": 1, "output": 1}]},
         {"input": Decimal(1), "output": Decimal(1)}),
    ],
)  # fmt: skip
def test_a_row_is_compiled_for_its_door(row: dict[str, Any], door: dict[str, Any], expected: dict[str, Any]) -> None:
    model = Model.model_validate(
        {
            "model": "m", "vendor": "v", "context_window": 1, "max_output_tokens": 1, "prices": [row],
            "served_by": [{"provider": "p", "name": "n", **door}],
        }
    )  # fmt: skip
    compiled = compile_prices(model, model.served_by[0])
    assert compiled == (Price(since="2026-01-01", **expected),)
    bundle = bundles.bundle(models={"alpha": bundles.model("one", prices=compiled), "beta": bundles.model("two")})
    assert decode_bundle(encode_bundle(bundle)) == bundle
