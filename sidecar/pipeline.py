"""One call from bytes to record: open, choose the use case, plan, try the targets in order, commit, answer, book.

Async, but the network is reached only through `ports`. The streamed and the plain answer share everything up to the
commit point: the moment the first content is in hand. Before it another target may answer; after it none may.
"""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal

from schemas.record import AttemptRecord, CallRecord, Usage
from sidecar.accounting.books import (
    CLIENT_CLOSED,
    OK,
    UNKNOWN_OUTCOME,
    cost_at,
    estimated_usage,
    final_record,
    provisional_record,
    usage_so_far,
    usd_text,
)
from sidecar.accounting.pricing import cost_of
from sidecar.accounting.spend import SpendBook
from sidecar.call import Call, CallFailed, Inbound, Outcome, PlainReply, StreamReply
from sidecar.canonical.events import Started
from sidecar.dialects.base import Encoded, PlainAnswer, Tap
from sidecar.dialects.translator import Translator
from sidecar.errors import (
    CallerError,
    CannotCarry,
    CeilingSpent,
    ChainSpent,
    DeadlineExceeded,
    FirstTokenTimeout,
    GatewayError,
    NotAllowed,
    NotReady,
    Rejected,
    StreamCut,
    UpstreamError,
    code_of,
)
from sidecar.ports import CallObserver, Clock, RecordSink, Upstream, UpstreamAnswer
from sidecar.routing.facts import Facts
from sidecar.routing.fallback import Step, backoff_seconds, step_after
from sidecar.routing.health import Health
from sidecar.routing.owners import Owners
from sidecar.routing.plan import Plan, Planned, plan, plan_pinned
from sidecar.routing.snapshot import UseCase
from sidecar.routing.usecase import select_use_case
from sidecar.streaming import Stream

UNHEALTHY = frozenset(
    {
        "unreachable",
        "connection_lost",
        "first_token_timeout",
        "overloaded",
        "server_fault",
        "malformed_answer",
        "stream_cut",
        "stream_stalled",
        "stream_failed",
    }
)
"""Errors that count against a target's breaker: not the caller's mistakes, not 429, not a caller that left."""

MAX_AGENT_CHARACTERS = 256
"""Of the name that an agent gives itself: the ledger takes no record with a much longer one."""


