"""One attempt at one target: send what was encoded for it, and wait until the first content, or the whole plain answer,
is in hand.

That moment is the commit point: before it another target may answer, after it none may. The streamed and the plain
answer share everything up to it.
"""

import asyncio
from collections.abc import Callable
from decimal import Decimal

import msgspec

from schemas.record import Usage
from sidecar.accounting.pricing import cost_of
from sidecar.canonical.events import Started
from sidecar.core.bookkeeping import Bookkeeper
from sidecar.core.call import Attempt, Call
from sidecar.core.slow_stream import Pace
from sidecar.core.watched import Watched
from sidecar.dialects.base import Encoded, PlainAnswer, PriceOf, StreamEncoder, Tap
from sidecar.dialects.fitting import fitted
from sidecar.dialects.resumable import Resumable
from sidecar.dialects.translator import Translator
from sidecar.errors import CannotCarry, DeadlineExceeded, FirstTokenTimeout, MalformedAnswer, StreamCut
from sidecar.ports import Clock, Upstream, UpstreamAnswer
from sidecar.routing.snapshot import Target


class WonPlain(msgspec.Struct, frozen=True, gc=False):
    """A whole answer in the caller's dialect, not yet booked."""

    status: int
    body: bytes
    read: PlainAnswer


class WonStream(msgspec.Struct, frozen=True):
    """A stream with its first content in hand, for whoever has it to close."""

    answer: UpstreamAnswer
    tap: Tap
    held: bytes
    first_token_seconds: float


Won = WonPlain | WonStream


def close(won: Won) -> None:
    """It is not wanted."""
    if isinstance(won, WonStream):
        won.answer.close()


class Attempts:
    """Makes attempts; what they need outlives every call."""

    def __init__(self, clock: Clock, upstream: Upstream, books: Bookkeeper) -> None:
        self._clock = clock
        self._upstream = upstream
        self._books = books

    async def make(self, call: Call, attempt: Attempt, targets_left: int) -> Won:
        """What the target says, up to the commit point. `targets_left` could still answer in its place.

        Raises UpstreamError: this attempt failed.
        """
        tap = _watched(call, attempt, _tap(call, attempt)) if call.envelope.stream else None
        try:
            return await self._ask(call, attempt, targets_left, tap)
        except CannotCarry as error:
            raise MalformedAnswer(f"the answer holds {error.what}, which the caller's API has no place for") from error

    async def go_on(self, call: Call, attempt: Attempt, tap: Tap) -> WonStream:
        """A stream's next piece from another target: `tap` knows what the caller has already. Raises UpstreamError."""
        won = await self._ask(call, attempt, 0, tap)
        assert isinstance(won, WonStream)
        return won

    async def _ask(self, call: Call, attempt: Attempt, targets_left: int, tap: Tap | None) -> Won:
        target, timeouts = attempt.target, call.plan.use_case.timeouts
        self._books.begin(call)
        left = call.deadline - attempt.began
        # A target that hangs must leave the next one time to answer.
        patience = (left / 2 if targets_left else left) if tap is None else timeouts.first_token
        answer: UpstreamAnswer | None = None
        committed = False
        try:
            async with asyncio.timeout(min(left, patience)) as limit:
                answer = await self._upstream.send(
                    target,
                    call.inbound.dialect_at(target).path(target.name, tap is not None),
                    call.inbound.headers_to(target, attempt.number),
                    attempt.body,
                    timeouts.connect,
                )
                if answer.status >= 300:
                    spoken = call.inbound.dialect_at(target)
                    raise spoken.decode_error(answer.status, answer.headers, await answer.read())
                if tap is None:
                    return _plain(call, attempt, answer.status, await answer.read())
                pace = _pace(call, attempt) if targets_left else None
                held = await _until_content(answer, tap, pace)
                first_token_seconds = self._clock.monotonic() - attempt.began
                if pace is not None:
                    limit.reschedule(asyncio.get_running_loop().time() + left - first_token_seconds)
                    held += await pace.judge(answer, tap, self._clock)
                committed = True
                return WonStream(answer, tap, held, first_token_seconds)
        except TimeoutError as error:
            if left <= patience:
                raise DeadlineExceeded(f"no answer within the deadline of {call.deadline_seconds:g} s") from error
            raise FirstTokenTimeout(f"no answer from {target.key} within {patience:g} s") from error
        finally:
            if answer is not None and not committed:
                answer.close()


