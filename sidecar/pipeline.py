"""One call from bytes to record: open, choose the use case, plan, and try the targets in order until one answers.

Async, but the network is reached only through `ports`. What one attempt does is in `attempt`, how calls end in
`bookkeeping`, and what comes after an error in `routing/fallback`.
"""

import asyncio
from datetime import UTC, datetime

from sidecar.attempt import Attempts
from sidecar.bookkeeping import Bookkeeper
from sidecar.call import Call, Inbound, Outcome, PlainReply, StreamReply
from sidecar.errors import CallerError, CannotCarry, CeilingSpent, GatewayError, NotAllowed, UpstreamError
from sidecar.ports import CallObserver, Clock, RecordSink, Upstream
from sidecar.refusals import chain_spent, nobody_fits
from sidecar.routing.facts import Facts
from sidecar.routing.fallback import Step, backoff_seconds, step_after
from sidecar.routing.owners import Owners
from sidecar.routing.plan import Plan, Planned, plan, plan_pinned
from sidecar.routing.snapshot import UseCase
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
    ) -> None:
        self.clock = clock
        self.books = Bookkeeper(sidecar=sidecar, clock=clock, sink=sink, observers=observers)
        self._owners = Owners()
        self._attempts = Attempts(clock, upstream, self.books, self._owners)
        self._default_use_case = default_use_case
        self._default_agent = default_agent

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
            keys = [f"{item.model}@{item.provider}" for item in call.plan.skipped]
            rest_seconds = self.books.health.seconds_left(keys, self.clock.monotonic())
            raise self.books.refuse(call, nobody_fits(call.plan, rest_seconds))
        return call

    def open(self, inbound: Inbound) -> Call:
        """Bytes to plan, without calling anyone. Raises CallerError."""
        envelope = inbound.dialect.open(inbound.body, inbound.in_path)
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
        )
        at_text = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return Call(inbound, envelope, self._plan(inbound, use_case, facts, at, envelope.continues), agent, at_text)

    def plan_for(self, use_case: UseCase, facts: Facts, at: datetime) -> Plan:
        """What would happen to such a call now."""
        return plan(
            use_case,
            facts,
            resting=self.books.health.resting(self.clock.monotonic()),
            spend=self.books.spend.of(use_case.name, at.date().isoformat()),
            at=at,
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
        deadline = call.inbound.started + call.plan.use_case.timeouts.deadline
        place, tries = 0, 0
        while True:
            planned = steps[place] if tries == 0 else Planned(steps[place].target, "retry")
            targets_left = len(steps) - place - 1
            call.choose(planned)
            began = self.clock.monotonic()
            try:
                return await self._attempts.make(call, planned, began, deadline, targets_left)
            except asyncio.CancelledError:
                self.books.note_departure(call, planned, began)
                raise
            except (UpstreamError, CannotCarry) as failure:
                error: GatewayError = failure
            except CallerError as refusal:
                # Seen only in translation: the next target could not be asked that either.
                raise self.books.refuse(call, refusal, planned) from refusal
            except Exception:
                # A bug of ours; the edge logs it. What was begun is booked all the same.
                self.books.end(call, planned, Outcome(GatewayError.code, GatewayError.status), began, None)
                raise
            self.books.note_failure(call, planned, error, began)
            tries += 1
            step = step_after(
                error,
                bytes_sent=False,
                tries_left_on_target=retry.same_target + 1 - tries,
                targets_left=targets_left,
            )
            if step is Step.STOP:
                raise self.books.refuse(call, error, planned)
            if len(call.attempts) >= retry.max_attempts:
                raise self.books.refuse(call, chain_spent(call, error), planned)
            if step is Step.NEXT_TARGET or not await self._wait(call, planned, error, tries, deadline):
                place, tries = place + 1, 0
            if place == len(steps):
                raise self.books.refuse(call, chain_spent(call, error), planned)

    async def _wait(self, call: Call, planned: Planned, error: GatewayError, tries: int, deadline: float) -> bool:
        """Wait before the same target again; False when the deadline does not leave the time."""
        asked = error.retry_after_seconds if isinstance(error, UpstreamError) else None
        seconds = backoff_seconds(tries, self.clock.jitter()) if asked is None else asked
        if self.clock.monotonic() + seconds >= deadline:
            return False
        try:
            await self.clock.sleep(seconds)
        except asyncio.CancelledError:
            self.books.note_departure_between(call, planned)
            raise
        return True
