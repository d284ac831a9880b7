"""Providers' invoices and cost exports as CSV: what was billed, by day and model.

Columns are found by their names, in the order below. Sources: FOCUS 1.2 (https://focus.finops.org), AWS Cost and Usage
Report, legacy and 2.0 (https://docs.aws.amazon.com/cur/latest/userguide), and the exports of the OpenAI and Anthropic
consoles; any other file needs a column of money and may have one of days and one of models.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final

MONEY: Final = (
    "BilledCost", "lineItem/UnblendedCost", "line_item_unblended_cost", "amount_value", "cost_usd", "cost (usd)",
    "cost_in_usd", "total_cost_usd", "cost", "amount", "total",
)  # fmt: skip
DAYS: Final = (
    "ChargePeriodStart", "lineItem/UsageStartDate", "line_item_usage_start_date", "start_time_iso", "usage_date_utc",
    "usage_start_time", "date", "day", "start_time", "usage date", "start",
)  # fmt: skip
MODELS: Final = ("model", "model_version", "line_item", "SkuId", "lineItem/UsageType", "line_item_usage_type",
                 "ChargeDescription", "sku description", "description")  # fmt: skip
CURRENCIES: Final = ("BillingCurrency", "lineItem/CurrencyCode", "line_item_currency_code", "amount_currency",
                     "currency")  # fmt: skip
SERVICES: Final = ("ServiceName", "product/ProductName", "product_product_name", "line_item_product_code",
                   "lineItem/ProductCode", "service description")  # fmt: skip
MODEL_SERVICES: Final = re.compile(
    r"bedrock|claude|anthropic|openai|vertex|gemini|cognitive|foundry|mistral|llama|deepseek|cohere|nova|titan|"
    r"ai services",
    re.IGNORECASE,
)
"""Of a cloud's bill, only what such services cost is looked at."""


class UnclearInvoice(ValueError):
    """What is wrong with the file, where, and what would be right."""


@dataclass(frozen=True, slots=True)
class Charge:
    day: date | None
    model: str
    """As the invoice writes it; may be empty."""
    usd: Decimal


@dataclass(frozen=True, slots=True)
class Invoice:
    file: str
    payee: str
    """The provider of the ledger that it bills."""
    charges: tuple[Charge, ...]

    @property
    def usd(self) -> Decimal:
        return sum((charge.usd for charge in self.charges), Decimal(0))

    @property
    def days(self) -> tuple[date, date] | None:
        """First and last; None: it does not say."""
        days = [charge.day for charge in self.charges if charge.day is not None]
        return (min(days), max(days)) if days else None


def read_invoice(path: Path, payee: str) -> Invoice:
    """The charges of a file; zero lines are left out.

    Raises:
        UnclearInvoice: no such file, no column of money, a cell that is no number, or another currency.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return Invoice(str(path), payee, tuple(_charges(path, csv.reader(file, strict=True))))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UnclearInvoice(f"{path}: cannot be read as CSV: {error}") from error


def _charges(path: Path, lines: Iterator[list[str]]) -> Iterator[Charge]:
    head = [cell.strip() for cell in next(lines, [])]
    money = _column(head, MONEY)
    if money is None:
        raise UnclearInvoice(f"{path}:1: no column of money; one of these is needed: {', '.join(MONEY)}")
    day, model = _column(head, DAYS), _column(head, MODELS)
    currency, service = _column(head, CURRENCIES), _column(head, SERVICES)
    for number, row in enumerate(lines, start=2):
        if len(row) <= money or not row[money].strip():
            continue
        place = f"{path}:{number}: {head[money]}"
        if service is not None and not MODEL_SERVICES.search(_cell(row, service) + _cell(row, model)):
            continue
        if (said := _cell(row, currency)) and said.lower() not in ("usd", "$", "us dollar"):
            raise UnclearInvoice(f"{place} is in {said}; only US dollars can be compared with the ledger")
        if usd := _usd(row[money], place):
            yield Charge(_day(_cell(row, day), path, number), _cell(row, model), usd)


def _column(head: Sequence[str], names: Sequence[str]) -> int | None:
    lowered = [cell.lower() for cell in head]
    return next((lowered.index(name.lower()) for name in names if name.lower() in lowered), None)


def _cell(row: Sequence[str], column: int | None) -> str:
    return row[column].strip() if column is not None and column < len(row) else ""


def _usd(text: str, place: str) -> Decimal:
    plain = text.strip().removeprefix("$").replace(",", "")
    try:
        amount = Decimal(plain)
    except InvalidOperation as error:
        raise UnclearInvoice(f'{place} is no amount: "{text}"; write it as 12.34') from error
    if not amount.is_finite():
        raise UnclearInvoice(f'{place} is no amount: "{text}"; write it as 12.34')
    return amount


def _day(text: str, path: Path, number: int) -> date | None:
    """A date, a time by RFC 3339, or seconds since 1970."""
    if not text:
        return None
    try:
        if text.isdigit() and len(text) >= 9:
            return datetime.fromtimestamp(int(text), UTC).date()
        return date.fromisoformat(text[:10])
    except (ValueError, OverflowError, OSError) as error:
        raise UnclearInvoice(f'{path}:{number}: "{text}" is no day; write it as 2026-11-23') from error
