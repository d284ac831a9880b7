"""How attempts and calls end: the breaker is fed, the record is booked, and the caller's headers say the same."""

from collections.abc import Callable
from decimal import Decimal

from schemas.record import AttemptRecord, CallRecord, Feedback, Usage
from sidecar.accounting.books import (
    BELOW_BAR,
    CLIENT_CLOSED,
    HEDGE_LOST,
    OK,
    UNKNOWN_OUTCOME,
    cost_at,
    estimated_usage,
    final_record,
    provisional_record,
)
from sidecar.core.call import Attempt, Call, CallFailed, Outcome
from sidecar.core.refusals import status_of
from sidecar.dialects.base import Encoded
from sidecar.errors import GatewayError, LimitReached, NotReady, Throttled, UpstreamError, code_of
from sidecar.limiter.limits import Limits
from sidecar.ports import CallObserver, Clock, RecordSink
from sidecar.routing.answered import Answered
from sidecar.routing.conversations import Conversations
from sidecar.routing.fallback import SHORT_WAIT_SECONDS
from sidecar.routing.health import Health
from sidecar.routing.plan import Planned
from sidecar.routing.quality_window import QualityWindow
from sidecar.routing.snapshot import Target

NOTHING = Encoded(b"")
"""What a free call, whose body passes through as it comes, has encoded."""

TOO_MANY = 429
"""Our own: a limit is reached, and the caller may come again. A provider's 429 is none of its business."""

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
        "stream_slow",
    }
)
"""Errors that count against a target's breaker: not the caller's mistakes, not 429, not a caller that left."""


