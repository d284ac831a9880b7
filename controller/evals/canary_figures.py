"""What a canary is judged by: figures of both sides over the calls of one step. Values; no I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields


@dataclass(frozen=True, slots=True)
class Sums:
    """Over conversations, since a lot is drawn for a whole conversation: calls of one are alike."""

    conversations: int = 0
    """Of which at least one call says how good the side is."""
    calls: int = 0
    """That say it."""
    good: int = 0
    good_squared: int = 0
    """Sum over conversations of the square of their good calls; as the next two, for the error of a clustered mean."""
    good_times_calls: int = 0
    calls_squared: int = 0

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(self)))


@dataclass(frozen=True, slots=True)
class Look:
    """Both sides as they stood at one moment of a step."""

    minute: str
    """As `2026-11-05T12:00`."""
    candidate: Sums
    incumbent: Sums


@dataclass(frozen=True, slots=True)
class Minute:
    """Conversations of one side whose first call in this step came in one minute. Each counts once, by the mean of its
    calls: one that goes wrong again and again is one that goes wrong.
    """

    tried: int = 0
    """With a call for which the side's own model was asked, and that its caller saw to the end."""
    timed: int = 0
    """With an answer of its own model."""
    priced: int = 0
    """With a call whose cost is known."""
    errors: float = 0.0
    """Sum over them of the share of those calls that the model failed, whoever answered them."""
    invalid: float = 0.0
    """Likewise, whose answer fails `json_valid` or `tool_calls_valid`."""
    cut_or_refused: float = 0.0
    """Likewise, whose answer fails `complete` or `not_refused`."""
    slow: float = 0.0
    """Of its answers, those slower than `Figures.slow_line`."""
    usd: float = 0.0
    """Cost per call, wasted attempts included. For statistics: not money that anybody is asked for."""
    usd_bounded: float = 0.0
    """Each call at `Figures.cost_bound` at most: one that is very dear says no more than that it is dear."""
    usd_bounded_squared: float = 0.0


@dataclass(frozen=True, slots=True)
class Side:
    drawn: int = 0
    """Conversations whose lot fell to it."""
    sums: Sums = Sums()
    minutes: Mapping[str, Minute] = field(default_factory=dict)
    """By `2026-11-05T12:00`."""


@dataclass(frozen=True, slots=True)
class Figures:
    candidate: Side = Side()
    incumbent: Side = Side()
    drawn_elsewhere: int = 0
    """Conversations whose lot fell to a third model, by a split."""
    slow_line: float | None = None
    """Seconds; slower than this a candidate's answer is slow. None: too little is known of the incumbent."""
    cost_bound: float | None = None
    """US dollars. None: too little is known of the incumbent."""
