"""What genai-prices knows of a model at a provider, as rows of our own rule files. The package is imported late.

It holds its data in itself; nothing is fetched. What its prices say that ours cannot is named, never dropped silently.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

from schemas.rules.price import Price

if TYPE_CHECKING:
    from genai_prices.data_snapshot import DataSnapshot
    from genai_prices.types import ModelInfo, ModelPrice
    from genai_prices.types import Provider as Source

PARTS: Final = {
    "input_mtok": "input",
    "output_mtok": "output",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write",
    "cache_write_1h_mtok": "cache_write_1h",
    "output_reasoning_mtok": "reasoning",
}
"""Their word → ours, per million tokens."""
SERVICES: Final = {
    "batch": {"processing": "batch"},
    "flex": {"service_tier": "flex"},
    "priority": {"service_tier": "priority"},
    "fast": {"speed": "fast"},
}
"""Our service tier → the package's context of a call."""
_UNDERSTOOD: Final = (
    *SERVICES.values(), {"service_tier": "default"},
    {"service_tier": "fast"},  # OpenAI's other word for priority, at the same price
)  # fmt: skip
_BEYOND_TOKENS: Final = ("web_searches_kcount", "requests_kcount")


class NoPackage(Exception):
    """genai-prices is not installed."""


@dataclass(frozen=True, slots=True)
class Known:
    """One model at one provider."""

    name: str
    """What the provider calls it."""
    context_window: int | None
    rows: tuple[Price, ...]
    """The row in force, then those that are announced. Empty: it cannot be said in rows."""
    is_dated: bool
    """Whether the package knows since when the first row is in force; else that is the day of asking."""
    not_said: tuple[str, ...]
    """What the package bills by that a row cannot say."""


class PriceList:
    """The package's data, as of a day."""

    def __init__(self, today: date) -> None:
        """
        Raises:
            NoPackage: it is not installed.
        """
        try:
            from genai_prices import __version__
            from genai_prices.data_snapshot import get_snapshot
        except ImportError as error:
            raise NoPackage("genai-prices is not installed; run: pip install 'pointsman[prices]'") from error
        self.name = f"genai-prices {__version__}"
        self._today = today
        self._data: DataSnapshot = get_snapshot()

    def source_of(self, base_url: str) -> str | None:
        """The package's name for who answers at a URL."""
        try:
            return self._data.find_provider(None, None, base_url).id
        except LookupError:
            return None

    def sources(self) -> list[str]:
        return sorted(source.id for source in self._data.providers)

    def find(self, source: str, name: str) -> Known | None:
        provider = self._source(source)
        model = provider.find_model(name, all_providers=self._data.providers)
        return None if model is None else self._known(provider, model)

    def all_of(self, source: str, globs: tuple[str, ...]) -> Iterator[Known]:
        """Every model that a glob names and that its provider has not deprecated, by name.

        Some entries stand for many names (`regional.…`), and their own is none that could be called.
        """
        provider = self._source(source)
        for model in sorted(provider.models, key=lambda model: model.id):
            is_wanted = not model.deprecated and any(fnmatchcase(model.id, glob) for glob in globs)
            if is_wanted and provider.find_model(model.id) is model:
                yield self._known(provider, model)

    def _source(self, source: str) -> "Source":
        return next(provider for provider in self._data.providers if provider.id == source)

    def _known(self, source: "Source", model: "ModelInfo") -> Known:
        # A model that another provider lends to this one is lent at its plain price (`ModelInfo.calc_price`).
        is_own = any(model is own for own in source.models)
        days, by_hour = _days(model)
        in_force = [day for day in days if day <= self._today]
        since = [max(in_force, default=self._today), *sorted(day for day in days if day > self._today)]
        # The package is asked as of today for the row in force: its variants may have begun later than that row.
        asked = [self._today, *since[1:]]
        said = {name for day in asked for name in _beyond(model, day, is_own)} | by_hour
        rows = tuple(
            row
            for first, day in zip(since, asked, strict=True)
            if (row := _row(model, first, _noon(day), is_own)) is not None
        )
        return Known(
            name=model.id,
            context_window=model.context_window,
            rows=() if by_hour or len(rows) < len(since) else rows,
            is_dated=bool(in_force),
            not_said=tuple(sorted(said)),
        )


