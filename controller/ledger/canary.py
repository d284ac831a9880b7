"""Figures of a canary's step: its own calls beside those that the same lots left to the primary.

A side is where the lot fell. How good it is says only what its own model did: a call that a fallback answered is its
failure, and one for which its model was not asked at all (a sticky conversation, a ceiling) says nothing.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
    Double,
    Subquery,
    and_,
    case,
    cast,
    false,
    func,
    literal_column,
    not_,
    or_,
    select,
    true,
)

from controller.canaries.state import Canary
from controller.canaries.terms import Signal
from controller.evals.canary_figures import Figures, Look, Minute, Side, Sums
from controller.ledger.arms import REFUSALS
from controller.ledger.booking import PASSED
from controller.ledger.feedback import GOOD
from controller.ledger.tables import calls, feedback
from controller.ledger.times import time_text

MIN_TIMED: Final = 100
"""Answers of the incumbent before its 95th percentile is compared with."""
MIN_PRICED: Final = 100
"""As many calls of it whose cost is known, before that is."""
COST_TIMES: Final = 4.0
"""A call counts as no dearer than so many times the incumbent's mean."""
SLOW: Final = 0.95
MIN_SECONDS_MORE: Final = 0.1
CALLS_TIMES: Final = 4
"""So many times the calls that decide a step are looked at; where few of them say anything, it has no end."""
IS_STEERED: Final[ColumnElement[bool]] = calls.c.steering != literal_column("''")
"""In the words of the index `calls_by_steering`, which is for those alone."""
MINUTE: Final = len("2026-11-05T12:00")
UNSAID: Final = REFUSALS | {"client_closed", "unknown_outcome"}

Condition = ColumnElement[bool]


def figures_of(connection: Connection, canary: Canary) -> Figures:
    """Of the step that it is on, as far as it is booked. Of one that goes on for ever, the newest calls."""
    terms = canary.terms
    ours, words = _of_step(connection, canary), _Words(terms.model, terms.primary, terms.signal)
    sums = _sums(connection, ours, words)
    line = _slow_line(connection, and_(ours, calls.c.arm == terms.primary), words, terms.latency)
    bound = _cost_bound(connection, and_(ours, calls.c.arm == terms.primary))
    minutes = _minutes(connection, ours, words, line, bound)
    sides = {
        arm: Side(drawn, own, minutes.get(arm, {}))
        for arm, (drawn, own) in sums.items()
    }  # fmt: skip
    elsewhere = sum(side.drawn for arm, side in sides.items() if arm not in (terms.model, terms.primary))
    return Figures(sides.get(terms.model, Side()), sides.get(terms.primary, Side()), elsewhere, line, bound)


def progress_of(connection: Connection, canary: Canary) -> list[Look]:
    """The sums of the step that it is on, minute by minute; the last ones are those of `figures_of`."""
    terms = canary.terms
    each = _conversations(_of_step(connection, canary), _Words(terms.model, terms.primary, terms.signal))
    statement = select(each.c.minute, each.c.arm, *_summed(each)).group_by(each.c.minute, each.c.arm)
    sides = {terms.model: Sums(), terms.primary: Sums()}
    looks: dict[str, Look] = {}
    for minute, arm, *sums in connection.execute(statement.order_by(each.c.minute)):
        if arm in sides:
            sides[arm] += Sums(*map(int, sums))
            looks[minute] = Look(minute, sides[terms.model], sides[terms.primary])
    return list(looks.values())


def _of_step(connection: Connection, canary: Canary) -> Condition:
    terms = canary.terms
    ours = and_(
        calls.c.use_case == terms.use_case, calls.c.steering == canary.reason, IS_STEERED, calls.c.arm != "",
        calls.c.at >= time_text(canary.since),
    )  # fmt: skip
    return and_(ours, _among_newest(connection, ours, CALLS_TIMES * terms.max_calls))


class _Words:
    """What the columns of one call say of the side that its lot fell to."""

    def __init__(self, candidate: str, incumbent: str, signal: Signal) -> None:
        own = [and_(calls.c.arm == arm, _attempts_say("model", arm)) for arm in (candidate, incumbent)]
        below_bar = _attempts_say("outcome", "below_bar")
        answered = and_(calls.c.outcome == "ok", calls.c.model == calls.c.arm)
        self.tried = and_(or_(*own), calls.c.outcome.not_in(UNSAID), not_(_attempts_say("outcome", "hedge_lost")))
        self.answered = and_(self.tried, answered)
        self.error = and_(self.tried, not_(answered), not_(below_bar))
        self.invalid = and_(self.tried, _fails(answered, "json_valid", "tool_calls_valid"))
        self.cut_or_refused = and_(self.tried, _fails(answered, "complete", "not_refused", "not_repeating"))
        if signal == "checks":
            self.good: Condition = and_(self.answered, calls.c.quality == PASSED)
            self.bad: Condition = or_(
                self.error, and_(self.tried, below_bar), and_(self.answered, calls.c.quality.not_in(("", PASSED)))
            )
        elif signal == "outcome":
            self.good = and_(self.tried, or_(answered, below_bar))
            self.bad = self.error
        else:
            worst = select(func.min(feedback.c.score)).where(feedback.c.call == calls.c.id).scalar_subquery()
            self.good, self.bad = and_(self.answered, worst >= GOOD), and_(self.answered, worst < GOOD)


