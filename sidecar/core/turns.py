"""The targets of a call's plan in turn, until one answers: the same again, the next, a second beside a slow first one,
or stop. What comes after which error is a table in `routing/fallback`.
"""

import asyncio

from sidecar.accounting.books import maybe_billed
from sidecar.core.attempt import Attempts, Won, WonPlain, encode_for
from sidecar.core.bookkeeping import Bookkeeper
from sidecar.core.call import Attempt, Call, CallFailed, Outcome, PlainReply, StreamReply
from sidecar.core.delivery import Delivery
from sidecar.core.escalation import Escalation
from sidecar.core.hedging import Race
from sidecar.core.refusals import chain_spent, nobody_fits
from sidecar.dialects.base import Encoded
from sidecar.errors import CallerError, CannotCarry, ContextTooLong, GatewayError, UpstreamError
from sidecar.limiter.limits import Limits
from sidecar.ports import Clock, Upstream
from sidecar.routing.fallback import Step, backoff_seconds, step_after
from sidecar.routing.hedge_budget import HedgeBudget
from sidecar.routing.owners import Owners
from sidecar.routing.plan import CONTEXT_WINDOW, Planned, is_outgrown
from sidecar.routing.retry_budget import RetryBudget
from sidecar.routing.snapshot import Skipped, Target

HEDGE, RETRY_BUDGET = "hedge", "retry_budget"