def _days(model: "ModelInfo") -> tuple[list[date], set[str]]:
    """On which days the standard price changes, and whether it also changes within a day."""
    from genai_prices.types import ModelPrice, StartDateConstraint, TimeOfDateConstraint

    if isinstance(model.prices, ModelPrice):
        return [], set()
    constraints = [price.constraint for price in model.prices]
    days = [constraint.start_date for constraint in constraints if isinstance(constraint, StartDateConstraint)]
    by_hour = any(isinstance(constraint, TimeOfDateConstraint) for constraint in constraints)
    return days, {"prices by the hour of the day"} if by_hour else set()


def _row(model: "ModelInfo", since: date, at: datetime, is_own: bool) -> Price | None:
    """None where the model is not billed by tokens."""
    standard = model.get_prices(at)
    rates = _rates(standard)
    if rates is None:
        return None
    row: dict[str, Any] = {"from": since, **rates}
    if standard.web_searches_kcount is not None:
        row["per_1000_searches"] = standard.web_searches_kcount
    if isinstance(standard.requests_kcount, Decimal):
        row["per_request"] = standard.requests_kcount / 1000
    service = {name: _service(model, context, at, rates) for name, context in SERVICES.items() if is_own}
    if said := {name: price for name, price in service.items() if price is not None}:
        row["service"] = said
    if not (rates["input"] or rates["output"] or row.get("per_request")):
        row["free"] = True
    return Price.model_validate(row)


def _service(
    model: "ModelInfo", context: dict[str, str], at: datetime, standard: dict[str, Any]
) -> dict[str, Any] | None:
    """A factor where one says it all. None where the package names no such tier on that day."""
    variants = model.price_variants or ()
    if not any(
        variant.when == context and (variant.constraint is None or variant.constraint.active(at))
        for variant in variants
    ):
        return None
    rates = _rates(model.get_prices(at, context))
    if rates is None:
        return None
    times = _factor(rates, standard)
    return rates if times is None else {"times": times}


def _factor(rates: dict[str, Any], standard: dict[str, Any]) -> Decimal | None:
    """What every price of `standard` is to be multiplied by to be `rates`; None where no one factor does it."""
    mine, theirs = dict(_flat(rates)), dict(_flat(standard))
    if not standard["input"] or mine.keys() != theirs.keys():
        return None
    times: Decimal = (rates["input"] / standard["input"]).normalize()
    return times if times and all(mine[part] == theirs[part] * times for part in mine) else None


def _flat(rates: dict[str, Any]) -> Iterator[tuple[tuple[object, str], Decimal]]:
    for name, value in rates.items():
        if name != "tiers":
            yield (None, name), value
    for tier in rates.get("tiers", ()):
        above = tier["above_input_tokens"]
        yield from (((above, name), value) for name, value in tier.items() if name != "above_input_tokens")


def _rates(prices: "ModelPrice") -> dict[str, Any] | None:
    """Token prices by our words, and the tiers: the package has bounds per part, a row has parts per bound."""
    from genai_prices.types import TieredPrices

    found = {ours: value for theirs, ours in PARTS.items() if (value := getattr(prices, theirs)) is not None}
    if "input" not in found:
        return None
    found.setdefault("output", Decimal(0))  # an embedding has no output
    bounds = sorted({tier.start for value in found.values() if isinstance(value, TieredPrices) for tier in value.tiers})
    rates: dict[str, Any] = {name: _at(value, None) for name, value in found.items()}
    if bounds:
        rates["tiers"] = [
            {"above_input_tokens": bound, **{name: _at(value, bound) for name, value in found.items()}}
            for bound in bounds
        ]
    return rates


def _at(value: Any, bound: int | None) -> Decimal:
    """The price beyond a bound; the lowest tier's without one."""
    if isinstance(value, Decimal):
        return value
    price: Decimal = value.base
    for tier in value.tiers:
        if bound is not None and tier.start <= bound:
            price = tier.price
    return price


def _beyond(model: "ModelInfo", day: date, is_own: bool) -> set[str]:
    """What is billed that our rows cannot say."""
    priced = {name for name, value in vars(model.get_prices(_noon(day))).items() if value is not None}
    contexts = [variant.when for variant in model.price_variants or () if is_own and variant.when not in _UNDERSTOOD]
    return (priced - PARTS.keys() - set(_BEYOND_TOKENS)) | {
        f"{key}={value}" for context in contexts for key, value in context.items()
    }


def _noon(day: date) -> datetime:
    return datetime.combine(day, time(12), UTC)
