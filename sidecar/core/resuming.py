"""A plain-text stream that broke goes on at another target, which is shown what the caller has already.

Opt-in (`resume: true`), never with tools, and only at a model that says it continues an assistant's unfinished turn
(capability `prefill`): others would begin anew, and the caller would read the answer twice.
"""

import asyncio
from collections.abc import Iterator

import msgspec

from sidecar.accounting.books import maybe_billed
from sidecar.canonical.request import ChatRequest, Message, Text
from sidecar.core.attempt import Attempts, WonStream, price_at
from sidecar.core.bookkeeping import Bookkeeper
from sidecar.core.call import Attempt, Call
from sidecar.dialects.fitting import fitted
from sidecar.dialects.resumable import Resumable
from sidecar.errors import CannotCarry, DeadlineExceeded, UpstreamError
from sidecar.limiter.limits import Limits
from sidecar.routing.plan import Planned
from sidecar.routing.snapshot import Skipped

RESUME = "resume"


class Resuming:
    """Of one call's stream."""

    def __init__(self, call: Call, tap: Resumable, books: Bookkeeper, attempts: Attempts, limits: Limits) -> None:
        self._call = call
        self._tap = tap
        self._books = books
        self._attempts = attempts
        self._limits = limits

    async def go_on(self, broken: Attempt, error: UpstreamError) -> tuple[Attempt, WonStream] | None:
        """The attempt that goes on, with its first content in hand; None where none does. `broken` is not noted."""
        text = self._tap.text
        if text is None or isinstance(error, DeadlineExceeded):
            return None
        call = self._call
        request = _continued(call.inbound.dialect.decode_request(call.envelope), text)
        for planned in self._candidates(broken):
            if call.started >= call.plan.use_case.retry.max_attempts:
                return None
            target = planned.target
            try:
                encoded = call.inbound.dialect_at(target).encode_request(request, target.traits)
            except CannotCarry as unable:
                call.skipped.append(Skipped(target.model, target.provider, unable.reason))
                continue
            if await self._limits.take(call.inbound.id, target, call.tokens_reserved) is not None:
                continue
            attempt = self._books.start(call, planned, fitted(encoded, target.endpoint.fields))
            try:
                return attempt, await self._ask(attempt)
            except UpstreamError as failure:
                self._books.note_failure(call, attempt, failure, maybe_billed(call, attempt, failure))
            except asyncio.CancelledError:
                self._books.note_loss(call, attempt)
                raise
        return None

    def _candidates(self, broken: Attempt) -> Iterator[Planned]:
        """The plan's targets in order, the one that broke last: its connection may have been all that was wrong."""
        able = [step.target for step in self._call.plan.steps if "prefill" in step.target.capabilities]
        for target in sorted(able, key=lambda target: target is broken.target):
            if not self._books.is_resting(target):
                yield Planned(target, RESUME)

    async def _ask(self, attempt: Attempt) -> WonStream:
        call = self._call
        self._tap.continue_with(call.inbound.dialect_at(attempt.target).new_decoder(), price_at(call, attempt))
        return await self._attempts.go_on(call, attempt, self._tap)


def _continued(request: ChatRequest, text: str) -> ChatRequest:
    """Anthropic refuses an assistant turn that ends in white space; the tap takes back what the next model repeats."""
    turn = Message(role="assistant", parts=(Text(text=text.rstrip()),))
    return msgspec.structs.replace(request, messages=(*request.messages, turn))
