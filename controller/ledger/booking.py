"""What a record means in the books: its day, whether it counts as an error, whether its price is known. Pure."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

import msgspec

from controller.ledger.money import EXACT, is_bookable
from schemas.record import CallRecord, Usage

MAX_TOKENS: Final = 1 << 40
"""Per call. Sums of these stay within SQLite's 64 bits for eight million calls that each claim the most."""
MAX_TEXT: Final = 1024

NOT_ERRORS: Final = frozenset({"ok", "client_closed", "unknown_outcome"})
"""A caller that left saw no error; of an unknown outcome nobody can say."""


class Entry(msgspec.Struct, frozen=True):
    """What one call adds to the sums of its day."""

    errors: int
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int
    cost_usd: Decimal
    wasted_usd: Decimal
    unpriced_requests: int
    requests: int = 1

    def __add__(self, other: "Entry") -> "Entry":
        return Entry(
            errors=self.errors + other.errors,
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cache_read_tokens=self.cache_read_tokens + other.cache_read_tokens,
            cache_write_tokens=self.cache_write_tokens + other.cache_write_tokens,
            reasoning_tokens=self.reasoning_tokens + other.reasoning_tokens,
            cost_usd=EXACT.add(self.cost_usd, other.cost_usd),
            wasted_usd=EXACT.add(self.wasted_usd, other.wasted_usd),
            unpriced_requests=self.unpriced_requests + other.unpriced_requests,
            requests=self.requests + other.requests,
        )


def entry_of(record: CallRecord) -> Entry:
    usage = record.usage or Usage()
    return Entry(
        errors=int(record.outcome not in NOT_ERRORS),
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        cost_usd=record.cost_usd if record.cost_usd is not None else Decimal(0),
        wasted_usd=record.wasted_usd,
        unpriced_requests=int(is_unpriced(record)),
    )


def is_unpriced(record: CallRecord) -> bool:
    """Some money of this call is unknown: what stands in the sums for it is too little.

    A call that failed before any model worked cost nothing, and is not meant.
    """
    answered = record.usage is not None or record.outcome == "ok" or (record.outcome in NOT_ERRORS and record.attempts)
    if answered and record.cost_usd is None:
        return True
    return any(attempt.usage is not None and attempt.cost_usd is None for attempt in record.attempts)


def day_of(at: str) -> str:
    """The UTC day of an RFC 3339 time.

    Raises:
        ValueError: not such a time.
    """
    moment = datetime.fromisoformat(at)
    if moment.tzinfo is None:
        raise ValueError("no time zone")
    return moment.astimezone(UTC).date().isoformat()


def faults_of(record: CallRecord) -> Iterator[str]:
    """Why a record cannot be booked: never so from our own sidecar."""
    if not record.id or len(record.id) > MAX_TEXT:
        yield "id must be 1 to 1024 characters"
    try:
        day_of(record.at)
    except (ValueError, OverflowError):
        yield "at must be an RFC 3339 time with its zone"
    for name in ("sidecar", "use_case", "dialect", "outcome", "bundle", "revision", "agent", "caller", "model",
                 "provider", "vendor", "reason"):  # fmt: skip
        if len(getattr(record, name)) > MAX_TEXT:
            yield f"{name} is longer than {MAX_TEXT} characters"
    if record.usage is not None:
        for name in Usage.__struct_fields__:
            count = getattr(record.usage, name)
            if isinstance(count, int) and not 0 <= count <= MAX_TOKENS:
                yield f"usage.{name} must be 0 to {MAX_TOKENS}"
        if len(record.usage.service) > MAX_TEXT:
            yield f"usage.service is longer than {MAX_TEXT} characters"
    for name, amount in (("cost_usd", record.cost_usd), ("wasted_usd", record.wasted_usd)):
        if amount is not None and not is_bookable(amount):
            yield f"{name} must be a plain amount of US dollars, not {str(amount)[:40]}"
    if not 0 <= record.status <= 999:
        yield "status must be an HTTP status or 0"
