"""Figures of two bundles beside each other, by use case, over the calls since a moment."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, and_, case, func, select

from controller.ledger.booking import NOT_ERRORS
from controller.ledger.money import EXACT, usd_sum
from controller.ledger.tables import calls
from controller.ledger.times import time_text
from controller.rollout import Arms, Figures

REFUSALS: Final = frozenset({"ceiling_spent", "limit_reached"})
FALLBACK: Final = '"reason":"fallback"'
"""In an attempt, as the ledger keeps it."""
SLOW: Final = 0.95


def compare(
    connection: Connection, *, trial: str, control: str, since: float, use_cases: Collection[str]
) -> Mapping[str, Arms]:
    """By use case; one that nobody called is missing.

    Args:
        trial: the digest of one bundle; `control`: of the other.
        since: seconds since the epoch, by the clocks of the sidecars.
    """
    found: dict[str, dict[str, Figures]] = defaultdict(dict)
    for (digest, use_case), figures in _sums(connection, (trial, control), since, use_cases).items():
        slow = _slow_seconds(connection, digest, use_case, since)
        found[use_case][digest] = replace(figures, slow_seconds=slow)
    return {
        name: Arms(trial=own.get(trial, Figures()), control=own.get(control, Figures())) for name, own in found.items()
    }


def _sums(
    connection: Connection, digests: tuple[str, str], since: float, use_cases: Collection[str]
) -> dict[tuple[str, str], Figures]:
    fell_back = func.sum(case((calls.c.attempts.contains(FALLBACK, autoescape=True), 1), else_=0))
    is_error = func.sum(case((calls.c.outcome.not_in(NOT_ERRORS | REFUSALS), 1), else_=0))
    refused = func.sum(case((calls.c.outcome.in_(REFUSALS), 1), else_=0))
    statement = (
        select(
            calls.c.bundle, calls.c.use_case, func.count().label("calls"), is_error.label("errors"),
            refused.label("refusals"), fell_back.label("fallbacks"), func.count(calls.c.cost_usd).label("priced"),
            usd_sum(func.coalesce(calls.c.cost_usd, Decimal(0))).label("cost"),
            usd_sum(calls.c.wasted_usd).label("wasted"),
        )
        .where(_since(since), calls.c.bundle.in_(digests), calls.c.use_case.in_(use_cases))
        .group_by(calls.c.bundle, calls.c.use_case)
    )  # fmt: skip
    return {
        (row["bundle"], row["use_case"]): Figures(
            calls=int(row["calls"]), errors=int(row["errors"]), refusals=int(row["refusals"]),
            fallbacks=int(row["fallbacks"]), priced=int(row["priced"]),
            cost_usd=EXACT.add(row["cost"], row["wasted"]),
        )
        for row in connection.execute(statement).mappings()
    }  # fmt: skip


def _slow_seconds(connection: Connection, digest: str, use_case: str, since: float) -> float | None:
    seconds = func.coalesce(calls.c.first_token_seconds, calls.c.seconds)
    good = and_(_since(since), calls.c.bundle == digest, calls.c.use_case == use_case, calls.c.outcome == "ok")
    count = int(connection.execute(select(func.count()).where(good)).scalar_one())
    if not count:
        return None
    place = min(count - 1, int(count * SLOW))
    return float(connection.execute(select(seconds).where(good).order_by(seconds).offset(place).limit(1)).scalar_one())


def _since(seconds: float) -> ColumnElement[Any]:
    at = time_text(seconds)
    return and_(calls.c.day >= at[:10], calls.c.at >= at)
