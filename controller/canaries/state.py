"""Where a canary stands, and how it may move. Values and transitions; no I/O.

running ──▶ running on the next rung ──▶ … ──▶ promoted at 100 %
   ├──▶ rolled_back, inconclusive or stopped, at 0 %: until the rules have another canary, or a person begins it again
   └──▶ halted where it is: its figures cannot be trusted
"""

from decimal import Decimal
from typing import Final, Literal

import msgspec

from controller.canaries.terms import Terms

State = Literal["running", "promoted", "rolled_back", "inconclusive", "stopped", "halted"]
NOTHING: Final = Decimal(0)
MAX_REASON_CHARACTERS: Final = 300
"""It stands in the record of every call."""
KEPT_MOVES: Final = 16
WORDS: Final[dict[State, str]] = {
    "running": "at {percent} %", "promoted": "promoted", "rolled_back": "rolled back", "inconclusive": "inconclusive",
    "stopped": "stopped", "halted": "halted at {percent} %",
}  # fmt: skip


class Move(msgspec.Struct, frozen=True):
    at: float
    state: State
    percent: Decimal
    reason: str


class Canary(msgspec.Struct, frozen=True):
    terms: Terms
    state: State
    percent: Decimal
    """Of the traffic, now."""
    since: float
    """When this step began; seconds since the epoch."""
    step: int
    """It only grows, so that no two steps of one canary have the same reason."""
    reason: str
    """What its calls' records say: why it has this share."""
    moves: tuple[Move, ...] = ()
    """This one first."""

    @property
    def use_case(self) -> str:
        return self.terms.use_case

    @property
    def model(self) -> str:
        return self.terms.model

    @property
    def is_judged(self) -> bool:
        return self.state in ("running", "halted")

    @property
    def next_percent(self) -> Decimal | None:
        """None: it is on the last rung of its ladder."""
        return self.terms.rung_above(self.percent)


def begun(terms: Terms, *, now: float) -> Canary:
    canary = Canary(terms, "running", NOTHING, now, 0, "")
    return _moved(canary, "running", terms.percent, "where its rules begin", now)


def begun_again(canary: Canary, why: str, *, now: float) -> Canary:
    return _moved(canary, "running", canary.terms.percent, why, now)


def advanced(canary: Canary, why: str, *, now: float) -> Canary:
    """On the last rung it stays where it is."""
    percent = canary.next_percent
    if percent is None:
        return canary
    return _moved(canary, "promoted" if percent == 100 else "running", percent, why, now)


def ended(canary: Canary, state: State, why: str, *, now: float) -> Canary:
    """The primary has all traffic again."""
    return _moved(canary, state, NOTHING, why, now)


def halted(canary: Canary, why: str, *, now: float) -> Canary:
    return _moved(canary, "halted", canary.percent, why, now)


def _moved(canary: Canary, state: State, percent: Decimal, why: str, now: float) -> Canary:
    step = canary.step + 1
    word = WORDS[state].format(percent=f"{percent:f}")
    reason = f"canary {canary.model} {word} (step {step}): {why}"[:MAX_REASON_CHARACTERS]
    moves = (Move(now, state, percent, reason), *canary.moves)[:KEPT_MOVES]
    return Canary(canary.terms, state, percent, now, step, reason, moves)
