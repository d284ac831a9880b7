"""What one call's core needs from outside. The app wires real ones; tests script their own."""

from collections.abc import AsyncIterable, Callable, Mapping
from typing import Literal, Protocol

from schemas.record import CallRecord, Feedback
from sidecar.limits.blocks import RateAsk, RateGrant
from sidecar.limits.holdings import HoldAsk, HoldGrant
from sidecar.limits.rules import Verdict
from sidecar.routing.snapshot import Target


class Timer(Protocol):
    def cancel(self) -> None: ...


class Clock(Protocol):
    def now(self) -> float:
        """Unix seconds."""
        ...

    def monotonic(self) -> float:
        """Seconds that never step back."""
        ...

    def jitter(self) -> float:
        """Drawn evenly from 0 to 1."""
        ...

    async def sleep(self, seconds: float) -> None: ...

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer: ...


class UpstreamAnswer(Protocol):
    """A provider's answer whose headers have come. Whoever holds it closes it."""

    status: int
    headers: Mapping[str, str]
    """Lower-case names."""

    async def read(self) -> bytes:
        """The rest of the body.

        Raises:
            UpstreamError: the connection breaks, or the host refuses in words that are not the dialect's.
        """
        ...

    async def chunk(self) -> bytes:
        """What has arrived, or waits for more; empty at the end. Raises as `read`."""
        ...

    def fail(self, error: Exception) -> None:
        """The read that waits, or the next one, raises this."""
        ...

    def close(self) -> None:
        """A body read to its end gives its connection back; otherwise the connection is closed at once."""
        ...


class Upstream(Protocol):
    async def send(
        self, target: Target, path: str, headers: Mapping[str, str], body: bytes, connect_seconds: float
    ) -> UpstreamAnswer:
        """Post `body` to the target's provider with its credentials.

        Raises:
            UpstreamError: Unreachable, ConnectionLost, or CredentialRefused when our own key cannot be read.
        """
        ...

    async def relay(
        self,
        target: Target,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | AsyncIterable[bytes],
        connect_seconds: float,
    ) -> UpstreamAnswer:
        """A request of any method and with a body of any kind, also one that is still arriving. Raises as `send`."""
        ...


class RecordSink(Protocol):
    """The spool. Its calls return once the line is written: a killed process loses none."""

    def begin(self, record: CallRecord) -> None:
        """Before an attempt leaves: what is booked if the process dies before the call ends."""
        ...

    def book(self, record: CallRecord) -> None:
        """How the call ended."""
        ...

    def hear(self, feedback: Feedback) -> None:
        """What somebody says of a call."""
        ...


class CallObserver(Protocol):
    """Counters and logs. Never on the way of a failure: what it raises would be a bug of ours."""

    def observe(self, record: CallRecord) -> None: ...


ShadowOutcome = Literal["sent", "skipped", "failed"]
"""It answered; it was not asked; it was asked and did not answer."""


class ShadowObserver(Protocol):
    def shadowed(self, use_case: str, outcome: ShadowOutcome, reason: str) -> None:
        """What became of one call that was drawn. `reason` is empty where it answered."""
        ...

    def shadow_booked(self, record: CallRecord) -> None: ...


class StoreAway(Exception):
    """The shared store did not answer in time, or is not asked because it has not of late."""


class LimitStore(Protocol):
    """What the sidecars of a fleet share. Both questions are answered within a moment or fail."""

    @property
    def is_away(self) -> bool:
        """True: do not ask."""
        ...

    async def take(self, ask: RateAsk) -> RateGrant:
        """Raises StoreAway."""
        ...

    async def hold(self, ask: HoldAsk) -> HoldGrant:
        """Raises StoreAway; also when the store knows nothing of the key and the question brings no seed."""
        ...


class LimitObserver(Protocol):
    def limited(self, rule: str, verdict: Verdict) -> None:
        """One decision of one rule, by its id."""
        ...
