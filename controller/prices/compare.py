"""What a price list says against what a file says: the row that the file should gain, if any."""

from dataclasses import dataclass
from datetime import date
from typing import Any

import msgspec

from schemas import bundle as compiled
from schemas.compile_prices import compile_price
from schemas.rules.price import CacheAndReasoning, Price

_PARTS = tuple(CacheAndReasoning.model_fields)
_FEES = ("per_request", "per_1000_searches")


@dataclass(frozen=True, slots=True)
class Kept:
    """A row by the list, with what the list says nothing about taken over from the file."""

    row: Price
    words: tuple[str, ...]
    """What was taken over."""


def merged(listed: Price, written: Price | None) -> Kept:
    """The list speaks where it says anything. Its silence takes nothing from a file."""
    if written is None:
        return Kept(listed, ())
    row, words = _filled(_said(listed), _said(written))
    return Kept(Price.model_validate(row), tuple(words))


def _said(row: Price) -> dict[str, Any]:
    return row.model_dump(by_alias=True, exclude_defaults=True)


def _filled(listed: dict[str, Any], written: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Parts by their names, tiers by their bounds, service tiers by theirs."""
    kept = {name: written[name] for name in (*_PARTS, *_FEES) if name in written and name not in listed}
    words = list(kept)
    row = listed | ({} if "times" in listed else kept)
    bounds = {tier["above_input_tokens"]: tier for tier in written.get("tiers", ())}
    if "tiers" in row:
        row["tiers"] = [_filled(tier, bounds.get(tier["above_input_tokens"], {}))[0] for tier in row["tiers"]]
    services, theirs = written.get("service", {}), listed.get("service", {})
    if services or theirs:
        row["service"] = services | {name: _filled(price, services.get(name, {}))[0] for name, price in theirs.items()}
        words += [f"service.{name}" for name in services if name not in theirs]
    return row, words


def bill_alike(one: Price, other: Price) -> bool:
    """Whether two rows bill every call alike, however they are written, and whenever they begin."""
    return _billed(one) == _billed(other)


def since(row: Price, day: date) -> Price:
    return row.model_copy(update={"since": day})


def _billed(price: Price) -> tuple[Any, ...]:
    row = compile_price(price)
    services = {name: _tiered(rates) for name, rates in row.service.items()}
    return _tiered(row), services, row.per_request or 0, row.per_1000_searches


def _tiered(rates: compiled.TieredRates) -> tuple[Any, ...]:
    return _full(rates), tuple((tier.above_input_tokens, _full(tier)) for tier in rates.tiers)


def _full(rates: compiled.Rates) -> tuple[Any, ...]:
    """Every part, those that are left out at what stands in for them."""
    full = msgspec.structs.asdict(rates)
    for part, stand_in in _STAND_INS:
        if full[part] is None:
            full[part] = full[stand_in]
    return tuple(full[part] for part in ("input", "output", *_PARTS))


_STAND_INS = (
    ("cache_read", "input"), ("cache_write", "input"), ("cache_write_1h", "cache_write"), ("reasoning", "output"),
)  # fmt: skip
