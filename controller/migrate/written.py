"""Rule files as text, as people would write them: a key per line, what it holds in one line, a comment where something
was assumed."""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Final

from controller.prices.rows import block_item, flow_row
from schemas.rules.price import Price

_PLAIN: Final = re.compile(r"(https?://)?[A-Za-z]([A-Za-z0-9 ._/-]*[A-Za-z0-9._/-])?(:[0-9]+)?(/[A-Za-z0-9._/-]*)?")
_NOT_TEXT: Final = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})


def as_yaml(content: Mapping[str, Any]) -> str:
    return "".join(f"{key}:{_block(value)}\n" for key, value in content.items())


def with_prices(content: Mapping[str, Any], rows: Sequence[Price], source: str) -> str:
    """A model's file, its prices last."""
    if not rows:
        return as_yaml(content)
    return f"{as_yaml(content)}# US dollars per million tokens, {source}.\nprices:\n" + "".join(
        block_item(row, 2) for row in rows
    )


def with_comment(text: str, key: str, comment: str) -> str:
    """Says something beside a key at the top of a file."""
    return re.sub(rf"^({key}: [^\n]*)$", rf"\1  # {comment}", text, count=1, flags=re.MULTILINE)


def _block(value: Any) -> str:
    if isinstance(value, list) and value and isinstance(value[0], Mapping):
        return "".join(f"\n  - {_flow(item)}" for item in value)
    return f" {_flow(value)}"


def _flow(value: Any) -> str:
    match value:
        case Price():
            return flow_row(value)
        case Mapping():
            return "{" + ", ".join(f"{_flow(key)}: {_flow(item)}" for key, item in value.items()) + "}"
        case list() | tuple():
            return "[" + ", ".join(map(_flow, value)) + "]"
        case bool():
            return str(value).lower()
        case Decimal():
            return f"{value.normalize():f}"
        case str():
            return value if _PLAIN.fullmatch(value) and value.lower() not in _NOT_TEXT else json.dumps(value)
        case date():
            return value.isoformat()
        case _:
            return str(value)
