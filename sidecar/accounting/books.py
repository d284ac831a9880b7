"""From a call and its outcome to the line that the ledger books, and the headers that say the same to the caller."""

from collections.abc import Iterable, Mapping
from decimal import Decimal

import msgspec

from schemas.bundle import QualityCheck
from schemas.record import AttemptRecord, CallFacts, CallRecord, SkippedTarget, Usage
from sidecar.accounting.pricing import NOTHING, cost_of
from sidecar.core.call import KEY_HEADERS, Attempt, Call, Outcome
from sidecar.errors import FirstTokenTimeout, GatewayError, MalformedAnswer, StreamCut, StreamFailed, StreamSlow
from sidecar.routing.plan import ASSUMED_OUTPUT_TOKENS
from sidecar.routing.snapshot import Target
from sidecar.trace_context import traceparent_of

UNKNOWN_OUTCOME = "unknown_outcome"
CLIENT_CLOSED = "client_closed"
HEDGE_LOST = "hedge_lost"
OK = "ok"
MAX_FACT_CHARACTERS = 256
"""Of a header or a metadata value that a rule looks at: a name, not a text."""
SECRET_HEADERS = frozenset({*KEY_HEADERS, "cookie", "proxy-authorization"})
"""Never booked, even where a rule looks at one."""
BELOW_BAR = "below_bar"


def estimated_usage(call: Call, target: Target, output_tokens: int | None = None) -> Usage:
    """What a call is booked at when its provider reported nothing."""
    if output_tokens is None:
        output_tokens = call.envelope.max_output_tokens
    if output_tokens is None:
        output_tokens = min(ASSUMED_OUTPUT_TOKENS, target.max_output_tokens)
    return Usage(input_tokens=call.envelope.input_tokens, output_tokens=output_tokens)


MAYBE_BILLED = (FirstTokenTimeout, MalformedAnswer, StreamCut, StreamFailed, StreamSlow)
"""Failures of a request that a provider had taken: what it made of it may stand on its invoice."""


def maybe_billed(call: Call, attempt: Attempt, error: GatewayError) -> Usage | None:
    """What a failed attempt is booked at; None where its provider bills nothing. No content of a stream had come."""
    if not isinstance(error, MAYBE_BILLED):
        return None
    return estimated_usage(call, attempt.target, 0 if call.envelope.stream else None)


def usage_so_far(call: Call, target: Target, reported: Usage | None, events_sent: int) -> Usage:
    """What a stream without a final count is booked at: its input as reported if it was, about one token per event.

    Anthropic counts the input when a stream starts, and the output when it ends.
    """
    if reported is None:
        return estimated_usage(call, target, events_sent)
    return msgspec.structs.replace(reported, output_tokens=max(reported.output_tokens, events_sent))


def cost_at(call: Call, target: Target, usage: Usage | None) -> Decimal | None:
    return None if usage is None else cost_of(usage, target.price_on(call.day))


def provisional_record(call: Call, sidecar: str) -> CallRecord:
    """What stands if this process dies before its attempts end: their providers may bill them, so they are booked."""
    unknown = tuple(_unknown(call, attempt) for attempt in call.under_way)
    newest = call.under_way[-1].target
    outcome = Outcome(UNKNOWN_OUTCOME, 0, unknown[-1].usage, True)
    return _record(call, sidecar, newest, outcome, (*call.attempts, *unknown), 0.0)


def _unknown(call: Call, attempt: Attempt) -> AttemptRecord:
    target = attempt.target
    usage = estimated_usage(call, target)
    return AttemptRecord(
        model=target.model,
        provider=target.provider,
        reason=attempt.planned.reason,
        outcome=UNKNOWN_OUTCOME,
        seconds=0.0,
        usage=usage,
        cost_usd=cost_at(call, target, usage),
        estimated=True,
    )


def final_record(call: Call, sidecar: str, target: Target | None, outcome: Outcome, seconds: float) -> CallRecord:
    """How the call ended. `call.attempts` is complete, the answering attempt last."""
    return _record(call, sidecar, target, outcome, tuple(call.attempts), seconds)


def _record(
    call: Call,
    sidecar: str,
    target: Target | None,
    outcome: Outcome,
    attempts: tuple[AttemptRecord, ...],
    seconds: float,
) -> CallRecord:
    if call.line is None:
        call.line = _line(call, sidecar)
    answered = outcome.usage is not None
    failed = attempts[:-1] if answered else attempts
    return msgspec.structs.replace(
        call.line,
        outcome=outcome.word,
        status=outcome.status,
        model=target.model if target else "",
        provider=target.provider if target else "",
        vendor=target.vendor if target else "",
        reason=call.reason,
        quality=_said(call.quality) if call.quality else {},
        attempts=attempts,
        usage=outcome.usage,
        cost_usd=attempts[-1].cost_usd if answered else None,
        wasted_usd=_sum_of_costs(failed) if failed else NOTHING,
        estimated=outcome.estimated,
        dropped=call.dropped,
        skipped=_passed_over(call) if call.plan.skipped or call.skipped else (),
        seconds=seconds,
        first_token_seconds=outcome.first_token_seconds,
    )


def _line(call: Call, sidecar: str) -> CallRecord:
    """What every record of the call says alike, once it has its plan."""
    inbound, plan = call.inbound, call.plan
    return CallRecord(
        id=inbound.id,
        at=call.at,
        sidecar=sidecar,
        use_case=plan.use_case.name,
        dialect=inbound.dialect.name,
        outcome="",
        bundle=inbound.snapshot.digest,
        revision=inbound.snapshot.revision,
        agent=call.facts.agent,
        caller=inbound.caller.name if inbound.caller else "",
        stream=call.envelope.stream,
        conversation=plan.conversation,
        arm=plan.arm,
        propensity=plan.propensity,
        steering=plan.steering,
        facts=_facts(call),
        operation=inbound.operation.name,
        trace=traceparent_of(inbound.headers),
    )


def _said(quality: Mapping[QualityCheck, bool]) -> dict[str, str]:
    return {check: "pass" if passed else "fail" for check, passed in quality.items()}


def _sum_of_costs(attempts: Iterable[AttemptRecord]) -> Decimal:
    return sum((attempt.cost_usd for attempt in attempts if attempt.cost_usd is not None), NOTHING)


def _passed_over(call: Call) -> tuple[SkippedTarget, ...]:
    return tuple(SkippedTarget(item.model, item.provider, item.reason) for item in (*call.plan.skipped, *call.skipped))


def _facts(call: Call) -> CallFacts:
    facts, watched = call.facts, call.plan.use_case.metadata_watched
    return CallFacts(
        input_tokens=facts.input_tokens,
        max_output_tokens=facts.max_output_tokens,
        needs=tuple(sorted(facts.needs)) if facts.needs else (),
        headers=_bounded({name: value for name, value in facts.headers.items() if name not in SECRET_HEADERS})
        if facts.headers
        else {},
        metadata=_bounded({key: facts.metadata[key] for key in watched if key in facts.metadata}) if watched else {},
    )


def _bounded(values: Mapping[str, str]) -> dict[str, str]:
    """One that is too long for the books is left out: cut, it could match what it did not."""
    return {name: value for name, value in values.items() if len(value) <= MAX_FACT_CHARACTERS}


def usd_text(amount: Decimal) -> str:
    """Plain decimal notation, never an exponent: `0.0000123`."""
    return format(amount.normalize(), "f")
