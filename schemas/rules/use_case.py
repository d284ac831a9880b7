"""`use-cases/<use-case>/use-case.yaml`: what a team decides for one purpose."""

import re
from collections.abc import Mapping
from decimal import Decimal
from itertools import pairwise
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, StringConstraints, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from schemas.bundle import OnRefusal, QualityCheck
from schemas.rules.base import (
    Amount,
    Capability,
    Count,
    Day,
    Duration,
    Glob,
    Globs,
    Limits,
    Name,
    Percent,
    Retry,
    Rules,
    Text,
    Timeouts,
    WhenAway,
    text_like,
)

Models = Annotated[tuple[Name, ...], Field(min_length=1)]
WayOut = Annotated[
    Literal["reject"] | Models,
    WithJsonSchema(
        {
            "anyOf": [
                {"const": "reject"},
                {"type": "array", "minItems": 1, "items": {"type": "string"}},
            ],
            "title": "`reject` or a list of models",
        }
    ),
]
_TIME, _END = r"^([01][0-9]|2[0-3]):[0-5][0-9]$", r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"
ClockTime = Annotated[
    str, StringConstraints(pattern=_TIME), text_like(_TIME, "a time of day", examples=["08:00", "17:30"])
]
EndTime = Annotated[str, StringConstraints(pattern=_END), text_like(_END, "a time of day", examples=["17:30", "24:00"])]
HeaderName = Annotated[str, StringConstraints(to_lower=True, min_length=1, max_length=128)]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Part = Annotated[
    Decimal,
    Field(gt=0, le=Decimal("0.5")),
    WithJsonSchema({"type": "number", "title": "a share", "exclusiveMinimum": 0, "maximum": 0.5}),
]
Ratio = Annotated[
    Decimal,
    Field(ge=Decimal("1.05"), le=1000),
    WithJsonSchema({"type": "number", "title": "how many times as much", "minimum": 1.05, "maximum": 1000}),
]
Class = Literal["customer-facing", "regulated", "internal", "experimental"]


def _known_zone(name: str) -> str:
    try:
        if re.fullmatch(r"[A-Za-z0-9_+/-]+", name):
            return ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise PydanticCustomError("unknown-time-zone", "no such time zone; write it as Europe/Berlin or UTC") from error
    raise PydanticCustomError("unknown-time-zone", "no such time zone; write it as Europe/Berlin or UTC")


class TokenRange(Rules):
    """A range of token counts; both ends are exclusive."""

    over: Annotated[int, Field(ge=0)] | None = None
    """More tokens than this."""
    under: Count | None = None
    """Fewer tokens than this."""

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if self.over is None and self.under is None:
            raise PydanticCustomError("empty-range", "name over, under or both")
        if self.over is not None and self.under is not None and self.under - self.over < 2:
            raise PydanticCustomError("empty-range", "no number is over and under these at once")
        return self


class Hours(Rules):
    """A daily window in a time zone. One that ends before it starts spans midnight."""

    start: ClockTime
    """First minute of the window, as `08:00`."""
    end: EndTime
    """End of the window, as `17:30`; that minute is outside."""
    zone: Annotated[str, AfterValidator(_known_zone)]
    """IANA name of the time zone: `Europe/Berlin`, `UTC`."""
    days: tuple[Weekday, ...] = ()
    """Days on which the window starts; left out: every day."""


class When(Rules):
    """What must hold of a call. Everything that is named must hold; of a list of globs, any one."""

    input_tokens: TokenRange | None = None
    """Estimated input tokens: `{over: 200000}`, `{under: 1000}` or both."""
    needs: tuple[Capability, ...] = ()
    """Capabilities that the call uses, all of them."""
    stream: bool | None = None
    """Whether the caller asked for a streamed answer."""
    agent: Globs | None = None
    """The agent's name: a glob or a list of globs."""
    caller: Globs | None = None
    """The caller's name, as its key says: a glob or a list of globs."""
    header: Mapping[HeaderName, Glob] = {}
    """Request headers: name to glob."""
    metadata: Mapping[Text, Glob] = {}
    """Metadata in the request's body: key to glob."""
    hours: Hours | None = None
    """A daily window in a time zone."""


class TrafficShare(Rules):
    """A model that gets a part of the traffic."""

    model: Name
    """A model of `models/`."""
    percent: Percent
    """Of the calls, more than 0 and at most 100; calls of one conversation go the same way."""


def _growing(ladder: tuple[Decimal, ...]) -> tuple[Decimal, ...]:
    if any(later <= earlier for earlier, later in pairwise(ladder)):
        raise PydanticCustomError("bad-ladder", "rungs grow, as [1, 5, 25, 50, 100]")
    return ladder