def encode_for(call: Call, target: Target) -> Encoded:
    """What the target would be asked.

    Raises:
        CannotCarry: its dialect has no place for the call's content.
        CallerError: the request is malformed, which only translation shows.
    """
    dialect = call.inbound.dialect
    if target.dialect == dialect.name:
        encoded = Encoded(dialect.forward(call.envelope, target.name))
    else:
        request = dialect.decode_request(call.envelope)
        encoded = call.inbound.dialect_at(target).encode_request(request, target.traits)
    return fitted(encoded, target.endpoint.fields) if target.endpoint.fields else encoded


def _plain(call: Call, attempt: Attempt, status: int, body: bytes) -> WonPlain:
    target, dialect = attempt.target, call.inbound.dialect
    if target.dialect == dialect.name:
        return WonPlain(status, body, dialect.read_answer(body))
    response = call.inbound.dialect_at(target).decode_response(body)
    whole = call.inbound.operation.complete(response, call.envelope, _unsaid(call, attempt))
    return WonPlain(status, dialect.encode_response(whole), PlainAnswer(response.model, response.usage))


def _tap(call: Call, attempt: Attempt) -> Tap:
    target, dialect, envelope = attempt.target, call.inbound.dialect, call.envelope
    price_of = price_at(call, attempt)
    if call.plan.use_case.resume and "tools" not in envelope.needs:
        new_encoder: Callable[[PriceOf], StreamEncoder] = lambda price: dialect.new_encoder(  # noqa: E731
            envelope.wants_usage, price, envelope.input_tokens
        )
        return Resumable(call.inbound.dialect_at(target).new_decoder(), new_encoder, _unsaid(call, attempt), price_of)
    if target.dialect == dialect.name:
        return dialect.new_tap(envelope.wants_usage, price_of)
    return Translator(
        call.inbound.dialect_at(target).new_decoder(),
        dialect.new_encoder(envelope.wants_usage, price_of, envelope.input_tokens),
        _unsaid(call, attempt),
    )


def _watched(call: Call, attempt: Attempt, tap: Tap) -> Tap:
    """A stream that may go on at another target is no one model's answer, and is not looked at."""
    bar = call.plan.use_case.bar
    if bar is None or not bar.checks or isinstance(tap, Resumable):
        return tap
    return Watched(tap, call.inbound.dialect_at(attempt.target).new_decoder())


def price_at(call: Call, attempt: Attempt) -> PriceOf:
    """What usage costs at the attempt's target on the call's day."""
    price = attempt.target.price_on(call.day)

    def price_of(usage: Usage) -> Decimal | None:
        return cost_of(usage, price)

    return price_of


def _unsaid(call: Call, attempt: Attempt) -> Started:
    """What stands where the provider's dialect says none and the caller's must."""
    return Started(call.inbound.id, attempt.target.name, int(call.inbound.arrived))


def _pace(call: Call, attempt: Attempt) -> Pace | None:
    slow = call.plan.use_case.slow_stream
    return None if slow is None else Pace(slow, call.inbound.dialect_at(attempt.target).new_decoder())


async def _until_content(answer: UpstreamAnswer, tap: Tap, pace: Pace | None) -> bytes:
    """Bytes for the caller up to and with the first content. Raises UpstreamError: another target may still answer."""
    held = b""
    while not tap.content_seen:
        data = await answer.chunk()
        if pace is not None:
            pace.feed(data)
        held += tap.feed(data) if data else tap.finish()
        if tap.failed is not None and not tap.content_seen:
            raise tap.failed
        if not data and not tap.content_seen:
            raise StreamCut("the stream ended before any content")
    return held
