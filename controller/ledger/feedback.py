"""What is said of calls later: the latest word of each source and kind, joined to its call when it is asked for."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, case, func, select

from controller.ledger.booking import day_of, plain
from controller.ledger.database import insert_into
from controller.ledger.query import Question
from controller.ledger.tables import calls, feedback
from schemas.record import Feedback

GOOD: Final = 0.5
"""From here on a score counts as a good one, where yes and no are asked for."""


def keep_feedback(connection: Connection, said: Sequence[Feedback]) -> None:
    """However often it is sent, and in whatever order it comes. Rows are locked in the order of their keys."""
    latest: dict[tuple[str, str, str], Feedback] = {}
    for one in said:
        key = (plain(one.call), plain(one.source), one.kind)
        if key not in latest or one.at > latest[key].at:
            latest[key] = one
    if not latest:
        return
    insert = insert_into(feedback, connection)
    connection.execute(
        insert.on_conflict_do_update(
            index_elements=["call", "source", "kind"],
            set_={name: insert.excluded[name] for name in ("at", "day", "sidecar", "score")},
            where=insert.excluded.at > feedback.c.at,
        ),
        [
            {
                "call": call, "source": source, "kind": kind, "at": plain(one.at), "day": day_of(one.at),
                "sidecar": plain(one.sidecar), "score": one.score,
            }
            for (call, source, kind), one in sorted(latest.items())
        ],
    )  # fmt: skip


def ask(connection: Connection, question: Question) -> dict[str, Any]:
    """`rows`: by the keys and by kind how many scores, their mean, and how many are good; kinds are never mixed.
    `unmatched`: feedback of these days whose call is not in the books.
    """
    keys = [calls.c[name] for name in question.by]
    statement = (
        select(
            *keys, feedback.c.kind, func.count().label("scores"), func.avg(feedback.c.score).label("mean"),
            func.sum(case((feedback.c.score >= GOOD, 1), else_=0)).label("good"),
        )
        .join_from(feedback, calls, calls.c.id == feedback.c.call)
        .group_by(*keys, feedback.c.kind)
        .order_by(*keys, feedback.c.kind)
    )  # fmt: skip
    lost = (
        select(func.count())
        .select_from(feedback.outerjoin(calls, calls.c.id == feedback.c.call))
        .where(calls.c.id.is_(None))
    )
    if question.days.since is not None:
        statement = statement.where(calls.c.day >= question.days.since.isoformat())
        lost = lost.where(feedback.c.day >= question.days.since.isoformat())
    if question.days.until is not None:
        statement = statement.where(calls.c.day <= question.days.until.isoformat())
        lost = lost.where(feedback.c.day <= question.days.until.isoformat())
    rows = [
        {**row, "scores": int(row["scores"]), "mean": round(float(row["mean"]), 6), "good": int(row["good"])}
        for row in connection.execute(statement).mappings()
    ]
    return {"rows": rows, "unmatched": int(connection.execute(lost).scalar_one())}