class Guardrails(Rules):
    """How much worse than the primary a canary may do before it is taken back at once: shares are of its calls, and so
    much more than the primary's; ratios are to the primary's."""

    errors: Part = Decimal("0.02")
    """Calls that it failed, whether or not a fallback answered them."""
    invalid: Part = Decimal("0.02")
    """Answers that fail the checks `json_valid` or `tool_calls_valid`."""
    cut_or_refused: Part = Decimal("0.05")
    """Answers that fail the checks `complete`, `not_refused` or `not_repeating`."""
    latency: Ratio = Decimal("1.5")
    """95th percentile to the first token, or to the answer where it is not streamed."""
    spend: Ratio = Decimal("1.5")
    """Cost per call, wasted attempts included. Above it where a dearer model is meant to be tried."""


class Canary(TrafficShare):
    """A candidate that gets more of the traffic, step by step, while it proves not to be worse than the primary."""

    ladder: Annotated[tuple[Percent, ...], AfterValidator(_growing)] = tuple(map(Decimal, (1, 5, 25, 50, 100)))
    """Percent of each step, growing; those above `percent` come after it. At 100 the candidate is promoted: make it the
    primary then. `[]`: it stays at `percent`, and is judged there."""
    signal: Literal["checks", "outcome", "feedback"] = "checks"
    """What makes a call a success: its answer passes the `checks` of the quality bar; it was answered at all; or all
    that `feedback` says of it is 0.5 at least. Where nothing is said of a call, it counts for nothing."""
    margin: Part = Decimal("0.03")
    """How much smaller its share of successes may be than the primary's, as 0.03 for three points of a hundred."""
    planned_calls: Annotated[int, Field(ge=200, le=10**9)] = 5_000
    """In how many calls, both models' together, a step should be decided: there the test is sharpest."""
    max_calls: Annotated[int, Field(ge=200, le=10**9)] | None = None
    """So many calls without a decision end the canary: the primary has all traffic again. Left out: four times
    `planned_calls`."""
    guardrails: Guardrails = Guardrails()
    """What takes it back at once."""


class OptOut(Rules):
    """Whose calls are never mirrored; a call can say so itself (`x-pointsman-shadow: off`)."""

    agent: Globs | None = None
    """The agent's name: a glob or a list of globs."""
    caller: Globs | None = None
    """The caller's name, as its key says: a glob or a list of globs."""

    @model_validator(mode="after")
    def _names_somebody(self) -> Self:
        if self.agent is None and self.caller is None:
            raise PydanticCustomError("opt-out-of-nobody", "name agent or caller")
        return self


class Shadow(TrafficShare):
    """A candidate that is asked what was just answered. Nobody gets what it says: its cost, its time and what the
    checks of the quality bar say of it are recorded beside those of the call."""

    percent: Percent
    """Of the answered calls, more than 0 and at most 100, by the call's id."""
    per_day: Amount = Decimal(10)
    """US dollars that it may cost in a day (UTC), over the whole fleet; beside the use case's own ceilings."""
    concurrency: Annotated[int, Field(ge=1, le=32)] = 4
    """Calls of it in flight at once, in each sidecar."""
    opt_out: OptOut | None = None
    """Whose calls are never mirrored."""


class Rule(Rules):
    """A chain of its own for the calls that match."""

    when: When
    """What must hold."""
    primary: Name
    """The model that answers."""
    fallbacks: tuple[Name, ...] = ()
    """Models to try after it, in order."""
    split: tuple[TrafficShare, ...] = ()
    """Models that share the primary's work, each with its part; the primary keeps the rest."""


class Sticky(Rules):
    """What stays on one target once it is there."""

    by: Literal["conversation"]
    """Keeps a conversation where its prompt cache is. Which one a call belongs to says its header
    `x-pointsman-conversation`; without it, how its messages begin."""


class HardCeiling(Rules):
    """What must not be passed, in US dollars: beyond it calls are refused, whatever the way out."""

    per_day: Amount | None = None
    """The most that the use case may spend in a day (UTC)."""
    per_month: Amount | None = None
    """The most that the use case may spend in a calendar month (UTC)."""

    @model_validator(mode="after")
    def _has_an_amount(self) -> Self:
        if self.per_day is None and self.per_month is None:
            raise PydanticCustomError("ceiling-without-amount", "name per_day or per_month")
        return self


class CostCeiling(Rules):
    """When to fail over to cheaper, in US dollars."""

    per_request: Amount | None = None
    """The most that one call may cost, estimated before it is made."""
    per_day: Amount | None = None
    """The most that the use case may spend in a day (UTC)."""
    per_month: Amount | None = None
    """The most that the use case may spend in a calendar month (UTC)."""
    then: WayOut
    """Cheaper models, in order; or `reject`."""
    hard: HardCeiling | None = None
    """Amounts above those that lead to cheaper models; beyond them calls are refused."""
    on_store_error: WhenAway = "local_share"
    """For the amounts that refuse, while what the fleet has spent cannot be known: each sidecar keeps to its share of
    the rest, or everything passes, or nothing does."""

    @model_validator(mode="after")
    def _has_an_amount(self) -> Self:
        if self.hard is None and self.per_request is None and self.per_day is None and self.per_month is None:
            raise PydanticCustomError("ceiling-without-amount", "name per_request, per_day, per_month or hard")
        return self