def _attempts_say(field: str, word: str) -> Condition:
    """In some attempt, as the ledger keeps it."""
    return calls.c.attempts.contains(f'"{field}":{msgspec.json.encode(word).decode()}', autoescape=True)


def _fails(answered: Condition, *checks: str) -> Condition:
    """The answer that its caller got, or the one that nobody got because a better model was asked."""
    return or_(
        *(and_(answered, calls.c.quality.contains(check, autoescape=True)) for check in checks),
        *(_attempts_say("reason", f"quality_escalation.{check}") for check in checks),
    )


def _count(condition: Condition) -> ColumnElement[Any]:
    return func.sum(case((condition, 1), else_=0))


def _conversations(ours: Condition, words: _Words) -> Subquery:
    """What each said in all, at the minute of its first call."""
    return (
        select(
            calls.c.arm, func.min(func.substr(calls.c.at, 1, MINUTE)).label("minute"),
            _count(or_(words.good, words.bad)).label("said"), _count(words.good).label("good"),
        )
        .where(ours).group_by(calls.c.arm, calls.c.conversation).subquery()
    )  # fmt: skip


def _summed(each: Subquery) -> Sequence[ColumnElement[Any]]:
    """As `Sums` has them."""
    said, good = each.c.said, each.c.good
    return (
        _count(said > 0), func.sum(said), func.sum(good), func.sum(good * good), func.sum(good * said),
        func.sum(said * said),
    )  # fmt: skip


def _sums(connection: Connection, ours: Condition, words: _Words) -> dict[str, tuple[int, Sums]]:
    each = _conversations(ours, words)
    statement = select(each.c.arm, func.count(), *_summed(each)).group_by(each.c.arm)
    return {arm: (int(drawn), Sums(*map(int, rest))) for arm, drawn, *rest in connection.execute(statement)}


def _among_newest(connection: Connection, ours: Condition, most: int) -> Condition:
    at = calls.c.at
    oldest = connection.execute(select(at).where(ours).order_by(at.desc()).offset(most - 1).limit(1)).scalar()
    return true() if oldest is None else at >= oldest


def _slow_line(connection: Connection, incumbents: Condition, words: _Words, times: float) -> float | None:
    seconds, answered = _seconds(), and_(incumbents, words.answered)
    count = int(connection.execute(select(func.count()).select_from(calls).where(answered)).scalar_one())
    if count < MIN_TIMED:
        return None
    place = min(count - 1, int(count * SLOW))
    usual = connection.execute(select(seconds).where(answered).order_by(seconds).offset(place).limit(1)).scalar_one()
    return max(float(usual) * times, float(usual) + MIN_SECONDS_MORE)


def _cost_bound(connection: Connection, incumbents: Condition) -> float | None:
    statement = select(func.count(calls.c.cost_usd), func.avg(_usd())).where(incumbents)
    count, mean = connection.execute(statement).one()
    return float(mean) * COST_TIMES if count >= MIN_PRICED else None


def _minutes(
    connection: Connection, ours: Condition, words: _Words, line: float | None, bound: float | None
) -> Mapping[str, Mapping[str, Minute]]:
    usd = _usd()
    bounded = usd if bound is None else case((usd > bound, bound), else_=usd)
    slow = false() if line is None else _seconds() > line
    each = (
        select(
            calls.c.arm, func.min(func.substr(calls.c.at, 1, MINUTE)).label("minute"),
            _share(words.error, words.tried).label("errors"), _share(words.invalid, words.tried).label("invalid"),
            _share(words.cut_or_refused, words.tried).label("cut"), _share(slow, words.answered).label("slow"),
            func.avg(usd).label("usd"), func.avg(bounded).label("bounded"),
        )
        .where(ours).group_by(calls.c.arm, calls.c.conversation).subquery().c
    )  # fmt: skip
    statement = select(
        each.arm, each.minute, func.count(each.errors), func.count(each.slow), func.count(each.usd),
        *(
            func.coalesce(func.sum(value), 0.0)
            for value in (
                each.errors, each.invalid, each.cut, each.slow, each.usd, each.bounded, each.bounded * each.bounded
            )
        ),
    ).group_by(each.arm, each.minute)  # fmt: skip
    found: dict[str, dict[str, Minute]] = defaultdict(dict)
    for arm, at, tried, timed, priced, *sums in connection.execute(statement):
        found[arm][at] = Minute(int(tried), int(timed), int(priced), *map(float, sums))
    return found


def _share(condition: Condition, among: Condition) -> ColumnElement[Any]:
    """Of a conversation's calls; NULL where it has none."""
    return func.avg(case((among, case((condition, 1.0), else_=0.0))))


def _usd() -> ColumnElement[float]:
    """NULL where it is not known. A float: for statistics alone."""
    return cast(calls.c.cost_usd, Double) + cast(calls.c.wasted_usd, Double)


def _seconds() -> ColumnElement[float]:
    return func.coalesce(calls.c.first_token_seconds, calls.c.seconds)
