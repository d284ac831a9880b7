from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest

from controller.ledger.feedback import ask
from controller.ledger.query import Days, Question
from controller.ledger.retention import delete_all
from controller.ledger.store import Ledger
from schemas.record import CallRecord, Feedback

MakeRecord = Callable[..., CallRecord]


def said(call: str, score: float, *, at: str = "2026-11-03T10:00:00.000Z", **more: Any) -> Feedback:
    return Feedback(call=call, at=at, sidecar="s1", score=score, **more)


def found(ledger: Ledger, *by: str, days: Days = Days()) -> dict[str, Any]:  # noqa: B008
    return ledger.read(lambda connection: ask(connection, Question(by or ("use_case", "model"), days)))


async def test_it_is_joined_to_its_calls_by_kind_whichever_came_first(ledger: Ledger, make_record: MakeRecord) -> None:
    await ledger.book([], [said("call-1", 1.0), said("call-2", 0.25), said("call-3", 1.0, kind="judge")])
    await ledger.book([make_record(1), make_record(2), make_record(3, model="n")], [said("call-9", 0.0)])
    assert found(ledger) == {
        "rows": [
            {"use_case": "support", "model": "m", "kind": "user", "scores": 2, "mean": 0.625, "good": 1},
            {"use_case": "support", "model": "n", "kind": "judge", "scores": 1, "mean": 1.0, "good": 1},
        ],
        "unmatched": 1,
    }
    assert found(ledger, "day", days=Days(since=date(2026, 11, 3)))["rows"] == []


@pytest.mark.parametrize("is_late", [False, True])
async def test_of_each_source_and_kind_the_latest_word_counts_however_it_comes(
    ledger: Ledger, make_record: MakeRecord, is_late: bool
) -> None:
    words = [said("call-1", 1.0), said("call-1", 0.0, at="2026-11-03T11:00:00.000Z"), said("call-1", 1.0, source="b")]
    if is_late:
        words.reverse()
    await ledger.book([make_record(1)], words)
    for word in words:
        await ledger.book([], [word])
    (row,) = found(ledger, "model")["rows"]
    assert (row["scores"], row["mean"], row["good"]) == (2, 0.5, 1)


async def test_it_goes_when_calls_of_its_age_go(ledger: Ledger, make_record: MakeRecord) -> None:
    today = date(2026, 11, 25)
    await ledger.book([make_record(1, at=f"{today}T10:00:00Z")], [said("call-1", 1.0, at=f"{today}T11:00:00Z")])
    for number in range(3):
        await ledger.book([], [said(f"lost-{number}", 1.0, at=f"{today - timedelta(days=9)}T11:00:00Z")])
    assert found(ledger)["unmatched"] == 3
    await delete_all(ledger, 3, today)
    assert found(ledger)["unmatched"] == 0
    assert found(ledger)["rows"][0]["scores"] == 1
