"""The tables as they are after the last migration, for statements to be written over; `migrations.py` makes them."""

from typing import Final

from sqlalchemy import BigInteger, Column, Double, MetaData, Table, Text

from controller.ledger.booking import Key
from controller.ledger.money import Usd

COUNTS: Final = (
    "requests", "errors", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens",
    "reasoning_tokens", "unpriced_requests",
)  # fmt: skip
AMOUNTS: Final = ("cost_usd", "wasted_usd")
SHADOW_USD: Final = "shadow_usd"
"""What shadows cost: in the sums of their own models, and in none of `AMOUNTS`."""
DAILY_AMOUNTS: Final = (*AMOUNTS, SHADOW_USD)
TOKENS: Final = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")

_metadata: Final = MetaData()


def _texts(*names: str) -> list[Column[str]]:
    return [Column(name, Text) for name in names]


def _numbers(*names: str) -> list[Column[int]]:
    return [Column(name, BigInteger) for name in names]


bundles: Final = Table("bundles", _metadata, *_texts("digest", "revision", "owners", "vendors"))

calls: Final = Table(
    "calls", _metadata,
    *_texts("id", "at", "day", "sidecar", "use_case", "team", "agent", "caller", "dialect"),
    Column("stream", BigInteger),
    *_texts("outcome"),
    Column("status", BigInteger),
    *_texts("model", "provider", "vendor", "reason", "bundle", "revision"),
    *_numbers(*TOKENS),
    *(Column(name, Usd) for name in AMOUNTS),
    Column("estimated", BigInteger),
    Column("seconds", Double), Column("first_token_seconds", Double),
    *_texts("attempts", "dropped", "conversation", "arm"),
    Column("propensity", Double),
    *_texts("skipped", "facts", "steering", "quality"),
)  # fmt: skip

daily: Final = Table(
    "daily",
    _metadata,
    Column("key", Text),
    *_texts(*Key._fields),
    *_numbers(*COUNTS),
    *(Column(name, Usd) for name in DAILY_AMOUNTS),
)

shadows: Final = Table(
    "shadows", _metadata,
    *_texts("id", "call", "at", "day", "sidecar", "use_case", "team", "bundle", "revision", "outcome"),
    *_texts("model", "provider", "vendor", "live_model", "live_provider"),
    *_numbers(*TOKENS),
    Column("cost_usd", Usd), Column("wasted_usd", Usd), Column("live_cost_usd", Usd),
    Column("estimated", BigInteger),
    Column("seconds", Double), Column("live_seconds", Double),
    *_texts("quality", "live_quality"),
    *_numbers("passed", "live_passed"),
    *_texts("dropped"),
)  # fmt: skip

feedback: Final = Table(
    "feedback", _metadata, *_texts("call", "source", "kind", "at", "day", "sidecar"), Column("score", Double)
)

booked: Final = Table("booked", _metadata, *_texts("id", "until"))

channel: Final = Table("channel", _metadata, *_texts("name"), *_numbers("epoch", "version"), *_texts("document"))

shelf: Final = Table("shelf", _metadata, *_texts("digest", "body"))

sidecars: Final = Table(
    "sidecars", _metadata, *_texts("name", "scope", "status"),
    *(Column(name, Double) for name in ("seen", "told", "written", "status_written")),
)  # fmt: skip