class Turns:
    """Holds what outlives a call: how often providers were asked again."""

    def __init__(self, clock: Clock, upstream: Upstream, books: Bookkeeper, limits: Limits, owners: Owners) -> None:
        self._clock = clock
        self._books = books
        self._limits = limits
        self._retries = RetryBudget()
        self._hedges = HedgeBudget()
        self._attempts = Attempts(clock, upstream, books)
        self._delivery = Delivery(clock, books, owners, self._attempts, limits)
        self._escalation = Escalation(
            clock,
            books,
            ask=lambda call, planned, encoded: self._ask(call, planned, encoded, 0, hedged=False),
            bar_of=self._bar,
            is_within_limits=self._is_within_limits,
        )

    async def answer(self, call: Call) -> PlainReply | StreamReply:
        """Raises CallFailed; its record is booked."""
        try:
            return await self._answer(call)
        except asyncio.CancelledError:
            if call.record is None:
                self._books.note_departure(call)
            raise

    async def _answer(self, call: Call) -> PlainReply | StreamReply:
        steps, retry = call.plan.steps, call.plan.use_case.retry
        place, tries = 0, 0
        planned: Planned | None = None
        last: UpstreamError | None = None
        unable: CannotCarry | None = None
        while place < len(steps):
            target, targets_left = steps[place].target, len(steps) - place - 1
            if tries == 0:
                try:
                    encoded = encode_for(call, target)
                except CannotCarry as failure:
                    unable = failure
                    call.skipped.append(Skipped(target.model, target.provider, failure.reason))
                    place = self._next_place(call, place)
                    continue
                except CallerError as refusal:
                    # Seen only in translation: no target could be asked that.
                    raise self._books.refuse(call, refusal, steps[place]) from refusal
            if target.is_limited and not await self._is_within_limits(call, target):
                place, tries = self._next_place(call, place), 0
                continue
            planned = steps[place] if tries == 0 else Planned(target, "retry")
            call.choose(planned)
            try:
                attempt, won = await self._ask(call, planned, encoded, targets_left, hedged=call.started == 0)
                bar = call.plan.use_case.bar
                if bar is not None and bar.checks and isinstance(won, WonPlain):
                    attempt, won = await self._escalation.judged(call, bar, attempt, won)
                return self._delivery.deliver(call, attempt, won)
            except UpstreamError as failure:
                error = failure
            except CallFailed:
                raise
            except Exception:
                # A bug of ours; the edge logs it. What was begun is booked all the same.
                self._books.end(call, call.under_way[-1], Outcome(GatewayError.code, GatewayError.status), None)
                raise
            last, tries = error, tries + 1
            step = step_after(
                error,
                bytes_sent=False,
                tries_left_on_target=retry.same_target + 1 - tries,
                targets_left=targets_left,
                after_refusal=call.plan.use_case.after_refusal,
            )
            if step is Step.STOP:
                raise self._books.refuse(call, error, planned)
            if call.started >= retry.max_attempts:
                break
            if step is Step.NEXT_TARGET or not await self._may_repeat(call, planned, error, tries):
                place, tries = self._next_place(call, place), 0
        refused = nobody_fits(call, None, unable) if last is None else chain_spent(call, last)
        raise self._books.refuse(call, refused, planned)

    async def _is_within_limits(self, call: Call, target: Target) -> bool:
        """Takes what an attempt at this target needs of its provider's and its model's limits; or says on the record
        which of them is reached.
        """
        refusal = await self._limits.take(call.inbound.id, target, call.tokens_reserved)
        if refusal is not None:
            call.skipped.append(Skipped(target.model, target.provider, refusal.rule.reason))
        return refusal is None

    async def _ask(
        self, call: Call, planned: Planned, encoded: Encoded, targets_left: int, *, hedged: bool
    ) -> tuple[Attempt, Won]:
        """The attempt that answers, with what it has in hand. Raises as `Attempts.make`; what failed is noted."""
        attempt = self._start(call, planned, encoded)
        hedge = call.plan.use_case.hedge
        if hedged and hedge is not None and targets_left and "tools" not in call.envelope.needs:
            self._hedges.note_call(call.plan.use_case.name, hedge.percent)
            race = Race(call, self._clock, self._books, lambda one: self._attempts.make(call, one, targets_left))
            second = call.plan.steps[-targets_left].target
            return await race.run(attempt, hedge.after, lambda: self._second(call, second))
        try:
            return attempt, await self._attempts.make(call, attempt, targets_left)
        except UpstreamError as failure:
            self._books.note_failure(call, attempt, failure, maybe_billed(call, attempt, failure))
            raise

    def _start(self, call: Call, planned: Planned, encoded: Encoded) -> Attempt:
        if not (call.attempts and any(tried.provider == planned.target.provider for tried in call.attempts)):
            self._retries.note_first(planned.target.provider, self._clock.monotonic())
        return self._books.start(call, planned, encoded)

    async def _second(self, call: Call, target: Target) -> Attempt | None:
        """The other attempt of a hedged call; None where its share of the calls, or its target, does not allow it."""
        now = self._clock.monotonic()
        try:
            encoded = encode_for(call, target)
        except CallerError:
            return None  # the first one may still answer
        if target.key in self._books.health.resting(now) or not self._hedges.take(call.plan.use_case.name):
            return None
        if not self._retries.take(target.provider, now):
            return None
        if await self._limits.take(call.hedge_id, target, call.tokens_reserved) is not None:
            return None
        return self._books.start(call, Planned(target, HEDGE), encoded)

    def _next_place(self, call: Call, place: int) -> int:
        """The next step of the plan that may be tried; one that may not, by now, is on the record with its reason."""
        steps, tried = call.plan.steps, {f"{past.model}@{past.provider}" for past in call.attempts}
        for later in range(place + 1, len(steps)):
            target = steps[later].target
            if target.key in tried:
                continue
            reason = self._bar(call, target)
            if reason is None:
                return later
            call.skipped.append(Skipped(target.model, target.provider, reason))
        return len(steps)

    def _bar(self, call: Call, target: Target) -> str | None:
        """Why a target of the plan must not be tried now, though it might when the plan was made."""
        now = self._clock.monotonic()
        resting = self._books.health.resting(now)
        if target.key in resting:
            return resting[target.key]
        too_long_for = {
            f"{past.model}@{past.provider}" for past in call.attempts if past.outcome == ContextTooLong.code
        }
        if is_outgrown(target, [step.target for step in call.plan.steps if step.target.key in too_long_for]):
            return CONTEXT_WINDOW
        if any(past.provider == target.provider for past in call.attempts):
            return None if self._retries.take(target.provider, now) else RETRY_BUDGET
        return None

    async def _may_repeat(self, call: Call, planned: Planned, error: GatewayError, tries: int) -> bool:
        """Wait before the same target again; False when its retry budget or the deadline does not allow it."""
        asked = error.retry_after_seconds if isinstance(error, UpstreamError) else None
        seconds = backoff_seconds(tries, self._clock.jitter()) if asked is None else asked
        now = self._clock.monotonic()
        if now + seconds >= call.deadline:
            return False
        if not self._retries.take(planned.target.provider, now):
            call.skipped.append(Skipped(planned.target.model, planned.target.provider, RETRY_BUDGET))
            return False
        await self._clock.sleep(seconds)
        reason = self._books.health.resting(self._clock.monotonic()).get(planned.target.key)
        if reason is not None:  # others have found out meanwhile
            call.skipped.append(Skipped(planned.target.model, planned.target.provider, reason))
        return reason is None
