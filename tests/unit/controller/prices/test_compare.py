"""When a file says what the list says, and what of a file stays when the list changes."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from controller.prices.compare import bill_alike, merged
from schemas.rules.price import Price


def row(**parts: Any) -> Price:
    return Price.model_validate({"from": date(2026, 1, 1), "input": 2, "output": 12, **parts})


CONTRACT = {"priority": {"times": 1}}
LONG = {"above_input_tokens": 9, "input": 4, "output": 18}


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        (row(), row(), True),
        (row(), Price.model_validate({"from": date(2020, 1, 1), "input": Decimal("2.00"), "output": 12}), True),
        (row(), row(cache_read=2, cache_write=2, cache_write_1h=2, reasoning=12), True),
        (row(), row(cache_read=1), False),
        (row(), row(input=3), False),
        (row(), row(tiers=[LONG]), False),
        (row(tiers=[LONG]), row(tiers=[LONG | {"cache_read": 4}]), True),
        (row(tiers=[LONG]), row(tiers=[LONG | {"above_input_tokens": 8}]), False),
        (row(service={"flex": {"times": Decimal("0.5")}}), row(service={"flex": {"input": 1, "output": 6}}), True),
        (row(service={"flex": {"times": Decimal("0.5")}}), row(), False),
        (row(per_request=0), row(), True),
        (row(per_1000_searches=0), row(), False),
        (row(contract=True), row(), True),
    ],
)
def test_rows_bill_alike(one: Price, other: Price, alike: bool) -> None:
    assert bill_alike(one, other) is alike
    assert bill_alike(other, one) is alike


@pytest.mark.parametrize(
    ("listed", "written", "row_after", "kept"),
    [
        (row(), None, row(), ()),
        (row(input=3), row(cache_write=5), row(input=3, cache_write=5), ("cache_write",)),
        (row(cache_read=1), row(cache_read=9), row(cache_read=1), ()),
        (row(), row(per_1000_searches=10), row(per_1000_searches=10), ("per_1000_searches",)),
        (row(), row(service=CONTRACT), row(service=CONTRACT), ("service.priority",)),
        (row(), row(tiers=[LONG]), row(), ()),
        (row(tiers=[LONG]), row(tiers=[LONG | {"reasoning": 20}]), row(tiers=[LONG | {"reasoning": 20}]), ()),
        (row(), row(contract=True), row(), ()),
    ],
)  # fmt: skip
def test_the_silence_of_the_list_takes_nothing_from_a_file(
    listed: Price, written: Price | None, row_after: Price, kept: tuple[str, ...]
) -> None:
    found = merged(listed, written)
    assert (found.row, found.words) == (row_after, kept)
