"""One cell of a results file, as many tools write it: to its value, or to what would have been right. Pure."""

import math
import re
from decimal import Decimal, InvalidOperation
from typing import Final, NamedTuple

MISSING: Final = frozenset({"", "null", "none", "nan", "n/a", "na", "-"})
RIGHT: Final = frozenset({"true", "t", "yes", "y", "c", "correct", "pass", "passed"})
HALF: Final = frozenset({"p", "partial"})
WRONG: Final = frozenset({"false", "f", "no", "n", "i", "incorrect", "fail", "failed"})
"""Inspect writes C, P, I and N (no answer)."""
UNITS: Final = {
    "": ("", Decimal(1)),
    "$": ("USD", Decimal(1)),
    "usd": ("USD", Decimal(1)),
    "us$": ("USD", Decimal(1)),
    "¢": ("cent", Decimal("0.01")),
    "c": ("cent", Decimal("0.01")),
    "cent": ("cent", Decimal("0.01")),
    "cents": ("cent", Decimal("0.01")),
}
"""What stands beside an amount, its name, and its worth in USD."""
_AMOUNT: Final = re.compile(
    r"(?P<before>[^\d.+-]*)(?P<number>[+-]?[\d.,]*\d[\d.,]*(?:[eE][+-]?\d+)?)(?P<after>.*)", re.DOTALL
)
_GROUPED: Final = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d*)?")


MOST_USD: Final = Decimal(10) ** 12


class WrongValue(ValueError):
    """`str(error)` says what would be right."""


class Cost(NamedTuple):
    usd: Decimal | None
    unit: str
    """As written beside the amount: "" for a bare number."""


def is_missing(value: object) -> bool:
    if isinstance(value, str):
        return value.strip().lower() in MISSING
    return value is None or (isinstance(value, float) and math.isnan(value))


def text_of(value: object) -> str | None:
    """A name. Numbers are names too: 12 and 12.0 are "12", as a CSV has it."""
    if isinstance(value, bool | list | dict):
        raise WrongValue("write a text or a number")
    if isinstance(value, Decimal) and abs(value) < MOST_USD and value == value.to_integral_value():
        return str(int(value))
    if isinstance(value, str):
        return written(value.strip()) or None
    return None if is_missing(value) else str(value)


def written(text: str) -> str:
    """JSON can spell halves of characters, which no file can hold."""
    return text.encode("utf-8", "replace").decode()


def success_of(value: object) -> float | None:
    """Any number passes, also those outside 0 and 1: that is for the lints to judge."""
    if is_missing(value):
        return None
    word = value.strip().lower() if isinstance(value, str) else ""
    for words, worth in ((RIGHT, 1.0), (HALF, 0.5), (WRONG, 0.0)):
        if word in words:
            return worth
    try:
        return number_of(value)
    except WrongValue:
        raise WrongValue(
            "write a number from 0 to 1, true or false, or C or I; leave it empty where ungraded"
        ) from None


def number_of(value: object) -> float | None:
    if is_missing(value):
        return None
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        raise WrongValue("write a number, or leave it empty where unknown") from None
    if not math.isfinite(number):
        raise WrongValue("write a finite number, or leave it empty where unknown")
    return number


def duration_of(value: object) -> float | None:
    number = number_of(value)
    if number is not None and number < 0:
        raise WrongValue("write milliseconds, 0 or more")
    return number


def count_of(value: object) -> int | None:
    number = number_of(value)
    if number is None:
        return None
    if number < 0 or number != int(number):
        raise WrongValue("write a whole number, 0 or more")
    return int(number)


def epoch_of(value: object) -> int:
    return count_of(value) or 0 if not is_missing(value) else 1


def cost_of(value: object) -> Cost:
    """USD, from a number or a text such as "$0.0012", "0.12 cents", "1,204.5". Other currencies are unknown here."""
    if is_missing(value):
        return Cost(None, "")
    if isinstance(value, bool):
        raise WrongValue("write USD as a number, or leave it empty where unknown")
    found = _AMOUNT.fullmatch(str(value).strip())
    if not found:
        raise WrongValue("write USD as a number, or leave it empty where unknown")
    number = found["number"]
    if "," in number:
        if not _GROUPED.fullmatch(number):
            raise WrongValue("write USD with a decimal point: 0.0012")
        number = number.replace(",", "")
    try:
        amount = Decimal(number)
    except InvalidOperation:
        raise WrongValue("write USD as a number, or leave it empty where unknown") from None
    if not 0 <= amount < MOST_USD:
        raise WrongValue("write USD, 0 or more, and less than a million millions")
    beside = " ".join(part for part in (found["before"].strip(), found["after"].strip()) if part)
    unit, worth = UNITS.get("usd" if beside.lower() in {"$ usd", "usd $"} else beside.lower(), (beside, None))
    return Cost(None if worth is None else amount * worth, unit)
