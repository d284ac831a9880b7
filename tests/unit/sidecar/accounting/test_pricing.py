"""Usage times price: each part of the input once, at its own price."""

from decimal import Decimal

import pytest

from schemas.bundle import Price
from schemas.record import Usage
from sidecar.accounting.pricing import cost_of
from tests.fakes import core_bundles as bundles

PLAIN = bundles.price("3", "15")
CACHED = bundles.price("3", "15", cache_read=Decimal("0.3"), cache_write=Decimal("3.75"))


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
    ],
)
def test_the_cost_is_exact(usage: Usage, price: Price, usd: str) -> None:
    assert cost_of(usage, price) == Decimal(usd)


def test_a_free_cache_is_free_and_not_unknown() -> None:
    free = bundles.price("3", "15", cache_read=Decimal(0))
    assert cost_of(Usage(100, 0, cache_read_tokens=100), free) == 0


def test_without_a_price_the_cost_is_unknown() -> None:
    assert cost_of(Usage(1, 1), None) is None
