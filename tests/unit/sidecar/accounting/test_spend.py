"""What a use case has spent today and this month."""

from decimal import Decimal

import pytest

from sidecar.accounting.spend import SpendBook
from sidecar.routing.plan import Spend


@pytest.mark.parametrize(
    ("adds", "asked", "per_day", "per_month"),
    [
        ([], "2026-11-01", 0, 0),
        ([("2026-11-01", 1), ("2026-11-01", 2)], "2026-11-01", 3, 3),
        ([("2026-11-01", 1), ("2026-11-02", 2)], "2026-11-02", 2, 3),
        ([("2026-11-01", 1)], "2026-11-02", 0, 1),
        ([("2026-11-30", 1)], "2026-12-01", 0, 0),
        ([("2026-11-30", 1), ("2025-12-01", 1)], "2026-11-30", 1, 1),
        ([("2026-11-02", 1), ("2026-11-01", 2)], "2026-11-02", 1, 3),
        ([("2026-12-01", 1), ("2026-11-30", 2)], "2026-12-01", 1, 1),
    ],
)
def test_days_and_months_are_told_apart(adds: list[tuple[str, int]], asked: str, per_day: int, per_month: int) -> None:
    """A call that ends after midnight is booked on the day of its arrival."""
    book = SpendBook()
    for day, usd in adds:
        book.add("chat", day, Decimal(usd))
    assert book.of("chat", asked) == Spend(Decimal(per_day), Decimal(per_month))


def test_use_cases_do_not_share() -> None:
    book = SpendBook()
    book.add("a", "2026-11-01", Decimal(1))
    assert book.of("b", "2026-11-01") == Spend()
