"""What a chart shows, as plain values: the figures of the table beside it. `drawn.py` makes SVG of them. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["good", "bad", "open"]


@dataclass(frozen=True, slots=True)
class Stack:
    """Bars of days, each made of its series."""

    title: str
    days: Sequence[str]
    series: Sequence[tuple[str, Sequence[float]]]
    """Name and a value for each day, from the bottom up."""
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Lines:
    title: str
    days: Sequence[str]
    series: Sequence[tuple[str, Sequence[float | None]]]
    """None: not known on that day; the line has a gap."""
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Interval:
    name: str
    low: float
    middle: float
    high: float
    kind: Kind
    words: str
    """The figures, as they stand beside it."""


@dataclass(frozen=True, slots=True)
class Intervals:
    """Differences of shares, against none and against what may be lost."""

    title: str
    rows: Sequence[Interval]
    margin: float | None = None
    """None: it is not the same in all rows."""


@dataclass(frozen=True, slots=True)
class Mark:
    name: str
    cost: float
    quality: float
    is_best: bool
    """No mix of others is as good for as little."""


@dataclass(frozen=True, slots=True)
class Scatter:
    title: str
    marks: Sequence[Mark]


@dataclass(frozen=True, slots=True)
class Moment:
    at: str
    """As `2026-11-05T12:00`."""
    low: float
    middle: float
    high: float


@dataclass(frozen=True, slots=True)
class Band:
    """A difference of shares over time, with what it may be at every look at once."""

    title: str
    moments: Sequence[Moment]
    margin: float


Chart: TypeAlias = Stack | Lines | Intervals | Scatter | Band
