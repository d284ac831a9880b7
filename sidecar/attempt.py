"""One attempt at one target: encode, send, wait for the first content, and make of it what the caller gets.

The streamed and the plain answer share everything up to the commit point: the moment the first content is in hand.
Before it another target may answer; after it none may.
"""

import asyncio
from decimal import Decimal

from schemas.record import Usage
from sidecar.accounting.books import OK, estimated_usage, usage_so_far, usd_text
from sidecar.accounting.pricing import cost_of
from sidecar.bookkeeping import Bookkeeper, headers_of
from sidecar.call import Call, Outcome, PlainReply, StreamReply
from sidecar.canonical.events import Started
from sidecar.dialects.base import Encoded, PlainAnswer, Tap
from sidecar.dialects.translator import Translator
from sidecar.errors import DeadlineExceeded, FirstTokenTimeout, StreamCut
from sidecar.ports import Clock, Upstream, UpstreamAnswer
from sidecar.routing.owners import Owners
from sidecar.routing.plan import Planned
from sidecar.streaming import Stream


class Attempts:
    """Makes attempts; what they need outlives every call."""

    def __init__(self, clock: Clock, upstream: Upstream, books: Bookkeeper, owners: Owners) -> None:
        self._clock = clock
        self._upstream = upstream
        self._books = books
        self._owners = owners

    async def make(
        self, call: Call, planned: Planned, began: float, deadline: float, targets_left: int
    ) -> PlainReply | StreamReply:
        """The caller's answer from this target; a stream's is committed to it.

        Args:
            began: monotonic seconds, as `deadline`, which is that of the whole call.
            targets_left: that could still answer in its place.

        Raises:
            UpstreamError: this attempt failed.
            CannotCarry: the target's dialect has no place for the call's content.
        """
        target, timeouts = planned.target, call.plan.use_case.timeouts
        encoded = _encode(call, planned)
        call.dropped = encoded.dropped
        self._books.begin(call, planned)
        left = deadline - began
        # A target that hangs must leave the next one time to answer.
        patience = timeouts.first_token if call.envelope.stream else (left / 2 if targets_left else left)
        answer: UpstreamAnswer | None = None
        committed = False
        try:
            async with asyncio.timeout(min(left, patience)):
                answer = await self._upstream.send(
                    target,
                    call.inbound.dialect_at(target).path(target.name, call.envelope.stream),
                    call.inbound.headers_to(target, len(call.attempts)),
                    encoded.body,
                    timeouts.connect,
                )
                if answer.status >= 300:
                    spoken = call.inbound.dialect_at(target)
                    raise spoken.decode_error(answer.status, answer.headers, await answer.read())
                if not call.envelope.stream:
                    return self._plain(call, planned, answer.status, await answer.read(), began)
                tap = _tap(call, planned)
                held = await _until_content(answer, tap)
                committed = True
                return self._stream(call, planned, answer, tap, held, began, deadline)
        except TimeoutError as error:
            if left <= patience:
                raise DeadlineExceeded(f"no answer within the deadline of {timeouts.deadline:g} s") from error
            raise FirstTokenTimeout(f"no answer from {target.key} within {patience:g} s") from error
        finally:
            if answer is not None and not committed:
                answer.close()

    def _plain(self, call: Call, planned: Planned, status: int, body: bytes, began: float) -> PlainReply:
        target, dialect = planned.target, call.inbound.dialect
        if target.dialect == dialect.name:
            read, out = dialect.read_answer(body), body
        else:
            response = call.inbound.dialect_at(target).decode_response(body)
            unsaid = Started(call.inbound.id, target.name, int(call.inbound.arrived))
            whole = call.inbound.operation.complete(response, call.envelope, unsaid)
            read, out = PlainAnswer(response.model, response.usage), dialect.encode_response(whole)
        self._owners.note(read.state_id, target.key)
        usage = read.usage or estimated_usage(call, target)
        record = self._books.end(call, planned, Outcome(OK, status, usage, read.usage is None), began, status)
        headers = headers_of(call, planned, len(call.attempts))
        if record.cost_usd is not None:
            headers["x-pointsman-cost-usd"] = usd_text(record.cost_usd)
        return PlainReply(status, headers, out)

    def _stream(
        self,
        call: Call,
        planned: Planned,
        answer: UpstreamAnswer,
        tap: Tap,
        held: bytes,
        began: float,
        deadline: float,
    ) -> StreamReply:
        first_token = self._clock.monotonic() - began
        target, timeouts = planned.target, call.plan.use_case.timeouts

        def settle(word: str, events_seen: int) -> None:
            self._owners.note(tap.state_id, target.key)
            is_counted = tap.finished and tap.usage is not None
            usage = tap.usage if is_counted else usage_so_far(call, target, tap.usage, events_seen)
            outcome = Outcome(word, answer.status, usage, not is_counted, first_token)
            self._books.end(call, planned, outcome, began, answer.status)

        return Stream(
            status=200,
            headers=headers_of(call, planned, len(call.attempts) + 1),
            content_type=call.inbound.dialect.stream_content_type,
            clock=self._clock,
            answer=answer,
            tap=tap,
            held=held,
            idle_seconds=timeouts.stream_idle,
            deadline=deadline,
            settle=settle,
            encode_error=lambda error: tap.encode_failure(error, call.inbound.id),
        )


def _encode(call: Call, planned: Planned) -> Encoded:
    target, dialect = planned.target, call.inbound.dialect
    if target.dialect == dialect.name:
        return Encoded(dialect.forward(call.envelope, target.name))
    request = dialect.decode_request(call.envelope)
    return call.inbound.dialect_at(target).encode_request(request, target.name, target.max_output_tokens)


def _tap(call: Call, planned: Planned) -> Tap:
    target, dialect, envelope = planned.target, call.inbound.dialect, call.envelope
    price = target.price_on(call.day)

    def price_of(usage: Usage) -> Decimal | None:
        return cost_of(usage, price)

    if target.dialect == dialect.name:
        return dialect.new_tap(envelope.wants_usage, price_of)
    return Translator(
        call.inbound.dialect_at(target).new_decoder(),
        dialect.new_encoder(envelope.wants_usage, price_of, envelope.input_tokens),
        Started(call.inbound.id, target.name, int(call.inbound.arrived)),
    )


async def _until_content(answer: UpstreamAnswer, tap: Tap) -> bytes:
    """Bytes for the caller up to and with the first content. Raises UpstreamError: another target may still answer."""
    held = b""
    while not tap.content_seen:
        data = await answer.chunk()
        held += tap.feed(data) if data else tap.finish()
        if tap.failed is not None and not tap.content_seen:
            raise tap.failed
        if not data and not tap.content_seen:
            raise StreamCut("the stream ended before any content")
    return held
