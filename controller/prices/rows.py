"""A price row as YAML: on one line where it is short, else a line per part, as people would write and review it."""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from schemas.rules.price import Price

LINE = 120
"""Characters."""
_ORDER = ("from", "above_input_tokens", "times", "input", "output", "cache_read", "cache_write", "cache_write_1h",
          "reasoning", "per_request", "per_1000_searches", "free", "contract", "tiers", "service")  # fmt: skip


def flow_row(price: Price) -> str:
    """`{from: 2026-11-25, input: 3, output: 15}`."""
    return _flow(_said(price))


def block_item(price: Price, indent: int) -> str:
    """One item of a list, its line end included."""
    margin, said = " " * indent, _said(price)
    line = f"{margin}- {_flow(said)}\n"
    if len(line) <= LINE and not said.keys() & {"tiers", "service"}:
        return line
    lines = [f"{margin}  {text}" for key, value in said.items() for text in _lines(key, value)]
    return f"{margin}- {lines[0].lstrip()}\n" + "".join(f"{text}\n" for text in lines[1:])


def parts(price: Price) -> dict[str, str]:
    """What a row says, a text per part; its day is left out."""
    return {key: _flow(value) for key, value in _said(price).items() if key != "from"}


def _lines(key: str, value: Any) -> Sequence[str]:
    if key == "tiers":
        return [f"{key}:", *(f"  - {_flow(tier)}" for tier in value)]
    if key == "service":
        return [f"{key}:", *(f"  {line}" for name, price in value.items() for line in _service(name, price))]
    return [f"{key}: {_flow(value)}"]


def _service(name: str, price: Mapping[str, Any]) -> Sequence[str]:
    if "tiers" not in price:
        return [f"{name}: {_flow(price)}"]
    return [f"{name}:", *(f"  {line}" for key, value in price.items() for line in _lines(key, value))]


def _said(price: Price) -> dict[str, Any]:
    """What differs from the defaults, in the order that people read."""
    said: dict[str, Any] = _ordered(price.model_dump(by_alias=True, exclude_defaults=True))
    return said


def _ordered(value: Any) -> Any:
    if isinstance(value, Mapping):
        keys = sorted(value, key=lambda key: _ORDER.index(key) if key in _ORDER else len(_ORDER))
        return {key: _ordered(value[key]) for key in keys}
    if isinstance(value, list | tuple):
        return [_ordered(item) for item in value]
    return value


def _flow(value: Any) -> str:
    match value:
        case Mapping():
            return "{" + ", ".join(f"{key}: {_flow(item)}" for key, item in value.items()) + "}"
        case list():
            return "[" + ", ".join(_flow(item) for item in value) + "]"
        case bool():
            return str(value).lower()
        case Decimal():
            return format(value.normalize(), "f")  # never an exponent
        case date():
            return value.isoformat()
        case _:
            return str(value)
