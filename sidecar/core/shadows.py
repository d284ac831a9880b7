"""Shadow traffic: once a caller has its whole answer, a part of the calls goes to a candidate as well, which answers
nobody. It never delays a call and never acts: it has its own tasks, connections, breakers and budget, and is sent only
what we understand, as a plain request that its provider keeps nothing of. Every call that is drawn is counted, with
what became of it.
"""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

import msgspec

from schemas.record import AttemptRecord, CallRecord, Mirrored, Usage
from sidecar.accounting.books import MAYBE_BILLED, OK, UNKNOWN_OUTCOME
from sidecar.canonical.request import ChatRequest
from sidecar.canonical.response import ChatResponse
from sidecar.core.bookkeeping import UNHEALTHY
from sidecar.core.call import Call
from sidecar.core.operations import CHAT
from sidecar.dialects.base import Encoded
from sidecar.dialects.fitting import fitted
from sidecar.errors import CannotCarry, FirstTokenTimeout, GatewayError, NotReady, Throttled, UpstreamError
from sidecar.limiter.limits import SHADOW_BUDGET, Limits
from sidecar.limits.estimates import reserve_usd
from sidecar.ports import Clock, RecordSink, ShadowObserver, Timer, Upstream
from sidecar.quality.checks import judge
from sidecar.routing.fallback import SHORT_WAIT_SECONDS
from sidecar.routing.health import Health
from sidecar.routing.lots import is_mirrored
from sidecar.routing.plan import ASSUMED_OUTPUT_TOKENS, why_not
from sidecar.routing.snapshot import Shadow, Target

HEADER = "x-pointsman-shadow"
"""`off`: this call is not mirrored."""
REASON = "shadow"
MAX_RUNNING = 32
"""Of all use cases together."""
MAX_HELD = 64
"""Calls that wait for their turn, those in their pause included."""
MAX_HELD_BYTES = 16 << 20
PAUSE_SECONDS = 0.05
"""Before anything is done for a shadow: a caller that asks again at once is served first."""
BUSY_SECONDS = 0.01
"""A pause that ends later than by this tells that calls wait for the processor: shadows are left out first."""
CLOSE_SECONDS = 2.0
"""Beyond a drain: for those that are under way."""

log = logging.getLogger("pointsman.shadow")


class NotAsked(Exception):
    """The shadow is passed over; the message is the reason, in one word."""


@dataclass(frozen=True, slots=True)
class _Question:
    """What a shadow is asked."""

    call: Call
    id: str
    at: str
    began: float
    """Monotonic seconds."""
    target: Target
    request: ChatRequest
    encoded: Encoded
    estimate: Usage

    @property
    def day(self) -> str:
        return self.at[:10]