class Pipeline:
    """Holds what outlives a call: breakers, spend, and the ports."""

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
        self.health = Health()
        self.clock = clock
        self.is_closing = False
        """A call that is cancelled from now on was ended by us and not left by its caller."""
        self._sidecar = sidecar
        self._upstream = upstream
        self._sink = sink
        self._observers = observers
        self._spend = SpendBook()
        self._owners = Owners()
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
            raise self.refuse(call, error)
        if not call.plan.steps:
            keys = [f"{item.model}@{item.provider}" for item in call.plan.skipped]
            raise self.refuse(call, nobody_fits(call.plan, self.health.seconds_left(keys, self.clock.monotonic())))
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
            resting=self.health.resting(self.clock.monotonic()),
            spend=self._spend.of(use_case.name, at.date().isoformat()),
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
            self.choose(call, planned)
            began = self.clock.monotonic()
            try:
                return await self._attempt(call, planned, began, deadline, targets_left)
            except asyncio.CancelledError:
                self._note_departure(call, planned, began)
                raise
            except (UpstreamError, CannotCarry) as failure:
                error: GatewayError = failure
            except CallerError as refusal:
                # Seen only in translation: the next target could not be asked that either.
                raise self.refuse(call, refusal, planned) from refusal
            except Exception:
                # A bug of ours; the edge logs it. What was begun is booked all the same.
                self.end(call, planned, Outcome(GatewayError.code, GatewayError.status), began, None)
                raise
            self.note_failure(call, planned, error, began)
            tries += 1
            step = step_after(
                error,
                bytes_sent=False,
                tries_left_on_target=retry.same_target + 1 - tries,
                targets_left=targets_left,
            )
            if step is Step.STOP:
                raise self.refuse(call, error, planned)
            if len(call.attempts) >= retry.max_attempts:
                raise self.refuse(call, chain_spent(call, error), planned)
            if step is Step.NEXT_TARGET or not await self._wait(call, planned, error, tries, deadline):
                place, tries = place + 1, 0
            if place == len(steps):
                raise self.refuse(call, chain_spent(call, error), planned)

    async def _wait(self, call: Call, planned: Planned, error: GatewayError, tries: int, deadline: float) -> bool:
        """Wait before the same target again; False when the deadline does not leave the time."""
        asked = error.retry_after_seconds if isinstance(error, UpstreamError) else None
        seconds = backoff_seconds(tries, self.clock.jitter()) if asked is None else asked
        if self.clock.monotonic() + seconds >= deadline:
            return False
        try:
            await self.clock.sleep(seconds)
        except asyncio.CancelledError:
            seconds_in_all = self.clock.monotonic() - call.inbound.started
            self._book(final_record(call, self._sidecar, planned.target, self.cut_short(), seconds_in_all), call)
            raise
        return True

    async def _attempt(
        self, call: Call, planned: Planned, began: float, deadline: float, targets_left: int
    ) -> PlainReply | StreamReply:
        target, timeouts = planned.target, call.plan.use_case.timeouts
        encoded = self._encode(call, planned)
        call.dropped = encoded.dropped
        self._sink.begin(provisional_record(call, self._sidecar, planned))
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
                tap = self._tap(call, planned)
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

    def _encode(self, call: Call, planned: Planned) -> Encoded:
        target, dialect = planned.target, call.inbound.dialect
        if target.dialect == dialect.name:
            return Encoded(dialect.forward(call.envelope, target.name))
        request = dialect.decode_request(call.envelope)
        return call.inbound.dialect_at(target).encode_request(request, target.traits)

    def _tap(self, call: Call, planned: Planned) -> Tap:
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
        record = self.end(call, planned, Outcome(OK, status, usage, read.usage is None), began, status)
        headers = self.headers(call, planned, len(call.attempts))
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
        first_token = self.clock.monotonic() - began
        target, timeouts = planned.target, call.plan.use_case.timeouts

        def settle(word: str, events_seen: int) -> None:
            self._owners.note(tap.state_id, target.key)
            is_counted = tap.finished and tap.usage is not None
            usage = tap.usage if is_counted else usage_so_far(call, target, tap.usage, events_seen)
            outcome = Outcome(word, answer.status, usage, not is_counted, first_token)
            self.end(call, planned, outcome, began, answer.status)

        return Stream(
            status=200,
            headers=self.headers(call, planned, len(call.attempts) + 1),
            content_type=call.inbound.dialect.stream_content_type,
            clock=self.clock,
            answer=answer,
            tap=tap,
            held=held,
            idle_seconds=timeouts.stream_idle,
            deadline=deadline,
            settle=settle,
            encode_error=lambda error: tap.encode_failure(error, call.inbound.id),
        )

    def end(
        self, call: Call, planned: Planned, outcome: Outcome, began: float, upstream_status: int | None
    ) -> CallRecord:
        """The answering attempt is over: note it, feed the breaker, book the call."""
        target, now = planned.target, self.clock.monotonic()
        call.attempts.append(
            AttemptRecord(
                model=target.model,
                provider=target.provider,
                reason=planned.reason,
                outcome=outcome.word,
                seconds=now - began,
                status=upstream_status,
                first_token_seconds=outcome.first_token_seconds,
                usage=outcome.usage,
                cost_usd=cost_at(call, target, outcome.usage),
            )
        )
        if outcome.word in UNHEALTHY:
            self.health.failed(target.key, now)
        elif outcome.word == OK:
            self.health.succeeded(target.key)
        return self._book(final_record(call, self._sidecar, target, outcome, now - call.inbound.started), call)

    def _book(self, record: CallRecord, call: Call) -> CallRecord:
        self._sink.book(record)
        self._spend.add(record.use_case, call.day, (record.cost_usd or Decimal(0)) + record.wasted_usd)
        for observer in self._observers:
            observer.observe(record)
        return record

    def begin_unpriced(self, call: Call, planned: Planned) -> None:
        """What stands if this process dies before a call ends whose cost cannot be told from tokens."""
        outcome = Outcome(UNKNOWN_OUTCOME, 0)
        self._sink.begin(final_record(call, self._sidecar, planned.target, outcome, 0.0))

    def note_failure(self, call: Call, planned: Planned, error: GatewayError, began: float) -> None:
        target, now = planned.target, self.clock.monotonic()
        if error.code in UNHEALTHY:
            self.health.failed(target.key, now)
        call.attempts.append(
            AttemptRecord(
                model=target.model,
                provider=target.provider,
                reason=planned.reason,
                outcome=error.code,
                seconds=now - began,
                status=error.upstream_status if isinstance(error, UpstreamError) else None,
            )
        )

    def _note_departure(self, call: Call, planned: Planned, began: float) -> None:
        """Cancelled before an answer: its provider may bill what was asked, so the estimate is booked."""
        self.end(call, planned, self.cut_short(estimated_usage(call, planned.target)), began, None)

    def cut_short(self, usage: Usage | None = None) -> Outcome:
        """How a cancelled call ended: its caller left, or we are shutting down."""
        word, status = (NotReady.code, NotReady.status) if self.is_closing else (CLIENT_CLOSED, 0)
        return Outcome(word, status, usage, usage is not None)

    def refuse(self, call: Call, error: GatewayError, planned: Planned | None = None) -> CallFailed:
        """Book a call that gets no answer; the error for the edge to raise."""
        seconds = self.clock.monotonic() - call.inbound.started
        outcome = Outcome(code_of(error), status_of(error))
        self._book(final_record(call, self._sidecar, planned.target if planned else None, outcome, seconds), call)
        headers = self.headers(call, planned, len(call.attempts))
        headers["x-should-retry"] = "false"
        return CallFailed(error, headers)

    def choose(self, call: Call, planned: Planned) -> None:
        """Why this target: the plan's word, or what made the choice before it fall away."""
        if call.attempts:
            call.reason = call.attempts[-1].outcome
        elif planned.reason == "fallback" and call.plan.skipped:
            call.reason = call.plan.skipped[0].reason
        else:
            call.reason = planned.reason

    def headers(self, call: Call, planned: Planned | None, attempts: int) -> dict[str, str]:
        headers = {
            "x-pointsman-request-id": call.inbound.id,
            "x-pointsman-use-case": call.plan.use_case.name,
            "x-pointsman-bundle": call.inbound.snapshot.digest,
            "x-pointsman-attempts": str(attempts),
            "x-pointsman-reason": call.reason,
        }
        if planned is not None:
            headers["x-pointsman-model"] = planned.target.model
            headers["x-pointsman-provider"] = planned.target.provider
        if call.dropped:
            headers["x-pointsman-dropped"] = ", ".join(call.dropped)
        return headers


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


