"""One call from bytes to record: open, choose the use case, plan, and try the targets in order until one answers.

Async, but the network is reached only through `ports`. What one attempt does is in `attempt`, what becomes of its
answer in `delivery`, how calls end in `bookkeeping`, and what comes after an error in `routing/fallback`.
"""

import asyncio
from datetime import UTC, datetime

from sidecar.accounting.books import maybe_billed
from sidecar.attempt import Attempts, Won
from sidecar.bookkeeping import Bookkeeper
from sidecar.call import Attempt, Call, Inbound, Outcome, PlainReply, StreamReply
from sidecar.delivery import Delivery
from sidecar.dialects.base import Envelope
from sidecar.dialects.estimate import TextCount, estimate_text_tokens
from sidecar.errors import (
    CallerError,
    CannotCarry,
    CeilingSpent,
    ContextTooLong,
    GatewayError,
    NotAllowed,
    UpstreamError,
)
from sidecar.hedging import Race
from sidecar.ports import CallObserver, Clock, RecordSink, Upstream
from sidecar.refusals import chain_spent, nobody_fits
from sidecar.routing.conversations import conversation_key
from sidecar.routing.deadline import deadline_seconds
from sidecar.routing.facts import Facts
from sidecar.routing.fallback import Step, backoff_seconds, step_after
from sidecar.routing.health import BREAKER_OPEN
from sidecar.routing.hedge_budget import HedgeBudget
from sidecar.routing.owners import Owners
from sidecar.routing.plan import CONTEXT_WINDOW, Plan, Planned, is_outgrown, plan, plan_last_resort, plan_pinned
from sidecar.routing.retry_budget import RetryBudget
from sidecar.routing.snapshot import Skipped, Target, UseCase
from sidecar.routing.usecase import select_use_case

HEDGE, RETRY_BUDGET = "hedge", "retry_budget"

MAX_AGENT_CHARACTERS = 256
"""Of the name that an agent gives itself: the ledger takes no record with a much longer one."""


