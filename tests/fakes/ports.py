"""Fakes behind `sidecar/ports.py`: a clock that is turned by hand, an upstream that is scripted, a sink that keeps."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from schemas.record import CallRecord, Feedback
from sidecar.ports import ShadowOutcome, Verdict
from sidecar.routing.snapshot import Target

Result = TypeVar("Result")

PARK: Literal["park"] = "park"
"""A step of a script that never ends by itself."""

MANY_TURNS = 50
"""Of the event loop: more than any chain of callbacks in a test needs to come to rest."""


async def at_rest() -> None:
    """Until every task that can go on has gone on."""
    for _ in range(MANY_TURNS):
        await asyncio.sleep(0)


@dataclass(eq=False)
class HandTimer:
    due: float
    callback: Callable[[], None]
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True


class HandClock:
    """A `Clock` that stands still until somebody turns it."""

    def __init__(self, *, now: float = 1_790_000_000.0, jitter: float = 1.0) -> None:
        self._now = now
        self._elapsed = 0.0
        self._jitter = jitter
        self.timers: list[HandTimer] = []
        self.slept: list[float] = []

    def now(self) -> float:
        return self._now + self._elapsed

    def monotonic(self) -> float:
        return 1_000.0 + self._elapsed

    def jump(self, seconds: float) -> None:
        """Somebody sets the wall clock; no time has passed."""
        self._now += seconds

    def jitter(self) -> float:
        return self._jitter

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        waiting = asyncio.get_running_loop().create_future()
        timer = self.call_later(seconds, lambda: None if waiting.done() else waiting.set_result(None))
        try:
            await waiting
        finally:
            timer.cancel()

    def call_later(self, seconds: float, callback: Callable[[], None]) -> HandTimer:
        timer = HandTimer(self._elapsed + seconds, callback)
        self.timers.append(timer)
        return timer

    def waiting(self) -> list[HandTimer]:
        """Timers that are still to ring, the next one first."""
        self.timers = [timer for timer in self.timers if not timer.cancelled]
        return sorted(self.timers, key=lambda timer: timer.due)

    async def turn(self, seconds: float) -> None:
        """Time passes: every timer that falls due rings in its turn."""
        end = self._elapsed + seconds
        while (timers := self.waiting()) and timers[0].due <= end:
            self._elapsed = max(self._elapsed, timers[0].due)
            timers[0].cancel()
            timers[0].callback()
            await at_rest()
        self._elapsed = end
        await at_rest()

    async def run_out(self, work: "asyncio.Task[Result]") -> Result:
        """Turn from timer to timer until the task is done."""
        await at_rest()
        while not work.done():
            timers = self.waiting()
            assert timers, "nothing is left to wait for, and the work is not done"
            await self.turn(timers[0].due - self._elapsed)
        return work.result()


@dataclass(frozen=True)
class Script:
    """What one attempt meets. A step is bytes that arrive, an exception that is raised, an event that is waited for, or
    `PARK`."""

    steps: Sequence[bytes | Exception | asyncio.Event | Literal["park"]] = ()
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    refusal: Exception | None = None
    """Raised instead of any answer."""


@dataclass(frozen=True)
class Sent:
    target: Target
    path: str
    headers: Mapping[str, str]
    body: bytes


class ScriptedAnswer:
    """An `UpstreamAnswer`."""

    def __init__(self, script: Script, upstream: "ScriptedUpstream") -> None:
        self.status = script.status
        self.headers = script.headers
        self.failures: list[Exception] = []
        self.times_closed = 0
        self._steps = list(script.steps)
        self._upstream = upstream
        self._waiting: asyncio.Future[None] | None = None

    async def read(self) -> bytes:
        body = b""
        while data := await self.chunk():
            body += data
        return body

    async def chunk(self) -> bytes:
        assert not self.times_closed, "read after it was closed"
        await self._upstream.pass_gate()
        if self.failures:
            raise self.failures[0]
        if not self._steps:
            return b""
        step = self._steps.pop(0)
        if isinstance(step, asyncio.Event):
            await step.wait()
            return await self.chunk()
        if isinstance(step, bytes):
            return step
        if isinstance(step, Exception):
            raise step
        self._waiting = asyncio.get_running_loop().create_future()
        await self._waiting
        raise AssertionError("parked for ever")

    def fail(self, error: Exception) -> None:
        self.failures.append(error)
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(error)

    def close(self) -> None:
        self.times_closed += 1


class ScriptedUpstream:
    """An `Upstream`. The scripts are met in order, one per attempt; the last one again and again."""

    def __init__(self, *scripts: Script, park_at: int | None = None) -> None:
        """`park_at`: the await with this number, over all attempts, never returns."""
        self._scripts = list(scripts)
        self._park_at = park_at
        self._awaits = 0
        self.parked = asyncio.Event()
        self.sent: list[Sent] = []
        self.answers: list[ScriptedAnswer] = []

    async def send(
        self, target: Target, path: str, headers: Mapping[str, str], body: bytes, connect_seconds: float
    ) -> ScriptedAnswer:
        script = self._scripts[min(len(self.sent), len(self._scripts) - 1)]
        self.sent.append(Sent(target, path, headers, body))
        await self.pass_gate()
        if script.refusal is not None:
            raise script.refusal
        answer = ScriptedAnswer(script, self)
        self.answers.append(answer)
        return answer

    async def relay(
        self,
        target: Target,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | AsyncIterable[bytes],
        connect_seconds: float,
    ) -> ScriptedAnswer:
        whole = body if isinstance(body, bytes) else b"".join([piece async for piece in body])
        return await self.send(target, f"{method} {path}", headers, whole, connect_seconds)

    async def pass_gate(self) -> None:
        """Every await of the upstream goes through here, so that a test can stop the call at each of them."""
        self._awaits += 1
        await asyncio.sleep(0)
        if self._awaits == self._park_at:
            self.parked.set()
            await asyncio.get_running_loop().create_future()

    @property
    def models(self) -> list[str]:
        return [sent.target.key for sent in self.sent]


class KeepingSink:
    """A `RecordSink`, a `CallObserver`, a `LimitObserver` and a `ShadowObserver`."""

    def __init__(self) -> None:
        self.begun: list[CallRecord] = []
        self.booked: list[CallRecord] = []
        self.heard: list[Feedback] = []
        self.observed: list[CallRecord] = []
        self.limits: Counter[tuple[str, str]] = Counter()
        """Decisions of limits, by rule and verdict."""
        self.shadows: Counter[tuple[str, str]] = Counter()
        """What became of calls that were drawn for a shadow, by outcome and reason."""

    def begin(self, record: CallRecord) -> None:
        self.begun.append(record)

    def book(self, record: CallRecord) -> None:
        self.booked.append(record)

    def hear(self, feedback: Feedback) -> None:
        self.heard.append(feedback)

    def observe(self, record: CallRecord) -> None:
        self.observed.append(record)

    def limited(self, rule: str, verdict: Verdict) -> None:
        self.limits[rule, verdict] += 1

    def shadowed(self, use_case: str, outcome: ShadowOutcome, reason: str) -> None:
        self.shadows[outcome, reason] += 1

    def shadow_booked(self, record: CallRecord) -> None:
        assert record in self.booked

    @property
    def only(self) -> CallRecord:
        """The one record of the one call: booked once, and nothing of it left open."""
        times = Counter(record.id for record in self.booked)
        assert list(times.values()) == [1], times
        assert {record.id for record in self.begun} <= set(times)
        return self.booked[0]


class Agent:
    """A caller that takes a stream: keeps what it got, or leaves, or stands still."""

    def __init__(self, *, leaves_at: int | None = None, parks_at: int | None = None) -> None:
        self.got: list[bytes] = []
        self.parked = asyncio.Event()
        self._leaves_at = leaves_at
        self._parks_at = parks_at
        self._gate: asyncio.Future[None] | None = None

    async def write(self, data: bytes) -> None:
        number = len(self.got)
        if number == self._leaves_at:
            raise ConnectionResetError("the caller left")
        if number == self._parks_at:
            self.parked.set()
            self._gate = asyncio.get_running_loop().create_future()
            await self._gate
        self.got.append(data)

    def go_on(self) -> None:
        assert self._gate is not None
        self._parks_at = None
        self._gate.set_result(None)

    @property
    def bytes(self) -> bytes:
        return b"".join(self.got)
