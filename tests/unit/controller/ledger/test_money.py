import sqlite3
from decimal import Decimal, Inexact

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.ledger.money import EXACT, MAX_PLACES, MAX_USD, add_functions, is_bookable, shown, stored

amounts = st.decimals(min_value=0, max_value=MAX_USD, places=MAX_PLACES, allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("12.34", "12.3400"),
        ("0", "0.0000"),
        ("0E-9", "0.0000"),
        ("0.00000025", "0.00000025"),
        ("1E+2", "100.0000"),
        ("123456789.123456789012345678901234", "123456789.123456789012345678901234"),
        ("0.1000000", "0.1000"),
    ],
)
def test_shown_keeps_every_digit_that_counts(amount: str, text: str) -> None:
    assert shown(Decimal(amount)) == text


@pytest.mark.parametrize(
    ("amount", "bookable"),
    [
        ("0", True),
        ("0.000000000000000000000001", True),
        ("1E+9", True),
        ("1000000000.01", False),
        ("-0.01", False),
        ("NaN", False),
        ("Infinity", False),
        ("sNaN", False),
        ("1E-25", False),
        ("1E+999999", False),
    ],
)
def test_is_bookable(amount: str, bookable: bool) -> None:
    assert is_bookable(Decimal(amount)) is bookable


@given(st.lists(amounts, min_size=1, max_size=30))
def test_sums_in_the_database_are_exact_in_any_order(given_amounts: list[Decimal]) -> None:
    connection = sqlite3.connect(":memory:")
    try:
        add_functions(connection)
        connection.execute("CREATE TABLE t (x TEXT)")
        connection.executemany("INSERT INTO t VALUES (?)", [(stored(amount),) for amount in given_amounts])
        (total,) = connection.execute("SELECT usd_sum(x) FROM t").fetchone()
        folded = "0"
        for amount in given_amounts:
            (folded,) = connection.execute("SELECT usd_add(?, ?)", (folded, stored(amount))).fetchone()
    finally:
        connection.close()
    exact = Decimal(0)
    for amount in reversed(given_amounts):
        exact = EXACT.add(exact, amount)
    assert Decimal(total) == Decimal(folded) == exact


def test_a_sum_that_would_be_rounded_raises_instead() -> None:
    with pytest.raises(Inexact):
        EXACT.add(Decimal(10) ** 40, Decimal(10) ** -40)
