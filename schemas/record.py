"""The account of one call: what travels from a sidecar's spool to the controller's ledger.

Metadata only: never a prompt, an answer or a key.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Literal

import msgspec

from schemas.spend import FleetSpend

Usd = Decimal
"""US dollars. Never a float, never rounded before it is shown."""


class Usage(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Tokens of one answer, counted the same way whatever the provider's own words are."""

    input_tokens: int = 0
    """All input, cache reads and cache writes included."""
    output_tokens: int = 0
    """All output, reasoning included."""
    cache_read_tokens: int = 0
    """A part of `input_tokens`, never on top of it."""
    cache_write_tokens: int = 0
    """A part of `input_tokens`, never on top of it."""
    reasoning_tokens: int = 0
    """A part of `output_tokens`, never on top of it."""
    cache_write_1h_tokens: int = 0
    """A part of `cache_write_tokens`: what the cache is to keep for an hour."""
    web_searches: int = 0
    """Searches that the provider ran and bills by the piece."""
    service: str = ""
    """The service tier that answered, where it is not the standard one: `batch`, `flex`, `priority`, `fast`."""


class AttemptRecord(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One try at one target, as it ended."""

    model: str
    provider: str
    reason: str
    """Why this target was tried: `primary`, `fallback`, `retry`, `pinned`, `cost_ceiling.per_day`, …"""
    outcome: str
    """`ok`, or the error's word: `unreachable`, `throttled`, `first_token_timeout`, …"""
    seconds: float
    """From sending the request to its end."""
    status: int | None = None
    """The provider's HTTP status, where one came."""
    first_token_seconds: float | None = None
    """To the first content event; None where none came."""
    usage: Usage | None = None
    cost_usd: Usd | None = None
    """What this attempt cost; None when its usage or its price is unknown."""
    estimated: bool = False
    """`usage` is the sidecar's own estimate."""
    began_seconds: float = 0.0
    """From the call's arrival to the start of this attempt."""


class SkippedTarget(msgspec.Struct, frozen=True, gc=False):
    """A target of the use case that this call passed over, and why."""

    model: str
    provider: str
    reason: str
    """`breaker_open`, `throttled`, `capability.vision`, `context_window`, `retry_budget`, …"""


class CallFacts(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What a plan looked at and the record does not say elsewhere, so that other rules can be asked about the call."""

    input_tokens: int = 0
    """The estimate that the rules were held against."""
    max_output_tokens: int | None = None
    needs: tuple[str, ...] = ()
    """Sorted."""
    headers: dict[str, str] = {}
    """Only those that some rule of the use case looks at, as `metadata`."""
    metadata: dict[str, str] = {}


class Mirrored(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The call that a shadow was asked again, and how its own answer was: both sides of a pair in one record."""

    call: str
    """Its id."""
    model: str
    provider: str
    seconds: float
    quality: Mapping[str, str] = {}
    cost_usd: Usd | None = None


class CallRecord(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One line of the ledger. `id` makes booking idempotent: the same id is booked once."""

    id: str
    at: str
    """When the call arrived: RFC 3339, UTC, milliseconds."""
    sidecar: str
    use_case: str
    dialect: str
    """The caller's dialect."""
    outcome: str
    """`ok`, `client_closed`, `unknown_outcome`, or the word of the error that the caller saw."""
    bundle: str
    """Digest of the bundle that decided; empty when no bundle was loaded."""
    revision: str = ""
    agent: str = ""
    caller: str = ""
    stream: bool = False
    status: int = 0
    """HTTP status that the caller saw; 0 when it left before one was sent."""
    model: str = ""
    """The model that answered, or that was tried last."""
    provider: str = ""
    vendor: str = ""
    reason: str = ""
    """Why that target: the reason in the plan, or the error that made the first choice fall away."""
    conversation: str = ""
    """A hash that the calls of one conversation share, where the use case looks at conversations; never text."""
    arm: str = ""
    """Where a canary or a split had a say: the model that the lot fell to. Others may have answered after it."""
    propensity: float | None = None
    """How likely the lot was to fall to that arm, more than 0 and at most 1."""
    steering: str = ""
    """Why the canary that the lot was drawn for has the share that it has, or none, where a controller decided that."""
    facts: CallFacts | None = None
    """None from a sidecar that did not record them."""
    quality: Mapping[str, str] = {}
    """What the checks of a quality bar said of the answer that the caller got, or was refused: check to `pass` or
    `fail`, without those that did not apply."""
    attempts: tuple[AttemptRecord, ...] = ()
    usage: Usage | None = None
    cost_usd: Usd | None = None
    """Cost of the answer that the caller got; None when unknown, never zero for unknown."""
    wasted_usd: Usd = Usd(0)
    """Cost of attempts whose answer the caller did not get."""
    estimated: bool = False
    """The provider reported no usage: tokens are the sidecar's own estimate."""
    dropped: tuple[str, ...] = ()
    """Knobs that the target could not take."""
    skipped: tuple[SkippedTarget, ...] = ()
    """Targets that were not tried, in the order in which that was decided."""
    seconds: float = 0.0
    first_token_seconds: float | None = None
    shadow: Mirrored | None = None
    """This is no caller's call: a shadow was asked again what a call had been answered. It counts for no use case's
    requests and no ceiling; `cost_usd` and `quality` are those of the shadow's answer, which nobody got."""
    operation: str = ""
    """`embeddings`, or `passthrough` for what is handed on as it came; empty: chat."""
    trace: str = ""
    """The caller's W3C `traceparent`, where it sent a valid one."""


FeedbackKind = Literal["user", "judge", "business"]
"""Who says it: a person who got the answer, a model or a person who was asked to grade it, or what came of it."""


class Feedback(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """How good the answer of a call was, as somebody found later. Of one source and kind the latest counts."""

    call: str
    """The call's id."""
    at: str
    """When it was said: RFC 3339, UTC, microseconds: of two words said at once the later counts."""
    sidecar: str
    """The one that heard it, which need not be the call's."""
    score: float
    """From 0, useless, to 1, right."""
    kind: FeedbackKind = "user"
    source: str = ""
    """The caller that said it, or the agent where no keys are asked for."""


class UsageBatch(msgspec.Struct, frozen=True):
    """The body of `POST /v1/usage`: records and feedback, each in the order of the spool."""

    sidecar: str
    records: tuple[CallRecord, ...]
    feedback: tuple[Feedback, ...] = ()


class UsageReceipt(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answer to a batch, sent after it is durable."""

    booked: int
    """Records that were new."""
    known: int
    """Records that had been booked before."""
    spend: FleetSpend | None = None
    """What the fleet has spent, these records included; None from a controller that does not say."""
