"""The words of one call on its way through the pipeline: what came in, what was tried, what goes out."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from schemas.bundle import Caller, QualityCheck
from schemas.record import AttemptRecord, CallRecord, Usage
from sidecar.core.operations import CHAT, Operation
from sidecar.dialects.base import BODY_ALONE, Dialect, Envelope, InPath, TargetDialect
from sidecar.errors import GatewayError
from sidecar.routing.facts import Facts
from sidecar.routing.plan import Plan, Planned
from sidecar.routing.snapshot import Skipped, Snapshot, Target
from sidecar.trace_context import ContextFor, as_it_came

KEY_HEADERS = ("authorization", "x-api-key", "x-goog-api-key", "api-key")
"""Handed on to a provider that takes the caller's own key, and to no other."""

Write = Callable[[bytes], Awaitable[None]]
"""Hands bytes to the caller; waits while its window is full. Raises ConnectionError when it has left."""


class Inbound(msgspec.Struct, frozen=True, gc=False):
    """A request as the edge hands it over."""

    id: str
    dialect: Dialect[Any, Any]
    """The caller's."""
    body: bytes
    headers: Mapping[str, str]
    """Lower-case look-ups work."""
    snapshot: Snapshot
    """Taken at the request's first line and kept to its end."""
    caller: Caller | None
    arrived: float
    """Unix seconds."""
    started: float
    """Monotonic seconds."""
    in_path: InPath = BODY_ALONE
    operation: Operation[Any, Any] = CHAT
    context_for: ContextFor = as_it_came

    def dialect_at(self, target: Target) -> TargetDialect[Any, Any]:
        """What the target is asked in: the caller's own dialect where it speaks it."""
        return self.dialect if target.dialect == self.dialect.name else self.operation.dialects[target.dialect]

    def headers_to(self, target: Target, attempt: int) -> dict[str, str]:
        """What a provider gets of the caller's headers: its own dialect's, and nothing that shows a key."""
        headers = {"x-pointsman-request-id": f"{self.id}.{attempt}"}
        if target.dialect == self.dialect.name:
            for name in self.dialect.forwarded_headers:
                if (value := self.headers.get(name)) is not None:
                    headers[name] = value
        if target.endpoint.trace_context:
            headers |= self.context_for(self.id, self.headers, attempt)
        if target.endpoint.caller_key:
            headers |= {name: value for name in KEY_HEADERS if (value := self.headers.get(name)) is not None}
        return headers


@dataclass(slots=True)
class PlainReply:
    status: int
    headers: Mapping[str, str]
    body: bytes
    after: Callable[[], None] | None = None
    """To be called once the caller has all of it."""


class StreamReply(Protocol):
    """A stream that has committed to its target: its first content is in hand."""

    status: int
    headers: Mapping[str, str]
    content_type: str
    after: Callable[[], None] | None
    """As of a plain reply."""

    async def pump(self, write: Write) -> None:
        """Everything to the caller, then the books. Never raises an upstream's failure: that becomes an error event."""
        ...

    def end(self, error: GatewayError) -> None:
        """Ends with this error event as soon as the caller has what was already read."""
        ...


@dataclass(slots=True, eq=False)
class Attempt:
    """One try at one target, under way."""

    planned: Planned
    number: int
    """Of this call's attempts, from 0; providers see it in `x-pointsman-request-id`."""
    began: float
    """Monotonic seconds."""
    is_probe: bool = False
    """Its target's breaker is half-open, and waits for what this attempt shows."""
    body: bytes = b""
    """What its target is asked."""
    dropped: tuple[str, ...] = ()
    """Knobs that its target could not take."""

    @property
    def target(self) -> Target:
        return self.planned.target


@dataclass(slots=True)
class Call:
    """One call's changing state. Lives as long as its request."""

    inbound: Inbound
    envelope: Envelope
    facts: Facts
    plan: Plan
    at: str
    """When it arrived: RFC 3339, UTC, milliseconds."""
    deadline_seconds: float
    """For the whole of it."""
    attempts: list[AttemptRecord] = field(default_factory=list)
    """Those that have ended."""
    under_way: list[Attempt] = field(default_factory=list)
    """One, or two where the call is hedged."""
    skipped: list[Skipped] = field(default_factory=list)
    """Targets of the plan that were passed over when their turn came."""
    started: int = 0
    """Attempts so far."""
    chosen: Target | None = None
    """The target that was last decided for."""
    tokens_reserved: int = 0
    """Input and expected output: what limits are asked for."""
    limit_headers: Mapping[str, str] = field(default_factory=dict)
    """Where the limits of its use case and caller stand, for the answer."""
    quality: Mapping[QualityCheck, bool] = field(default_factory=dict)
    """Whether the answer passes, by check of its use case's quality bar."""
    line: CallRecord | None = None
    """What its records say alike, once one was written."""
    record: CallRecord | None = None
    """What it was booked as; None: it is open."""
    dropped: tuple[str, ...] = ()
    reason: str = ""
    """Why the target that answers, or the last one tried, was chosen."""

    @property
    def hedge_id(self) -> str:
        """What limits know a second attempt by that runs beside the first."""
        return f"{self.inbound.id}.hedge"

    @property
    def deadline(self) -> float:
        """Monotonic seconds."""
        return self.inbound.started + self.deadline_seconds

    @property
    def day(self) -> str:
        """ISO day (UTC): decides prices and budgets."""
        return self.at[:10]

    def choose(self, planned: Planned) -> None:
        """Why this target is tried: the plan's word, or what made the choice before it fall away."""
        self.chosen = planned.target
        if self.attempts:
            self.reason = self.attempts[-1].outcome
        elif planned.reason == "fallback" and (skipped := (*self.plan.skipped, *self.skipped)):
            self.reason = skipped[0].reason
        else:
            self.reason = planned.reason


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """How a call ended, for its record."""

    word: str
    status: int
    usage: Usage | None = None
    estimated: bool = False
    first_token_seconds: float | None = None


class CallFailed(Exception):
    """Carries a gateway error to the edge with the headers that were known by then."""

    def __init__(self, error: GatewayError, headers: Mapping[str, str]) -> None:
        super().__init__(error.message)
        self.error = error
        self.headers = headers
