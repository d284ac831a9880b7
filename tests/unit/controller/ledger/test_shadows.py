from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from controller.ledger import calls
from controller.ledger.booking import faults_of
from controller.ledger.query import Days, Question, ask
from controller.ledger.retention import delete_all
from controller.ledger.shadows import compare
from controller.ledger.store import Ledger
from schemas.record import CallRecord, Mirrored
from schemas.spend import UseCaseSpend

MakeRecord = Callable[..., CallRecord]
NOON = 1_793_620_800.0
"""2026-11-02T12:00:00Z."""
PASS, FAIL = {"complete": "pass"}, {"complete": "pass", "json_valid": "fail"}


@pytest.fixture
def make_shadow(make_record: MakeRecord) -> MakeRecord:
    def make(number: int = 1, *, live: dict[str, Any] | None = None, **changes: Any) -> CallRecord:
        sides: dict[str, Any] = {"model": "m", "provider": "p", "seconds": 1.0, "cost_usd": Decimal("0.0012")}
        mirrored = Mirrored(call=f"call-{number}", **sides | (live or {}))
        given: dict[str, Any] = {
            "id": f"call-{number}.shadow", "model": "candidate", "provider": "q", "reason": "shadow", "seconds": 3.0,
            "cost_usd": Decimal("0.001"),
        }  # fmt: skip
        return make_record(number, **given | changes, shadow=mirrored)

    return make


async def test_its_money_is_a_figure_of_its_own_and_nothing_else_of_it_is_counted(
    open_ledger: Callable[..., Ledger], make_record: MakeRecord, make_shadow: MakeRecord
) -> None:
    ledger = open_ledger(now=lambda: NOON)
    failed = make_shadow(2, outcome="first_token_timeout", usage=None, cost_usd=None, wasted_usd=Decimal("0.5"))
    batch = [make_record(1), make_shadow(1), failed]
    receipt = await ledger.book(batch)
    again = await ledger.book(batch)
    assert (receipt.booked, again.booked, again.known) == (3, 0, 3)
    rows = ledger.read(lambda connection: ask(connection, Question(("model",))))
    figures = [(row["model"], row["requests"], row["errors"], row["cost_usd"], row["wasted_usd"], row["shadow_usd"])
               for row in rows]  # fmt: skip
    assert figures == [
        ("candidate", 0, 0, "0.0000", "0.0000", "0.5010"),
        ("m", 1, 0, "0.0012", "0.0000", "0.0000"),
    ]
    assert ledger.read(lambda connection: calls.count(connection, Days())) == 1
    spent = UseCaseSpend(Decimal("0.0012"), Decimal("0.0012"), Decimal("0.501"))
    assert ledger.spend().use_cases == {"support": spent}
    assert open_ledger(now=lambda: NOON).spend().use_cases == {"support": spent}, "as the database says it"
    assert open_ledger(now=lambda: NOON + 86_400).spend().use_cases["support"].shadow_per_day == 0


async def test_pairs_are_compared_by_what_the_checks_said_of_both(ledger: Ledger, make_shadow: MakeRecord) -> None:
    verdicts = [(PASS, PASS), (PASS, PASS), (PASS, FAIL), (FAIL, PASS), (FAIL, FAIL), ({}, PASS)]
    pairs = [
        make_shadow(number, quality=quality, live={"quality": live}) for number, (live, quality) in enumerate(verdicts)
    ]
    broken = make_shadow(90, outcome="throttled", usage=None, cost_usd=None)
    unpriced = make_shadow(91, live={"cost_usd": None})
    await ledger.book([*pairs, broken, unpriced])
    (row,) = ledger.read(lambda connection: compare(connection, Days()))
    assert row == {
        "use_case": "support", "live_model": "m", "model": "candidate", "asked": 8, "answered": 7, "both_pass": 2,
        "only_live_passes": 1, "only_shadow_passes": 1, "none_passes": 1, "priced": 6, "cost_usd": "0.0060",
        "live_cost_usd": "0.0072", "failed_usd": "0.0000", "mean_seconds": 3.0, "live_mean_seconds": 1.0,
    }  # fmt: skip
    assert ledger.read(lambda connection: compare(connection, Days(since=date(2026, 11, 3)))) == []


async def test_old_ones_go_with_the_calls_of_their_age_and_are_not_booked_again(
    ledger: Ledger, make_shadow: MakeRecord
) -> None:
    today = date(2026, 11, 25)
    old = make_shadow(1, at=f"{today - timedelta(days=9)}T10:00:00Z")
    await ledger.book([old, make_shadow(2, at=f"{today}T10:00:00Z")])
    await delete_all(ledger, 3, today)
    assert [row["asked"] for row in ledger.read(lambda connection: compare(connection, Days()))] == [1]
    assert (await ledger.book([old])).known == 1


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"live": {"model": "x" * 2000}}, "shadow.model is longer than 1024 characters"),
        ({"live": {"cost_usd": Decimal("NaN")}}, "shadow.cost_usd must be a plain amount of US dollars, not NaN"),
        ({"quality": {"x" * 2000: "pass"}}, "quality is longer than 1024 bytes"),
    ],
)
def test_what_cannot_be_booked_is_told(make_shadow: MakeRecord, changes: dict[str, Any], fault: str) -> None:
    assert list(faults_of(make_shadow(**changes))) == [fault]