def status_of(error: GatewayError) -> int:
    """What the caller can act on keeps the provider's own status; everything else has ours."""
    if isinstance(error, Rejected) and error.upstream_status in (400, 413, 422):
        return error.upstream_status
    return error.status


def chain_spent(call: Call, last: GatewayError) -> GatewayError:
    """What a caller reads when every target has failed: who was asked, and how each ended."""
    if isinstance(last, CannotCarry):
        return last
    trail = ", ".join(f"{attempt.model}@{attempt.provider}: {attempt.outcome}" for attempt in call.attempts)
    return ChainSpent(
        f'no model of use case "{call.plan.use_case.name}" answered ({trail}); last: {last.message}',
        status=status_of(last),
        code=last.code,
        retry_after_seconds=last.retry_after_seconds if isinstance(last, UpstreamError) else None,
    )


def nobody_fits(plan: Plan, rest_seconds: float | None) -> GatewayError:
    """What a caller reads when the plan is empty before anyone was asked.

    `rest_seconds`: until the first of the targets that rest may be tried again.
    """
    reasons = ", ".join(f"{item.model}@{item.provider}: {item.reason}" for item in plan.skipped)
    message = f'no model of use case "{plan.use_case.name}" can take this call ({reasons})'
    resting = next((item.reason for item in plan.skipped if item.reason in ("breaker_open", "down")), None)
    if resting is not None:
        return ChainSpent(message, status=503, code=resting, retry_after_seconds=rest_seconds)
    return ChainSpent(message, status=422, code=plan.skipped[0].reason if plan.skipped else "no_target")


def error_headers(error: GatewayError) -> Mapping[str, str]:
    """Headers that every error of this kind carries."""
    if isinstance(error, UpstreamError | ChainSpent) and error.retry_after_seconds is not None:
        return {"retry-after": str(max(1, round(error.retry_after_seconds)))}
    return {}
