"""What shadows answered, beside what callers were answered: pairs of one request, by use case and by both models."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, and_, case, func, literal, select

from controller.ledger.money import Usd, shown, usd_sum
from controller.ledger.query import Days
from controller.ledger.tables import shadows

BY: Final = ("use_case", "live_model", "model")
NOTHING: Final = literal(Decimal(0), Usd)
_SUMS: Final = ("cost_usd", "live_cost_usd", "failed_usd")


def compare(connection: Connection, days: Days) -> Sequence[Mapping[str, Any]]:
    """For each pair of models: how many were asked and answered; of those that both sides were checked in, whom the
    checks passed; and what pairs whose both prices are known cost. What failed attempts cost stands apart.
    """
    keys = [shadows.c[name] for name in BY]
    answered = shadows.c.outcome == "ok"
    priced = and_(answered, shadows.c.cost_usd.is_not(None), shadows.c.live_cost_usd.is_not(None))
    statement = (
        select(
            *keys,
            func.count().label("asked"),
            _count(answered).label("answered"),
            *(
                _count(and_(shadows.c.live_passed == live, shadows.c.passed == shadow)).label(name)
                for name, live, shadow in (
                    ("both_pass", 1, 1), ("only_live_passes", 1, 0), ("only_shadow_passes", 0, 1), ("none_passes", 0, 0)
                )
            ),
            _count(priced).label("priced"),
            usd_sum(case((priced, shadows.c.cost_usd), else_=NOTHING)).label("cost_usd"),
            usd_sum(case((priced, shadows.c.live_cost_usd), else_=NOTHING)).label("live_cost_usd"),
            usd_sum(shadows.c.wasted_usd).label("failed_usd"),
            func.avg(case((answered, shadows.c.seconds))).label("mean_seconds"),
            func.avg(case((answered, shadows.c.live_seconds))).label("live_mean_seconds"),
        )
        .group_by(*keys)
        .order_by(*keys)
    )  # fmt: skip
    if days.since is not None:
        statement = statement.where(shadows.c.day >= days.since.isoformat())
    if days.until is not None:
        statement = statement.where(shadows.c.day <= days.until.isoformat())
    return [_row(dict(row)) for row in connection.execute(statement).mappings()]


def _count(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.sum(case((condition, 1), else_=0))


def _row(row: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: _figure(name, value) for name, value in row.items()}


def _figure(name: str, value: Any) -> Any:
    if name in BY or value is None:
        return value
    if name in _SUMS:
        return shown(value)
    return round(float(value), 3) if name.endswith("_seconds") else int(value)
