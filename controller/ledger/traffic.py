"""One use case day by day: who answered, why, at what cost, how fast. From sums, and from one index of the calls."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

from sqlalchemy import Connection, and_, func, select

from controller.ledger.money import usd_sum
from controller.ledger.tables import calls, daily

MIDDLE: Final = 0.50
SLOW: Final = 0.95


@dataclass(frozen=True, slots=True)
class Sum:
    """Calls of one day that ended alike, and what they cost."""

    day: str
    model: str
    """Empty: none answered."""
    reason: str
    outcome: str
    calls: int
    unpriced: int
    """Calls among them of whose money some is unknown."""
    cost_usd: Decimal
    wasted_usd: Decimal


@dataclass(frozen=True, slots=True)
class Speed:
    """Of a day's answered calls, in seconds, from the caller's first byte to the last of its answer."""

    calls: int
    middle: float
    slow: float
    """The 95th percentile."""


@dataclass(frozen=True, slots=True)
class Traffic:
    sums: Sequence[Sum]
    """By day."""
    speeds: Mapping[str, Speed]
    """By day; one without an answered call whose record is still kept is missing."""


def traffic_of(connection: Connection, use_case: str, since: date, until: date) -> Traffic:
    """
    Args:
        since, until: days, UTC, both included.
    """
    first, last = since.isoformat(), until.isoformat()
    return Traffic(_sums(connection, use_case, first, last), _speeds(connection, use_case, first, last))


def _sums(connection: Connection, use_case: str, first: str, last: str) -> list[Sum]:
    keys = [daily.c[name] for name in ("day", "model", "reason", "outcome")]
    statement = (
        select(
            *keys, func.sum(daily.c.requests).label("calls"), func.sum(daily.c.unpriced_requests).label("unpriced"),
            usd_sum(daily.c.cost_usd).label("cost_usd"), usd_sum(daily.c.wasted_usd).label("wasted_usd"),
        )
        .where(daily.c.use_case == use_case, daily.c.day.between(first, last))
        .group_by(*keys).order_by(*keys)
    )  # fmt: skip
    return [
        Sum(**{**row, "calls": int(row["calls"]), "unpriced": int(row["unpriced"])})
        for row in connection.execute(statement).mappings()
    ]


def _speeds(connection: Connection, use_case: str, first: str, last: str) -> dict[str, Speed]:
    ours = and_(calls.c.use_case == use_case, calls.c.outcome == "ok", calls.c.day.between(first, last))
    counts = connection.execute(select(calls.c.day, func.count()).where(ours).group_by(calls.c.day))
    return {
        str(day): Speed(int(count), *(_seconds(connection, use_case, day, count, share) for share in (MIDDLE, SLOW)))
        for day, count in counts.all()
    }


def _seconds(connection: Connection, use_case: str, day: str, count: int, share: float) -> float:
    """The smallest time that no less than this share of the calls took at most."""
    ours = and_(calls.c.use_case == use_case, calls.c.outcome == "ok", calls.c.day == day)
    place = min(count - 1, int(count * share))
    statement = select(calls.c.seconds).where(ours).order_by(calls.c.seconds).offset(place).limit(1)
    return float(connection.execute(statement).scalar_one())