class Bookkeeper:
    """Holds what calls leave behind: breakers, spend, how good answers are, where conversations are and records go."""

    def __init__(
        self, *, sidecar: str, clock: Clock, sink: RecordSink, observers: tuple[CallObserver, ...], limits: Limits
    ) -> None:
        self.health = Health()
        self.conversations = Conversations()
        self.quality = QualityWindow()
        self.answered = Answered()
        self.is_closing = False
        """A call that is cancelled from now on was ended by us and not left by its caller."""
        self._sidecar = sidecar
        self._clock = clock
        self._sink = sink
        self._observers = observers
        self._limits = limits

    def is_resting(self, target: Target) -> bool:
        return target.key in self.health.resting(self._clock.monotonic())

    def start(self, call: Call, planned: Planned, encoded: Encoded = NOTHING) -> Attempt:
        """An attempt begins; the breaker of its target is told."""
        is_probe = self.health.enter(planned.target.key)
        now = self._clock.monotonic()
        attempt = Attempt(planned, call.started, now, is_probe, encoded.body, encoded.dropped)
        call.started += 1
        call.under_way.append(attempt)
        return attempt

    def begin(self, call: Call) -> None:
        """Before an attempt leaves: what stands if this process dies before it ends."""
        self._sink.begin(provisional_record(call, self._sidecar))

    def begin_unpriced(self, call: Call, attempt: Attempt) -> None:
        """As `begin`, for a call whose cost cannot be told from tokens."""
        outcome = Outcome(UNKNOWN_OUTCOME, 0)
        self._sink.begin(final_record(call, self._sidecar, attempt.target, outcome, 0.0))

    def commit(self, attempt: Attempt) -> None:
        """Its first content is in hand: what a breaker's probe asks for."""
        if attempt.is_probe:
            attempt.is_probe = False
            self.health.succeeded(attempt.target.key, self._clock.monotonic(), is_probe=True)

    def end(self, call: Call, attempt: Attempt, outcome: Outcome, upstream_status: int | None) -> CallRecord:
        """The answering attempt is over: note it, feed the breaker, book the call."""
        self._note(call, attempt, outcome, upstream_status)
        call.dropped = attempt.dropped
        return self._book(call, attempt.target, outcome)

    def note_failure(self, call: Call, attempt: Attempt, error: GatewayError, usage: Usage | None = None) -> None:
        """An attempt failed; the call may go on with another. `usage`, an estimate, is booked as wasted."""
        status = error.upstream_status if isinstance(error, UpstreamError) else None
        self._note(call, attempt, Outcome(error.code, 0, usage, usage is not None), status)
        if isinstance(error, Throttled) and (error.retry_after_seconds or 0.0) > SHORT_WAIT_SECONDS:
            assert error.retry_after_seconds is not None
            self.health.throttle(attempt.target.key, error.retry_after_seconds, self._clock.monotonic())

    def drop(self, call: Call, attempt: Attempt) -> None:
        """A free call is over; its target's breaker learns nothing from it."""
        self._limits.release(call.inbound.id)
        self.health.left(attempt.target.key, is_probe=attempt.is_probe)
        attempt.is_probe = False

    def note_loss(self, call: Call, attempt: Attempt) -> None:
        """Another attempt of a hedged call was faster: this one is dropped, and its provider may bill it."""
        self._note(call, attempt, Outcome(HEDGE_LOST, 0, estimated_usage(call, attempt.target), True), None)

    def note_quality(self, call: Call, target: Target, *, passed: bool) -> None:
        """A whole answer of a target was held to its use case's quality bar."""
        bar, name = call.plan.use_case.bar, call.plan.use_case.name
        if bar is not None and bar.min_score is not None:
            self.quality.note(name, target.model, bar.min_score, score=float(passed), now=self._clock.monotonic())

    def note_feedback(self, feedback: Feedback, min_score_of: Callable[[str], Decimal | None]) -> None:
        """On its way to the ledger, and heard by the rolling bar where this sidecar knows the call: the first word of
        each source and kind counts.

        Args:
            min_score_of: what the rules of now ask of a use case.
        """
        self._sink.hear(feedback)
        answer = self.answered.first_word(feedback)
        min_score = None if answer is None else min_score_of(answer.use_case)
        if answer is not None and min_score is not None:
            now = self._clock.monotonic()
            signal = f"feedback.{feedback.kind}"
            self.quality.note(answer.use_case, answer.model, min_score, score=feedback.score, now=now, signal=signal)

    def note_below_bar(self, call: Call, attempt: Attempt, usage: Usage | None, status: int) -> None:
        """A whole answer that nobody gets, since it fails its use case's quality bar: its target is well, its cost
        wasted. `usage` None: its provider reported none.
        """
        counted = usage or estimated_usage(call, attempt.target)
        self._note(call, attempt, Outcome(BELOW_BAR, 0, counted, usage is None), status)

    def note_departure(self, call: Call) -> None:
        """Cancelled before an answer. Who was asked may bill it: booked at the estimate, as the newest attempt's."""
        if not call.under_way:
            self._book(call, call.chosen, self.cut_short())
            return
        *others, newest = call.under_way
        for attempt in others:
            self.note_loss(call, attempt)
        self.end(call, newest, self.cut_short(estimated_usage(call, newest.target)), None)

    def _note(self, call: Call, attempt: Attempt, outcome: Outcome, upstream_status: int | None) -> None:
        target, now = attempt.target, self._clock.monotonic()
        call.under_way.remove(attempt)
        call.attempts.append(
            AttemptRecord(
                model=target.model,
                provider=target.provider,
                reason=attempt.planned.reason,
                outcome=outcome.word,
                seconds=now - attempt.began,
                status=upstream_status,
                first_token_seconds=outcome.first_token_seconds,
                usage=outcome.usage,
                cost_usd=cost_at(call, target, outcome.usage),
                estimated=outcome.estimated,
                began_seconds=max(0.0, attempt.began - call.inbound.started),
            )
        )
        if outcome.word in UNHEALTHY:
            self.health.failed(target.key, now, self._clock.jitter(), is_probe=attempt.is_probe)
        elif outcome.word == OK:
            self.health.succeeded(target.key, now, is_probe=attempt.is_probe)
            if call.plan.conversation and call.plan.use_case.sticky:
                self.conversations.note(call.plan.use_case.name, call.plan.conversation, target.key, now)
        elif outcome.word == BELOW_BAR:
            self.health.succeeded(target.key, now, is_probe=attempt.is_probe)
        else:
            self.health.left(target.key, is_probe=attempt.is_probe)

    def cut_short(self, usage: Usage | None = None) -> Outcome:
        """How a cancelled call ended: its caller left, or we are shutting down."""
        word, status = (NotReady.code, NotReady.status) if self.is_closing else (CLIENT_CLOSED, 0)
        return Outcome(word, status, usage, usage is not None)

    def refuse(self, call: Call, error: GatewayError, planned: Planned | None = None) -> CallFailed:
        """Book a call that gets no answer; the error for the edge to raise."""
        call.reason = call.reason or code_of(error)  # no target was ever chosen
        self._book(call, planned.target if planned else None, Outcome(code_of(error), status_of(error)))
        headers = headers_of(call, planned, len(call.attempts))
        if isinstance(error, LimitReached):
            headers |= error.headers
        elif status_of(error) != TOO_MANY:
            headers["x-should-retry"] = "false"
        return CallFailed(error, headers)

    def _book(self, call: Call, target: Target | None, outcome: Outcome) -> CallRecord:
        seconds = self._clock.monotonic() - call.inbound.started
        record = final_record(call, self._sidecar, target, outcome, seconds)
        call.record = record
        self._sink.book(record)
        self.answered.note(record)
        self._limits.settle_money(record)
        tokens = 0 if record.usage is None else record.usage.input_tokens + record.usage.output_tokens
        self._limits.settle(call.inbound.id, tokens)
        if call.plan.use_case.hedge is not None:
            self._limits.settle(call.hedge_id, tokens)
        for observer in self._observers:
            observer.observe(record)
        return record


def headers_of(call: Call, planned: Planned | None, attempts: int) -> dict[str, str]:
    """What every answer says of how it came about, errors included."""
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
    headers |= call.limit_headers
    if call.dropped:
        headers["x-pointsman-dropped"] = ", ".join(call.dropped)
    return headers