class Shadows:
    def __init__(
        self,
        *,
        sidecar: str,
        clock: Clock,
        upstream: Upstream,
        sink: RecordSink,
        limits: Limits,
        observer: ShadowObserver,
    ) -> None:
        """`upstream`: none that calls use: what a shadow's provider refuses must rest no key of theirs."""
        self._sidecar = sidecar
        self._clock = clock
        self._upstream = upstream
        self._sink = sink
        self._limits = limits
        self._observer = observer
        self._health = Health()
        self._pausing: dict[str, tuple[Call, Timer]] = {}
        """By the call's id."""
        self._waiting: deque[Call] = deque()
        self._held_bytes = 0
        """Of bodies of both."""
        self._running: Counter[str] = Counter()
        """By use case."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_closing = False

    def offer(self, call: Call) -> None:
        """The caller has its whole answer."""
        use_case, record = call.plan.use_case, call.record
        shadow = use_case.shadow
        if shadow is None or record is None or record.outcome != OK:
            return
        if not is_mirrored(use_case.name, shadow, call.inbound.id):
            return
        reason = self._why_not_at_all(call, shadow)
        held, size = len(self._pausing) + len(self._waiting), len(call.inbound.body)
        if reason is None and (held == MAX_HELD or self._held_bytes + size > MAX_HELD_BYTES):
            reason = "queue_full"
        if reason is not None:
            self._skip(call, reason)
            return
        due = self._clock.monotonic() + PAUSE_SECONDS
        self._pausing[call.inbound.id] = (call, self._clock.call_later(PAUSE_SECONDS, lambda: self._arrive(call, due)))
        self._held_bytes += size

    def stop_taking(self) -> None:
        """What waits is dropped, and whatever comes from now on."""
        self._is_closing = True
        for _, timer in self._pausing.values():
            timer.cancel()
        dropped = [*(call for call, _ in self._pausing.values()), *self._waiting]
        self._pausing.clear()
        self._waiting.clear()
        self._held_bytes = 0
        if dropped:
            log.warning("shadow.dropped waiting=%d", len(dropped))
        for call in dropped:
            self._skip(call, "shutdown")

    async def close(self) -> None:
        """What is under way has a moment to end; then it is cut off, and booked so."""
        self.stop_taking()
        if not self._tasks:
            return
        _, late = await asyncio.wait(self._tasks, timeout=CLOSE_SECONDS)
        for task in late:
            task.cancel()
        if late:
            log.warning("shadow.cut_off calls=%d", len(late))
            await asyncio.wait(late)

    def _why_not_at_all(self, call: Call, shadow: Shadow) -> str | None:
        if self._is_closing:
            return "shutdown"
        if call.inbound.headers.get(HEADER, "on") != "on" or shadow.spares(call.facts.agent, call.facts.caller):
            return "opt_out"
        if call.inbound.operation is not CHAT:
            return "operation"
        if call.envelope.continues is not None:
            return "state"
        if any(step.reason == "pinned" for step in call.plan.steps):
            return "pinned"
        return "same_model" if call.chosen is not None and call.chosen.model == shadow.model else None

    def _arrive(self, call: Call, due: float) -> None:
        """Its pause is over."""
        del self._pausing[call.inbound.id]
        if self._clock.monotonic() - due > BUSY_SECONDS:
            self._held_bytes -= len(call.inbound.body)
            self._skip(call, "busy")
            return
        self._waiting.append(call)
        self._start_what_may()

    def _start_what_may(self) -> None:
        for call in tuple(self._waiting):
            if self._has_place(call):
                self._waiting.remove(call)
                self._held_bytes -= len(call.inbound.body)
                self._start(call)

    def _has_place(self, call: Call) -> bool:
        shadow = call.plan.use_case.shadow
        assert shadow is not None
        return len(self._tasks) < MAX_RUNNING and self._running[call.plan.use_case.name] < shadow.concurrency

    def _start(self, call: Call) -> None:
        self._running[call.plan.use_case.name] += 1
        task = asyncio.create_task(self._mirror(call))
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._ended(call, done))

    def _ended(self, call: Call, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._running[call.plan.use_case.name] -= 1
        self._start_what_may()

    def _skip(self, call: Call, reason: str) -> None:
        self._observer.shadowed(call.plan.use_case.name, "skipped", reason)

    async def _mirror(self, call: Call) -> None:
        try:
            question = await self._question(call)
        except NotAsked as why:
            self._skip(call, str(why))
            return
        except asyncio.CancelledError:
            self._skip(call, "shutdown")
            raise
        except Exception:
            log.exception("shadow.crashed id=%s", call.inbound.id)
            self._skip(call, GatewayError.code)
            return
        await self._ask(question)

    async def _question(self, call: Call) -> _Question:
        """What is sent where, with limits and money taken. Raises NotAsked: neither is."""
        shadow = call.plan.use_case.shadow
        assert shadow is not None
        request = _plainly(call)
        now = self._clock.monotonic()
        arrived = datetime.fromtimestamp(self._clock.now(), UTC)
        at = arrived.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        target, encoded = self._first_that_fits(call, shadow, request, arrived, now)
        tokens = call.envelope.max_output_tokens
        output = min(ASSUMED_OUTPUT_TOKENS, target.max_output_tokens) if tokens is None else tokens
        estimate = Usage(input_tokens=call.envelope.input_tokens, output_tokens=output)
        question = _Question(call, f"{call.inbound.id}.shadow", at, now, target, request, encoded, estimate)
        usd = reserve_usd([target], estimate.input_tokens, output, question.day)
        if not self._limits.reserve_shadow(question.id, call.plan.use_case, shadow.per_day, question.day, usd):
            raise NotAsked(SHADOW_BUDGET)
        reason: str | None = "shutdown"
        try:
            reason = await self._limits.take_spare(question.id, target, estimate.input_tokens + output)
        finally:
            if reason is not None:
                self._limits.release_shadow(question.id)
        if reason is not None:
            raise NotAsked(reason)
        return question

    def _first_that_fits(
        self, call: Call, shadow: Shadow, request: ChatRequest, at: datetime, now: float
    ) -> tuple[Target, Encoded]:
        """Raises NotAsked: with the reason of the first door."""
        resting = self._health.resting(now)
        reasons: list[str] = []
        for target in shadow.targets:
            reason = why_not(target, call.facts, resting, None, at) or _bar(target, at)
            if reason is None:
                try:
                    return target, _encoded(request, target)
                except CannotCarry as unable:
                    reason = unable.reason
            reasons.append(reason)
        raise NotAsked([*reasons, *(item.reason for item in shadow.barred)][0])

    async def _ask(self, question: _Question) -> None:
        is_probe = self._health.enter(question.target.key)
        self._sink.begin(self._record(question, UNKNOWN_OUTCOME, 0, question.estimate, is_estimate=True))
        status, outcome, response = 0, GatewayError.code, None
        is_billed = True
        try:
            status, response = await self._answer(question)
            outcome = OK
        except UpstreamError as error:
            status, outcome, is_billed = error.upstream_status or 0, error.code, isinstance(error, MAYBE_BILLED)
            if isinstance(error, Throttled) and (error.retry_after_seconds or 0.0) > SHORT_WAIT_SECONDS:
                wait = error.retry_after_seconds or 0.0
                self._health.throttle(question.target.key, wait, self._clock.monotonic())
        except asyncio.CancelledError:
            outcome = NotReady.code
            raise
        except Exception:
            log.exception("shadow.crashed id=%s", question.id)
        finally:
            self._note_health(question.target, outcome, is_probe=is_probe)
            self._book(question, outcome, status, response, is_billed=is_billed)

    async def _answer(self, question: _Question) -> tuple[int, ChatResponse]:
        """Raises UpstreamError."""
        call, target = question.call, question.target
        dialect, timeouts = CHAT.dialects[target.dialect], call.plan.use_case.timeouts
        headers = {"x-pointsman-request-id": question.id}
        answer = None
        try:
            async with asyncio.timeout(timeouts.deadline):
                answer = await self._upstream.send(
                    target, dialect.path(target.name, False), headers, question.encoded.body, timeouts.connect
                )
                body = await answer.read()
        except TimeoutError as error:
            raise FirstTokenTimeout(f"no answer from {target.key} within {timeouts.deadline:g} s") from error
        finally:
            if answer is not None:
                answer.close()
        if answer.status >= 300:
            raise dialect.decode_error(answer.status, answer.headers, body)
        return answer.status, dialect.decode_response(body)

    def _note_health(self, target: Target, outcome: str, *, is_probe: bool) -> None:
        now = self._clock.monotonic()
        if outcome in UNHEALTHY:
            self._health.failed(target.key, now, self._clock.jitter(), is_probe=is_probe)
        elif outcome == OK:
            self._health.succeeded(target.key, now, is_probe=is_probe)
        else:
            self._health.left(target.key, is_probe=is_probe)

    def _book(
        self, question: _Question, outcome: str, status: int, response: ChatResponse | None, *, is_billed: bool
    ) -> None:
        reported = None if response is None else response.usage
        usage = reported or (question.estimate if is_billed else None)
        quality = {} if response is None else _quality(question, response)
        record = self._record(question, outcome, status, usage, is_estimate=reported is None, quality=quality)
        self._sink.book(record)
        self._limits.settle_money(record)
        self._limits.settle(question.id, 0 if usage is None else usage.input_tokens + usage.output_tokens)
        self._observer.shadow_booked(record)
        use_case = question.call.plan.use_case.name
        self._observer.shadowed(use_case, *(("sent", "") if outcome == OK else ("failed", outcome)))

    def _record(
        self,
        question: _Question,
        outcome: str,
        status: int,
        usage: Usage | None,
        *,
        is_estimate: bool,
        quality: Mapping[str, str] = {},
    ) -> CallRecord:
        call, target = question.call, question.target
        live, inbound = call.record, call.inbound
        assert live is not None
        cost = None if usage is None else target.cost_on(question.day, usage)
        seconds = self._clock.monotonic() - question.began
        is_answer = outcome == OK
        attempt = AttemptRecord(
            model=target.model,
            provider=target.provider,
            reason=REASON,
            outcome=outcome,
            seconds=seconds,
            status=status or None,
            usage=usage,
            cost_usd=cost,
            estimated=is_estimate and usage is not None,
        )
        return CallRecord(
            id=question.id,
            at=question.at,
            sidecar=self._sidecar,
            use_case=live.use_case,
            dialect=live.dialect,
            outcome=outcome,
            bundle=live.bundle,
            revision=live.revision,
            agent=live.agent,
            caller=live.caller,
            status=status,
            model=target.model,
            provider=target.provider,
            vendor=target.vendor,
            reason=REASON,
            quality=quality,
            attempts=(attempt,),
            usage=usage if is_answer else None,
            cost_usd=cost if is_answer else None,
            wasted_usd=Decimal(0) if is_answer else cost or Decimal(0),
            estimated=attempt.estimated,
            dropped=question.encoded.dropped,
            seconds=seconds,
            shadow=Mirrored(
                call=inbound.id,
                model=live.model,
                provider=live.provider,
                seconds=live.seconds,
                quality=live.quality,
                cost_usd=live.cost_usd,
            ),
        )


def _plainly(call: Call) -> ChatRequest:
    """The request as we understand it, not streamed: what we do not know is not sent, so that nothing can act by it.

    Raises NotAsked: it cannot be understood, or asks the provider to run something.
    """
    try:
        request: ChatRequest = call.inbound.dialect.decode_request(call.envelope)
    except CannotCarry as unable:
        raise NotAsked(unable.reason) from unable
    except GatewayError as error:
        raise NotAsked(error.code) from error
    if request.server_tools:
        raise NotAsked("server_tools")
    return msgspec.structs.replace(request, stream=False)


def _bar(target: Target, at: datetime) -> str | None:
    if target.endpoint.caller_key:
        return "caller_key"
    return None if target.price_on(at.date().isoformat()) is not None else "no_price"


def _encoded(request: ChatRequest, target: Target) -> Encoded:
    encoded = CHAT.dialects[target.dialect].encode_request(request, target.traits)
    return fitted(encoded, target.endpoint.fields) if target.endpoint.fields else encoded


def _quality(question: _Question, response: ChatResponse) -> dict[str, str]:
    bar = question.call.plan.use_case.bar
    verdicts = {} if bar is None else judge(bar.checks, question.request, response)
    return {check: "pass" if passed else "fail" for check, passed in verdicts.items()}
