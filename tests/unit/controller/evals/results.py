"""Rows made for a question: two models whose agreement on a set is known beforehand."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Any

from controller.evals.arms import Arm, gather
from controller.evals.compare import Comparison, compare
from controller.evals.decision import Decision
from controller.evals.rows import Row

OLD, NEW = "old", "new"
Rows = tuple[Row, ...]
FEW = 400
"""Resamples where a test does not look at the interval of costs."""


def two_models(
    both: int, only_new: int, only_old: int, neither: int, *, new_usd: str = "0.005", **fields: Any
) -> tuple[Rows, Rows]:
    """The old model's rows and the new one's; the old costs one cent a sample."""
    outcomes = [(1, 1)] * both + [(0, 1)] * only_new + [(1, 0)] * only_old + [(0, 0)] * neither
    old = [
        Row(sample_id=f"s{i:04}", model=OLD, success=one, cost_usd=Decimal("0.01"), **fields)
        for i, (one, _) in enumerate(outcomes)
    ]
    new = [
        Row(sample_id=f"s{i:04}", model=NEW, success=two, cost_usd=Decimal(new_usd), **fields)
        for i, (_, two) in enumerate(outcomes)
    ]
    return tuple(old), tuple(new)


def changed(rows: Iterable[Row], change: Callable[[int, Row], dict[str, Any]]) -> Rows:
    return tuple(replace(row, **change(index, row)) for index, row in enumerate(rows))


def model_of(rows: Rows, default: str) -> tuple[str, Rows]:
    return (rows[0].model if rows else default), rows


def arms(rows: tuple[Rows, Rows]) -> tuple[Arm, Arm]:
    return gather(*model_of(rows[0], OLD)), gather(*model_of(rows[1], NEW))


def compared(rows: tuple[Rows, Rows], **asked: Any) -> Comparison:
    return compare(*arms(rows), Decision(**asked), resamples=FEW)
