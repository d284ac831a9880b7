"""Our prices against what genai-prices bills by itself: for every door of the examples, and for every row we import."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import product
from pathlib import Path

import genai_prices
import pytest
from genai_prices.types import Usage as TheirUsage

from controller.prices.known import SERVICES, Known, PriceList
from schemas.__main__ import read_folder
from schemas.compile_prices import compile_price
from schemas.load import load
from schemas.record import Usage
from sidecar.accounting.pricing import STANDARD, Tariff, cost_of, tariff_of
from sidecar.routing.snapshot import Target, build_snapshot

TODAY = date(2026, 11, 25)
NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
EXAMPLES = Path(__file__).parents[4] / "examples" / "rules"
PRICES = PriceList(TODAY)

NOT_THEIRS: dict[str, str] = {}
"""Door → why its price in the examples is not the list's."""

USAGES = [
    Usage(inputs, 1_234, read, written, 1_000, cache_write_1h_tokens=hour)
    for inputs, (read, written, hour) in product(
        (0, 199_999, 200_000, 200_001, 272_001, 900_000), ((0, 0, 0), (50_000, 0, 0), (10_000, 60_000, 20_000))
    )
    if read + written <= inputs
]


def doors() -> Iterator[Target]:
    bundle = load(read_folder(EXAMPLES), today=TODAY, revision="examples").bundle
    assert bundle is not None
    for targets in build_snapshot(bundle).targets.values():
        for target in targets:
            source = PRICES.source_of(target.endpoint.base_url)
            if source is not None and PRICES.find(source, target.name) is not None:
                yield target


DOORS = list(doors())


def theirs(usage: Usage, source: str, name: str, service: str = STANDARD) -> Decimal:
    """Their keys name every combination of parts; what a price list does not tell apart is left out."""
    found = TheirUsage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        cache_write_1h_tokens=usage.cache_write_1h_tokens,
        output_reasoning_tokens=usage.reasoning_tokens,
    )
    context = SERVICES[service] if service else None
    bill = genai_prices.calc_price(found, name, provider_id=source, genai_request_timestamp=NOON, price_context=context)
    return bill.total_price


def test_most_doors_of_the_examples_are_compared() -> None:
    assert len(DOORS) >= 15


@pytest.mark.parametrize("target", DOORS, ids=lambda target: target.key)
def test_the_examples_bill_as_the_list_does(target: Target) -> None:
    source = PRICES.source_of(target.endpoint.base_url)
    assert source is not None
    bills = [cost_of(usage, target.price_on(TODAY.isoformat())) for usage in USAGES]
    alike = bills == [theirs(usage, source, target.name) for usage in USAGES]
    assert alike is (target.key not in NOT_THEIRS)


@pytest.mark.parametrize("source", ["anthropic", "openai", "google", "x-ai", "mistral", "groq", "aws", "together"])
def test_what_is_imported_bills_as_the_list_does(source: str) -> None:
    """At every service tier that it names."""
    compared = 0
    for known in PRICES.all_of(source, ("*",)):
        for tariff in (tariff_of(compile_price(row)) for row in known.rows[:1]):
            for service in tariff.services:
                if not _is_billed_beyond(known, tariff):
                    compared += _compare(source, known, tariff, service)
    assert compared > 100


def _compare(source: str, known: Known, tariff: Tariff, service: str) -> int:
    for usage in USAGES:
        ours = cost_of(_served_at(usage, service), tariff)
        assert ours == theirs(usage, source, known.name, service), (known.name, service, usage)
    return len(USAGES)


def _served_at(usage: Usage, service: str) -> Usage:
    return Usage(**{name: getattr(usage, name) for name in Usage.__struct_fields__} | {"service": service})


def _is_billed_beyond(known: Known, tariff: Tariff) -> bool:
    """Audio, pages and seconds are beyond a row; `not_said` names them to whoever imports."""
    return bool(known.not_said) and known.not_said != ("storage_searches_kcount",)
