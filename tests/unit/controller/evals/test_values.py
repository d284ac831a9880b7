"""Cells as other tools write them."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from controller.evals.values import WrongValue, cost_of, count_of, duration_of, success_of, text_of


@pytest.mark.parametrize(
    ("value", "success"),
    [
        (True, 1.0),
        (False, 0.0),
        (1, 1.0),
        (0, 0.0),
        (Decimal("0.25"), 0.25),
        ("1", 1.0),
        ("0.0", 0.0),
        ("C", 1.0),
        ("I", 0.0),
        ("P", 0.5),
        ("N", 0.0),
        ("true", 1.0),
        ("FALSE", 0.0),
        (" pass ", 1.0),
        ("failed", 0.0),
        (-1, -1.0),
        ("-1", -1.0),
        (None, None),
        ("", None),
        ("NaN", None),
        (float("nan"), None),
        ("null", None),
    ],
)
def test_success(value: object, success: float | None) -> None:
    assert success_of(value) == success


@pytest.mark.parametrize(
    ("value", "usd", "unit"),
    [
        (Decimal("0.0012"), "0.0012", ""),
        (3, "3", ""),
        ("0.0012", "0.0012", ""),
        ("1e-5", "0.00001", ""),
        ("$0.0012", "0.0012", "USD"),
        ("0.0012 USD", "0.0012", "USD"),
        ("$ 1,204.50", "1204.50", "USD"),
        ("US$2", "2", "USD"),
        ("0.12¢", "0.0012", "cent"),
        ("0.12 cents", "0.0012", "cent"),
        ("0.1 EUR", None, "EUR"),
        ("€0.1", None, "€"),
        (None, None, ""),
        ("", None, ""),
        ("n/a", None, ""),
    ],
)
def test_cost(value: object, usd: str | None, unit: str) -> None:
    assert cost_of(value) == (None if usd is None else Decimal(usd), unit)


@pytest.mark.parametrize(
    ("value", "name"), [(12, "12"), (Decimal("12.0"), "12"), ("012", "012"), (" a ", "a"), ("", None)]
)
def test_name(value: object, name: str | None) -> None:
    assert text_of(value) == name


@pytest.mark.parametrize(
    ("parse", "value", "right"),
    [
        (success_of, "banana", "number from 0 to 1"),
        (success_of, [1], "number from 0 to 1"),
        (cost_of, "0,02", "decimal point"),
        (cost_of, "-1", "0 or more"),
        (cost_of, "free", "USD as a number"),
        (cost_of, True, "USD as a number"),
        (cost_of, "1.2.3", "USD as a number"),
        (duration_of, -5, "0 or more"),
        (duration_of, Decimal("1e999"), "finite"),
        (count_of, "1.5", "whole number"),
        (text_of, {"a": 1}, "text or a number"),
    ],
)
def test_what_cannot_be_read_says_what_would_be_right(
    parse: Callable[[object], object], value: object, right: str
) -> None:
    with pytest.raises(WrongValue, match=right):
        parse(value)
