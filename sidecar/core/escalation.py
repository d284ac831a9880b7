"""The quality bar of one call: its plain answer is checked, and where it fails a better model is asked once.

The first answer stays in hand until the better one is there: where nobody better can answer, the caller gets it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal

from sidecar.accounting.books import cost_at, estimated_usage
from sidecar.canonical.response import ChatResponse
from sidecar.core.attempt import Won, WonPlain, encode_for
from sidecar.core.bookkeeping import Bookkeeper
from sidecar.core.call import Attempt, Call
from sidecar.dialects.base import Encoded
from sidecar.errors import BelowBar, CallerError, CannotCarry, GatewayError, UpstreamError
from sidecar.ports import Clock
from sidecar.quality.checks import judge
from sidecar.routing.plan import PER_REQUEST, Planned
from sidecar.routing.snapshot import Bar, Skipped, Target

REASON = "quality_escalation"

Ask = Callable[[Call, Planned, Encoded], Awaitable[tuple[Attempt, Won]]]
"""One attempt. Raises UpstreamError; what failed is noted."""


class Escalation:
    """Needs of the turns what they know of targets: how one is asked, and what stands against it."""

    def __init__(
        self,
        clock: Clock,
        books: Bookkeeper,
        *,
        ask: Ask,
        bar_of: Callable[[Call, Target], str | None],
        is_within_limits: Callable[[Call, Target], Awaitable[bool]],
    ) -> None:
        self._clock = clock
        self._books = books
        self._ask = ask
        self._bar_of = bar_of
        self._is_within_limits = is_within_limits

    async def judged(self, call: Call, bar: Bar, attempt: Attempt, won: WonPlain) -> tuple[Attempt, WonPlain]:
        """The answer that the caller gets: this one, or a better model's. Raises CallFailed: the bar says to refuse."""
        note_verdicts(call, attempt, _answer(call, won), self._books)
        failed = next((check for check, passed in call.quality.items() if not passed), None)
        if failed is None:
            return attempt, won
        if bar.reject:
            self._books.note_below_bar(call, attempt, won.read.usage, won.status)
            message = f'the answer of {attempt.target.key} fails "{failed}" of use case "{call.plan.use_case.name}"'
            raise self._books.refuse(call, BelowBar(f"{message}; its rule says to refuse it"), attempt.planned)
        try:
            better = await self._better(call, f"{REASON}.{failed}", attempt, won)
        except asyncio.CancelledError:
            self._books.note_below_bar(call, attempt, won.read.usage, won.status)
            raise
        if better is None:
            return attempt, won
        self._books.note_below_bar(call, attempt, won.read.usage, won.status)
        note_verdicts(call, better[0], _answer(call, better[1]), self._books)
        return better

    async def _better(
        self, call: Call, reason: str, attempt: Attempt, won: WonPlain
    ) -> tuple[Attempt, WonPlain] | None:
        """The answer of the first better target that may be asked; None where there is none, or it fails."""
        first, first_reason = call.chosen, call.reason
        for target in call.plan.better:
            encoded = await self._encoded(call, target, attempt, won)
            if encoded is None:
                continue
            call.chosen, call.reason = target, reason
            try:
                asked, answer = await self._ask(call, Planned(target, reason), encoded)
            except UpstreamError:
                call.chosen, call.reason = first, first_reason
                return None
            assert isinstance(answer, WonPlain)
            return asked, answer
        return None

    async def _encoded(self, call: Call, target: Target, attempt: Attempt, won: WonPlain) -> Encoded | None:
        """What a better target would be asked; None where it may not be, with the reason on the record."""
        if target.model == attempt.target.model or self._clock.monotonic() >= call.deadline:
            return None
        reason = self._bar_of(call, target) or _too_dear(call, target, attempt, won)
        if reason is None:
            try:
                encoded = encode_for(call, target)
            except CannotCarry as unable:
                reason = unable.reason
            except CallerError:
                return None  # the answer in hand shows that it can be asked elsewhere
            else:
                return encoded if not target.is_limited or await self._is_within_limits(call, target) else None
        call.skipped.append(Skipped(target.model, target.provider, reason))
        return None


def note_verdicts(call: Call, attempt: Attempt, answer: ChatResponse | None, books: Bookkeeper) -> None:
    """What the checks say of an answer, for its record and for the rolling bar; nothing where it is not understood."""
    bar = call.plan.use_case.bar
    call.quality = {}
    if bar is None or answer is None:
        return
    try:
        call.quality = judge(bar.checks, call.inbound.dialect.decode_request(call.envelope), answer)
    except GatewayError:
        return
    if call.quality:
        books.note_quality(call, attempt.target, passed=all(call.quality.values()))


def _answer(call: Call, won: WonPlain) -> ChatResponse | None:
    """As the caller would read it."""
    try:
        response: ChatResponse = call.inbound.dialect.decode_response(won.body)
    except GatewayError:
        return None
    return response


def _too_dear(call: Call, target: Target, attempt: Attempt, won: WonPlain) -> str | None:
    """Both answers together must stay under what one call may cost."""
    ceiling = call.plan.use_case.ceiling
    if ceiling is None or ceiling.per_request is None:
        return None
    first = cost_at(call, attempt.target, won.read.usage or estimated_usage(call, attempt.target))
    second = cost_at(call, target, estimated_usage(call, target))
    return PER_REQUEST if (first or Decimal(0)) + (second or Decimal(0)) > ceiling.per_request else None
