"""One call from bytes to record: open, choose the use case, admit, plan, and hand it to the plan's targets in turn.

Async, but the network is reached only through `ports`. How the targets are tried is in `turns`, what one attempt does
in `attempt`, what becomes of its answer in `delivery`, and how calls end in `bookkeeping`.
"""

import asyncio
from datetime import UTC, datetime
from functools import partial

from msgspec.structs import replace

from sidecar.core.attempt import encode_for
from sidecar.core.bookkeeping import Bookkeeper
from sidecar.core.call import Call, CallFailed, Inbound, PlainReply, StreamReply
from sidecar.core.feedback import FeedbackDesk
from sidecar.core.refusals import nobody_fits
from sidecar.core.shadows import Shadows
from sidecar.core.turns import Turns
from sidecar.dialects.base import Envelope
from sidecar.dialects.estimate import TextCount, estimate_text_tokens
from sidecar.errors import CannotCarry, CeilingSpent, LimitReached, NotAllowed
from sidecar.limiter.limits import Limits
from sidecar.limits.estimates import reserve_usd
from sidecar.ports import CallObserver, Clock, RecordSink, Upstream
from sidecar.routing.conversations import conversation_key
from sidecar.routing.deadline import deadline_seconds
from sidecar.routing.facts import Facts
from sidecar.routing.health import BREAKER_OPEN
from sidecar.routing.owners import Owners
from sidecar.routing.plan import NOTHING_SPENT, Plan, plan, plan_last_resort, plan_pinned
from sidecar.routing.quality_window import is_quality_probe
from sidecar.routing.snapshot import Skipped, UseCase
from sidecar.routing.usecase import select_use_case

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
        limits: Limits,
        count_text: TextCount = estimate_text_tokens,
        shadows: Shadows | None = None,
    ) -> None:
        self.clock = clock
        self.books = Bookkeeper(sidecar=sidecar, clock=clock, sink=sink, observers=observers, limits=limits)
        self.feedback = FeedbackDesk(sidecar=sidecar, clock=clock, books=self.books, default_agent=default_agent)
        self._limits = limits
        self._shadows = shadows
        self._owners = Owners()
        self._turns = Turns(clock, upstream, self.books, limits, self._owners)
        self._default_use_case = default_use_case
        self._default_agent = default_agent
        self._count_text = count_text

    async def run(self, inbound: Inbound) -> PlainReply | StreamReply:
        """Answer one call.

        Raises:
            GatewayError: refused before any use case was known.
            CallFailed: refused or failed later; carries the headers known by then. Its record is booked.
        """
        call = await self.accept(inbound)
        reply = await self._turns.answer(call)
        if self._shadows is not None and call.plan.use_case.shadow is not None:
            reply.after = partial(self._shadows.offer, call)
        return reply

    async def accept(self, inbound: Inbound) -> Call:
        """A call that has a target, and the limits and the money that it may use. Raises as `run`."""
        call = self._opened(inbound)
        try:
            await self._admit(call)
            call.plan = self._plan(call)
            if call.plan.refusal is not None:
                message = f'the {call.plan.refusal} of use case "{call.plan.use_case.name}" is spent'
                raise self._spent(call, call.plan.refusal, f"{message}; its rule says to refuse until the window turns")
            if not call.plan.steps:
                self._last_resort(call)
            await self._reserve_money(call)
        except asyncio.CancelledError:
            self.books.note_departure(call)
            raise
        return call

    async def _admit(self, call: Call) -> None:
        """Within the limits of its use case and its caller. Raises CallFailed."""
        use_case, caller = call.plan.use_case, call.inbound.caller
        if use_case.limits is None and (caller is None or caller.limits is None):
            return
        try:
            admission = await self._limits.admit(call.inbound.id, use_case, caller, call.tokens_reserved)
        except LimitReached as reached:
            call.reason = reached.rule
            raise self.books.refuse(call, reached) from reached
        call.limit_headers = admission.headers

    def _tokens(self, use_case: UseCase, facts: Facts) -> int:
        """Input and expected output: what is reserved."""
        return facts.input_tokens + self._limits.expect_output(use_case.name, facts.max_output_tokens)

    async def _reserve_money(self, call: Call) -> None:
        """Within the budgets of its use case and its caller. Raises CallFailed."""
        use_case, caller, facts = call.plan.use_case, call.inbound.caller, call.facts
        has_budget = caller is not None and caller.per_month is not None
        if use_case.ceiling is None and not has_budget:
            return
        is_hard = has_budget or (use_case.ceiling is not None and use_case.ceiling.hard is not None)
        output = facts.max_output_tokens
        if not is_hard:
            output = self._limits.expect_output(use_case.name, output)
        usd = reserve_usd((step.target for step in call.plan.steps), facts.input_tokens, output, call.day)
        is_escalated = use_case.bar is not None and bool(use_case.bar.checks)
        if is_escalated and not facts.stream:  # a stream is looked at when it is over, and no better model is asked
            usd += reserve_usd(call.plan.better, facts.input_tokens, output, call.day)
        refusal = await self._limits.reserve_money(call.inbound.id, use_case, caller, call.day, usd)
        if refusal is not None:
            raise self._spent(call, refusal.reason, refusal.message)

    def _spent(self, call: Call, reason: str, message: str) -> CallFailed:
        call.reason = reason
        return self.books.refuse(call, CeilingSpent(message))

    def _last_resort(self, call: Call) -> None:
        """Where only breakers stand in the way, one call now and then is let through. Raises CallFailed otherwise."""
        now, health = self.clock.monotonic(), self.books.health
        keys = [f"{item.model}@{item.provider}" for item in call.plan.skipped]
        opened = [key for key, item in zip(keys, call.plan.skipped, strict=True) if item.reason == BREAKER_OPEN]
        chosen = health.last_resort(opened, now)
        if chosen is None:
            raise self.books.refuse(call, nobody_fits(call, health.seconds_left(keys, now)))
        call.plan = plan_last_resort(call.inbound.snapshot, call.plan, chosen)

    def open(self, inbound: Inbound) -> Call:
        """Bytes to plan, without calling anyone or reserving anything. Raises CallerError."""
        call = self._opened(inbound)
        call.plan = self._plan(call)
        return call

    def explain(self, inbound: Inbound) -> Plan:
        """Where this request would go now, without the targets that cannot carry it. Raises CallerError."""
        call = self.open(inbound)
        steps, skipped = [], list(call.plan.skipped)
        for step in call.plan.steps:
            try:
                encode_for(call, step.target)
            except CannotCarry as unable:
                skipped.append(Skipped(step.target.model, step.target.provider, unable.reason))
            else:
                steps.append(step)
        return replace(call.plan, steps=tuple(steps), skipped=tuple(skipped))

    def _opened(self, inbound: Inbound) -> Call:
        """A call with its use case and its facts; its plan is still empty."""
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
        call = Call(inbound, envelope, facts, Plan(use_case, (), ()), at_text, seconds)
        call.tokens_reserved = self._tokens(use_case, facts)
        return call

    def plan_for(self, use_case: UseCase, facts: Facts, at: datetime, *, is_probe: bool = False) -> Plan:
        """What would happen to such a call now. `is_probe`: no model gives way for its earlier answers' quality."""
        now, where = self.clock.monotonic(), self.books.conversations
        resting = self.books.health.resting(now)
        if use_case.limited_targets:
            limited = self._limits.limited_targets(use_case.limited_targets, self._tokens(use_case, facts), now)
            resting = {**limited, **resting}
        has_ceiling = use_case.ceiling is not None
        return plan(
            use_case,
            facts,
            resting=resting,
            spend=self._limits.spend(use_case.name, at.date().isoformat()) if has_ceiling else NOTHING_SPENT,
            at=at,
            answered_by=where.target_of(use_case.name, facts.conversation, now) if use_case.sticky else None,
            fallen=() if is_probe or use_case.bar is None else self.books.quality.fallen(use_case.name),
        )

    def _plan(self, call: Call) -> Plan:
        inbound, use_case = call.inbound, call.plan.use_case
        wanted = inbound.headers.get("x-pointsman-target")
        if wanted is not None:
            if inbound.snapshot.needs_key and not (inbound.caller and inbound.caller.pin):
                raise NotAllowed("x-pointsman-target needs a caller that is granted pin in pointsman.yaml")
            return plan_pinned(inbound.snapshot, use_case, wanted, inbound.operation.dialects)
        owner = self._owners.of(call.envelope.continues)
        if owner is not None:
            return plan_pinned(inbound.snapshot, use_case, owner, inbound.operation.dialects, "state_owner")
        is_probe = use_case.bar is not None and is_quality_probe(inbound.id)
        return self.plan_for(use_case, call.facts, datetime.fromtimestamp(inbound.arrived, UTC), is_probe=is_probe)


def _conversation_of(inbound: Inbound, envelope: Envelope) -> str:
    named = inbound.headers.get("x-pointsman-conversation")
    beginning = b"" if named else inbound.dialect.beginning(envelope)
    return conversation_key(named=named, beginning=beginning, call=inbound.id)
