"""Calls as the ledger gives them (`GET /v1/calls`, `usage export --format jsonl`), as far as a replay looks at them."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal

import msgspec

from schemas.record import AttemptRecord, CallFacts, Usage


class RecordedCall(msgspec.Struct, frozen=True, gc=False):
    """Unknown keys are passed over: the ledger says more than is asked here."""

    id: str
    at: str
    use_case: str
    outcome: str
    agent: str = ""
    caller: str = ""
    stream: bool = False
    model: str = ""
    provider: str = ""
    reason: str = ""
    conversation: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost_usd: Decimal | None = None
    """Of the answer; None: unknown."""
    wasted_usd: Decimal | None = None
    """Of attempts whose answer the caller did not get."""
    attempts: tuple[AttemptRecord, ...] = ()
    facts: CallFacts | None = None

    @property
    def usage(self) -> Usage | None:
        """None where nobody knows it. The answering attempt says it in full, searches and service tier included."""
        if self.input_tokens is None:
            return None
        if self.attempts and (said := self.attempts[-1].usage) is not None:
            return said
        return Usage(
            self.input_tokens,
            self.output_tokens or 0,
            self.cache_read_tokens or 0,
            self.cache_write_tokens or 0,
            self.reasoning_tokens or 0,
        )


class CallPage(msgspec.Struct, frozen=True):
    """The answer of `GET /v1/calls`."""

    calls: tuple[RecordedCall, ...]
    next: str | None
    total: int = 0
    """Said on the first page alone."""


class UnreadableCall(ValueError):
    """The message names the line."""


def moment_of(call: RecordedCall) -> datetime:
    """When it came. Raises `UnreadableCall`: that is no time, or names no zone."""
    try:
        at = datetime.fromisoformat(call.at)
    except ValueError as error:
        raise UnreadableCall(f'call {call.id}: "{call.at}" is no time by RFC 3339') from error
    if at.tzinfo is None:
        raise UnreadableCall(f'call {call.id}: "{call.at}" names no zone; write it as 2026-11-23T09:00:00Z')
    return at


_decode_page = msgspec.json.Decoder(CallPage).decode
_decode_call = msgspec.json.Decoder(RecordedCall).decode


def parse_page(data: bytes) -> CallPage:
    """Raises `UnreadableCall`."""
    try:
        return _decode_page(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableCall(f"not a page of calls: {error}") from error


def parse_lines(lines: Iterable[bytes]) -> Iterator[RecordedCall]:
    """Raises `UnreadableCall`."""
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                yield _decode_call(line)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                raise UnreadableCall(f"line {number}: not a call as `usage export` writes it: {error}") from error