class Pipeline:
    """Holds what outlives a call: its books, and whose conversations are kept where."""

    def __init__(
        self,
        *,
        sidecar: str,
        clock: Clock,
        upstream: Upstream,
        sink: RecordSink,
        observers: tuple[CallObserver, ...],
        default_use_case: str | None = None,
        default_agent: str = "",
        count_text: TextCount = estimate_text_tokens,
    ) -> None:
        self.clock = clock
        self.books = Bookkeeper(sidecar=sidecar, clock=clock, sink=sink, observers=observers)
        self._owners = Owners()
        self._retries = RetryBudget()
        self._hedges = HedgeBudget()
        self._attempts = Attempts(clock, upstream, self.books)
        self._delivery = Delivery(clock, self.books, self._owners, self._attempts)
        self._default_use_case = default_use_case
        self._default_agent = default_agent
        self._count_text = count_text

    async def run(self, inbound: Inbound) -> PlainReply | StreamReply:
        """Answer one call.

        Raises:
            GatewayError: refused before any use case was known.
            CallFailed: refused or failed later; carries the headers known by then. Its record is booked.
        """
        return await self._try_targets(self.accept(inbound))

    def accept(self, inbound: Inbound) -> Call:
        """A call that has a target. Raises as `run`."""
        call = self.open(inbound)
        if call.plan.refusal is not None:
            error: GatewayError = CeilingSpent(
                f'the {call.plan.refusal} of use case "{call.plan.use_case.name}" is spent; '
                "its rule says to refuse until the window turns"
            )
            call.reason = call.plan.refusal
            raise self.books.refuse(call, error)
        if not call.plan.steps:
            self._last_resort(call)
        return call

    def _last_resort(self, call: Call) -> None:
        """Where only breakers stand in the way, one call now and then is let through. Raises CallFailed otherwise."""
        now, health = self.clock.monotonic(), self.books.health
        keys = [f"{item.model}@{item.provider}" for item in call.plan.skipped]
        opened = [key for key, item in zip(keys, call.plan.skipped, strict=True) if item.reason == BREAKER_OPEN]
        chosen = health.last_resort(opened, now)
        if chosen is None:
            raise self.books.refuse(call, nobody_fits(call.plan, health.seconds_left(keys, now)))
        call.plan = plan_last_resort(call.inbound.snapshot, call.plan, chosen)

    def open(self, inbound: Inbound) -> Call:
        """Bytes to plan, without calling anyone. Raises CallerError."""
        envelope = inbound.dialect.open(inbound.body, inbound.in_path, self._count_text)
        headers, caller = inbound.headers, inbound.caller
        use_case = inbound.operation.scope(
            select_use_case(
                inbound.snapshot,
                named=headers.get("x-pointsman-use-case"),
                model=envelope.model,
                caller=caller,
                default=self._default_use_case,
            )
        )
        agent = headers.get("x-pointsman-agent") or (caller.name if caller else self._default_agent)
        agent = agent[:MAX_AGENT_CHARACTERS]
        at = datetime.fromtimestamp(inbound.arrived, UTC)
        facts = Facts(
            input_tokens=envelope.input_tokens,
            max_output_tokens=envelope.max_output_tokens,
            needs=envelope.needs,
            stream=envelope.stream,
            agent=agent,
            caller=caller.name if caller else "",
            headers={name: headers[name] for name in use_case.headers_watched if name in headers},
            metadata=envelope.metadata,
            conversation=_conversation_of(inbound, envelope) if use_case.follows_conversations else "",
        )
        at_text = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        seconds = deadline_seconds(use_case.timeouts.deadline, headers, stream=envelope.stream)
        plan = self._plan(inbound, use_case, facts, at, envelope.continues)
        return Call(inbound, envelope, plan, agent, at_text, seconds)

    def plan_for(self, use_case: UseCase, facts: Facts, at: datetime) -> Plan:
        """What would happen to such a call now."""
        now, where = self.clock.monotonic(), self.books.conversations
        return plan(
            use_case,
            facts,
            resting=self.books.health.resting(now),
            spend=self.books.spend.of(use_case.name, at.date().isoformat()),
            at=at,
            answered_by=where.target_of(use_case.name, facts.conversation, now) if use_case.sticky else None,
        )

    def _plan(self, inbound: Inbound, use_case: UseCase, facts: Facts, at: datetime, continues: str | None) -> Plan:
        wanted = inbound.headers.get("x-pointsman-target")
        if wanted is not None:
            if inbound.snapshot.callers and not (inbound.caller and inbound.caller.pin):
                raise NotAllowed("x-pointsman-target needs a caller that is granted pin in pointsman.yaml")
            return plan_pinned(inbound.snapshot, use_case, wanted, inbound.operation.dialects)
        owner = self._owners.of(continues)
        if owner is not None:
            return plan_pinned(inbound.snapshot, use_case, owner, inbound.operation.dialects, "state_owner")
        return self.plan_for(use_case, facts, at)

    async def _try_targets(self, call: Call) -> PlainReply | StreamReply:
        steps, retry = call.plan.steps, call.plan.use_case.retry
        place, tries = 0, 0
        while True:
            planned = steps[place] if tries == 0 else Planned(steps[place].target, "retry")
            targets_left = len(steps) - place - 1
            call.choose(planned)
            try:
                attempt, won = await self._ask(call, planned, targets_left, hedged=place == tries == 0)
                return self._delivery.deliver(call, attempt, won)
            except asyncio.CancelledError:
                for attempt in call.under_way:
                    self.books.note_departure(call, attempt)
                raise
            except (UpstreamError, CannotCarry) as failure:
                error: GatewayError = failure
            except CallerError as refusal:
                # Seen only in translation: the next target could not be asked that either.
                raise self.books.refuse(call, refusal, planned) from refusal
            except Exception:
                # A bug of ours; the edge logs it. What was begun is booked all the same.
                self.books.end(call, call.under_way[-1], Outcome(GatewayError.code, GatewayError.status), None)
                raise
            tries += 1
            step = step_after(
                error,
                bytes_sent=False,
                tries_left_on_target=retry.same_target + 1 - tries,
                targets_left=targets_left,
                after_refusal=call.plan.use_case.after_refusal,
            )
            if step is Step.STOP:
                raise self.books.refuse(call, error, planned)
            if call.started >= retry.max_attempts:
                raise self.books.refuse(call, chain_spent(call, error), planned)
            if step is Step.NEXT_TARGET or not await self._may_repeat(call, planned, error, tries):
                place, tries = self._next_place(call, place), 0
            if place == len(steps):
                raise self.books.refuse(call, chain_spent(call, error), planned)

    async def _ask(self, call: Call, planned: Planned, targets_left: int, *, hedged: bool) -> tuple[Attempt, Won]:
        """The attempt that answers, with what it has in hand. Raises as `Attempts.make`; what failed is noted."""
        attempt = self._start(call, planned)
        hedge = call.plan.use_case.hedge
        if hedged and hedge is not None and targets_left and "tools" not in call.envelope.needs:
            self._hedges.note_call(call.plan.use_case.name, hedge.percent)
            race = Race(call, self.clock, self.books, lambda one: self._attempts.make(call, one, targets_left))
            return await race.run(attempt, hedge.after, lambda: self._second(call))
        try:
            return attempt, await self._attempts.make(call, attempt, targets_left)
        except (UpstreamError, CannotCarry) as failure:
            self.books.note_failure(call, attempt, failure, maybe_billed(call, attempt, failure))
            raise

    def _start(self, call: Call, planned: Planned) -> Attempt:
        if not any(tried.provider == planned.target.provider for tried in call.attempts):
            self._retries.note_first(planned.target.provider, self.clock.monotonic())
        return self.books.start(call, planned)

    def _second(self, call: Call) -> Attempt | None:
        """The other attempt of a hedged call; None where its share of the calls, or its target, does not allow it."""
        target = call.plan.steps[1].target
        now = self.clock.monotonic()
        if target.key in self.books.health.resting(now) or not self._hedges.take(call.plan.use_case.name):
            return None
        return self.books.start(call, Planned(target, HEDGE)) if self._retries.take(target.provider, now) else None

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
        now = self.clock.monotonic()
        resting = self.books.health.resting(now)
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
        seconds = backoff_seconds(tries, self.clock.jitter()) if asked is None else asked
        now = self.clock.monotonic()
        if now + seconds >= call.deadline:
            return False
        if not self._retries.take(planned.target.provider, now):
            call.skipped.append(Skipped(planned.target.model, planned.target.provider, RETRY_BUDGET))
            return False
        try:
            await self.clock.sleep(seconds)
        except asyncio.CancelledError:
            self.books.note_departure_between(call, planned)
            raise
        return True


def _conversation_of(inbound: Inbound, envelope: Envelope) -> str:
    named = inbound.headers.get("x-pointsman-conversation")
    beginning = b"" if named else inbound.dialect.beginning(envelope)
    return conversation_key(named=named, beginning=beginning, call=inbound.id)
