from collections.abc import Callable
from datetime import date
from decimal import Decimal

import pytest

from controller.ledger.query import KEYS, BadQuestion, Days, Question, ask, parse_question
from controller.ledger.store import Ledger
from schemas.record import CallRecord

MakeRecord = Callable[..., CallRecord]


@pytest.mark.parametrize(
    ("given", "question"),
    [
        ({}, Question(("use_case", "model"))),
        ({"by": "day, model ,day"}, Question(("day", "model"))),
        ({"by": "team", "since": "2026-11-01"}, Question(("team",), Days(since=date(2026, 11, 1)))),
        ({"by": "team", "until": "2026-11-30", "since": ""}, Question(("team",), Days(until=date(2026, 11, 30)))),
    ],
)
def test_parse_question(given: dict[str, str], question: Question) -> None:
    assert parse_question(**({"by": None, "since": None, "until": None} | given)) == question


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"by": "colour"}, "use_case, model, vendor"),
        ({"by": ""}, "use_case, model, vendor"),
        ({"by": "day; DROP TABLE calls"}, "use_case, model, vendor"),
        ({"since": "last week"}, "2026-11-01"),
        ({"until": "2026-13-01"}, "2026-11-01"),
    ],
)
def test_a_question_that_makes_no_sense_names_what_would(given: dict[str, str], named: str) -> None:
    with pytest.raises(BadQuestion, match=named):
        parse_question(**({"by": None, "since": None, "until": None} | given))


async def test_days_are_inclusive_at_both_ends(ledger: Ledger, make_record: MakeRecord) -> None:
    await ledger.book([make_record(day, at=f"2026-11-{day:02}T12:00:00.000Z") for day in range(1, 6)])
    question = Question(("day",), Days(since=date(2026, 11, 2), until=date(2026, 11, 4)))
    found = ledger.read(lambda connection: ask(connection, question))
    assert [row["day"] for row in found] == ["2026-11-02", "2026-11-03", "2026-11-04"]


@pytest.mark.parametrize("key", KEYS)
async def test_every_key_groups_and_keeps_the_total(ledger: Ledger, make_record: MakeRecord, key: str) -> None:
    other = {} if key in ("team", "day") else {key: "other"}
    await ledger.book([make_record(1), make_record(2, cost_usd=Decimal("0.10")), make_record(3, **other)])
    found = ledger.read(lambda connection: ask(connection, Question((key,))))
    assert len(found) == (2 if other else 1)
    assert sum(int(row["requests"]) for row in found) == 3
    assert sum(Decimal(row["cost_usd"]) for row in found) == Decimal("0.1024")


async def test_rows_come_sorted_by_their_keys_whatever_the_language(ledger: Ledger, make_record: MakeRecord) -> None:
    await ledger.book([make_record(n, use_case=use_case) for n, use_case in enumerate("cäZa-B")])
    found = ledger.read(lambda connection: ask(connection, Question(("use_case", "model"))))
    assert [row["use_case"] for row in found] == ["-", "B", "Z", "a", "c", "ä"]