class QualityBar(Rules):
    """When to fail over to better."""

    checks: tuple[QualityCheck, ...] = ()
    """What is looked at in every answer; a check that does not apply to a call says nothing of it. Streams are
    looked at when they have ended: for the record and `min_score` alone."""
    then: WayOut | None = None
    """Better models, in order: the first that can take the call is asked once more, if deadline and ceiling allow. Or
    `reject`: the caller gets an error. Left out: the verdict is recorded, and the answer handed over."""
    min_score: (
        Annotated[Decimal, Field(ge=0, le=1), WithJsonSchema({"type": "number", "minimum": 0, "maximum": 1})] | None
    ) = None
    """The lowest acceptable share of answers that pass every check, and the lowest mean score of each kind of feedback
    (`POST /v1/feedback`), from 0 to 1; none of these makes up for another. A model that falls below it gives way to the
    better ones for half an hour at least, but for a few probes, until these show that it is well again."""


class Requires(Rules):
    """What every target must offer."""

    capabilities: tuple[Capability, ...] = ()
    """All of these."""
    regions: tuple[Name, ...] = ()
    """The provider must process data in one of these."""
    zero_retention: bool = False
    """The provider must not keep prompts and answers."""


_RATE: dict[str, Any] = {"type": "number", "title": "characters per second", "exclusiveMinimum": 0, "maximum": 10_000}


class Hedge(Rules):
    """Races a second target against a slow first one. It costs money: seldom, and never for calls with tools."""

    after: Duration
    """How long the first target may take to begin its answer: its usual p95."""
    percent: Annotated[Percent, Field(le=20)] = Decimal(2)
    """The largest share of the use case's calls that may be asked twice."""


class SlowStream(Rules):
    """When a stream is too slow to be of use: the next target is asked before the caller has seen any of it."""

    characters_per_second: Annotated[Decimal, Field(gt=0, le=10_000), WithJsonSchema(_RATE)]
    """The slowest that an answer may come; a token is about four characters."""
    within: Duration = 5.0
    """How long the beginning of a stream is looked at, at most; a fast one is let through at its first sentence."""


class Review(Rules):
    """When these choices were last looked at, and by when they must be again."""

    last: Day | None = None
    """The day of the last review."""
    by: Day
    """The day by which the next review is due."""


class Lock(Rules):
    """This use case needs one vendor's feature: a fallback at another vendor is not asked for."""

    vendor: Name
    """The vendor."""
    reason: Text
    """Why; people will ask."""


class Emergency(Rules):
    """A way out for a change that cannot wait for its evidence; reviews show it."""

    reason: Text
    """Why it cannot wait; people will ask."""
    expires: Day
    """The last day on which it holds, at most 14 days ahead: by then there is evidence, or the change is taken back."""


class UseCase(Rules):
    """A named purpose with an owner: the unit of routing, budgets, evals and review."""

    use_case: Name
    """The use case's name; the same as its folder's name."""
    owner: Name
    """The team that answers for it."""
    description: Text | None = None
    """What it does; for people."""
    kind: Annotated[Class, Field(alias="class")] = "internal"
    """What `check` demands: customer-facing and regulated use cases need a fallback at another vendor and a review."""
    aliases: tuple[Glob, ...] = ()
    """Model names that agents already send and that mean this use case; globs."""
    primary: Name
    """The model that answers."""
    fallbacks: tuple[Name, ...] = ()
    """Models to try after it, in order; at least one of another vendor keeps you running when a vendor is down."""
    split: tuple[TrafficShare, ...] = ()
    """Models that share the primary's work, each with its part of the calls that no rule and no canary takes; the
    primary keeps the rest."""
    sticky: Sticky | None = None
    """Keeps a conversation on one target."""
    cost_ceiling: CostCeiling | None = None
    """When to fail over to cheaper."""
    quality_bar: QualityBar | None = None
    """When to fail over to better."""
    requires: Requires = Requires()
    """What every target must offer."""
    rules: tuple[Rule, ...] = ()
    """Chains for particular calls; the first that matches wins."""
    limits: Limits | None = None
    """What this use case may send."""
    canary: Canary | None = None
    """Some traffic to a candidate, of the calls that no rule takes; the chain steps in when it fails. A controller
    gives it more in steps, or takes it back."""
    shadow: Shadow | None = None
    """Some calls go, once they are answered, to a candidate too, which never answers anybody."""
    timeouts: Timeouts = Timeouts()
    """What differs from the defaults of pointsman.yaml."""
    retry: Retry = Retry()
    """What differs from the defaults of pointsman.yaml."""
    hedge: Hedge | None = None
    """Races a second target against a slow first one."""
    slow_stream: SlowStream | None = None
    """When a stream is too slow to be of use."""
    on_refusal: OnRefusal = "stop"
    """When a provider refuses a call for its content: `stop` and say so, or `fallback` to the next model."""
    resume: bool = False
    """A plain-text stream that breaks goes on at a target of the chain whose model has the capability `prefill`."""
    review: Review | None = None
    """When these choices were last looked at."""
    lock: Lock | None = None
    """This use case needs one vendor's feature."""
    emergency: Emergency | None = None
    """Lets changes pass without evidence for some days."""
