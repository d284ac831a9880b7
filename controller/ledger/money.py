"""Exact money in both databases: NUMERIC in PostgreSQL; in SQLite decimals as text, summed by functions of ours.

Text, because no integer unit fits every price (a cached token may cost less than a nano-dollar), because SQLite's own
sums are floating-point, and because a person who opens the file should read dollars.
"""

import sqlite3
from decimal import Context, Decimal, Inexact, InvalidOperation
from typing import Any, Final

from sqlalchemy import Dialect, FunctionElement, Numeric, Text, TypeDecorator
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine

EXACT: Final = Context(prec=60, traps=[Inexact, InvalidOperation])
"""A sum that would have to be rounded raises instead: 60 digits hold a trillion dollars to 48 places."""
MAX_USD: Final = Decimal(10) ** 9
MAX_PLACES: Final = 24
SHOWN_PLACES: Final = 4
"""At least; a digit that counts is never cut."""


def is_bookable(amount: Decimal) -> bool:
    """Finite, not negative, and within what sums can hold exactly."""
    if not amount.is_finite() or not 0 <= amount <= MAX_USD:
        return False
    exponent = amount.as_tuple().exponent
    return isinstance(exponent, int) and exponent >= -MAX_PLACES


def stored(amount: Decimal) -> str:
    """Plain digits: no exponent, no minus zero."""
    return f"{EXACT.plus(amount):f}"


def shown(amount: Decimal) -> str:
    """All digits that count, and at least four places: `12.3400`, `0.00000025`."""
    plain = EXACT.create_decimal(amount)
    places = max(SHOWN_PLACES, -_last_digit(plain))
    return f"{plain:.{places}f}"


class Usd(TypeDecorator[Decimal]):
    """A column of money."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(Numeric() if dialect.name == "postgresql" else Text())

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Decimal | str | None:
        return value if value is None or dialect.name == "postgresql" else stored(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        return None if value is None else Decimal(value)


class usd_add(FunctionElement[Decimal]):
    """Two amounts of money, added by the database."""

    name = "usd_add"
    type = Usd()
    inherit_cache = True


class usd_sum(FunctionElement[Decimal]):
    """The sum of a column of money."""

    name = "usd_sum"
    type = Usd()
    inherit_cache = True


@compiles(usd_add)
def _add_in_sqlite(element: usd_add, compiler: SQLCompiler, **more: Any) -> str:
    return f"usd_add({compiler.process(element.clauses, **more)})"


@compiles(usd_add, "postgresql")
def _add_in_postgresql(element: usd_add, compiler: SQLCompiler, **more: Any) -> str:
    left, right = (compiler.process(clause, **more) for clause in element.clauses)
    return f"({left} + {right})"


@compiles(usd_sum)
def _sum_in_sqlite(element: usd_sum, compiler: SQLCompiler, **more: Any) -> str:
    return f"usd_sum({compiler.process(element.clauses, **more)})"


@compiles(usd_sum, "postgresql")
def _sum_in_postgresql(element: usd_sum, compiler: SQLCompiler, **more: Any) -> str:
    return f"sum({compiler.process(element.clauses, **more)})"


def add_functions(connection: sqlite3.Connection) -> None:
    """`usd_add(a, b)` and the aggregate `usd_sum(x)`, on text."""
    connection.create_function("usd_add", 2, _add, deterministic=True)
    connection.create_aggregate("usd_sum", 1, _Sum)  # type: ignore[arg-type]  # typeshed wants steps of integers


def _add(left: str, right: str) -> str:
    return stored(EXACT.add(Decimal(left), Decimal(right)))


class _Sum:
    def __init__(self) -> None:
        self._total = Decimal(0)

    def step(self, amount: str) -> None:
        if amount != "0":  # most calls waste nothing
            self._total = EXACT.add(self._total, Decimal(amount))

    def finalize(self) -> str:
        return stored(self._total)


def _last_digit(amount: Decimal) -> int:
    exponent = amount.normalize(EXACT).as_tuple().exponent
    return exponent if isinstance(exponent, int) else 0
