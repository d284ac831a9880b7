"""Figures of a trial beside what the others run."""

from collections.abc import Callable
from decimal import Decimal

from controller.ledger.arms import compare
from controller.ledger.store import Ledger
from controller.rollout import Arms, Figures
from schemas.record import AttemptRecord, CallRecord

SINCE = 1793880000.0
"""2026-11-05T12:00:00Z."""
AT, BEFORE = "2026-11-05T12:00:00.000Z", "2026-11-05T11:59:59.999Z"
FELL_BACK = (
    AttemptRecord(model="m", provider="p", reason="primary", outcome="throttled", seconds=0.1),
    AttemptRecord(model="n", provider="p", reason="fallback", outcome="ok", seconds=0.1),
)


async def test_calls_of_both_bundles_are_told_apart_by_use_case_and_by_how_they_ended(
    ledger: Ledger, make_record: Callable[..., CallRecord]
) -> None:
    different: list[dict[str, object]] = [
        {"bundle": "new", "seconds": 1.0, "first_token_seconds": 0.2},
        {"bundle": "new", "outcome": "server_fault", "usage": None, "cost_usd": None, "seconds": 50.0},
        {"bundle": "new", "outcome": "ceiling_spent", "usage": None, "cost_usd": None},
        {"bundle": "new", "attempts": FELL_BACK, "wasted_usd": Decimal("0.0001"), "seconds": 2.0},
        {"bundle": "new", "outcome": "client_closed", "cost_usd": None},
        {"bundle": "old", "seconds": 3.0},
        {"bundle": "old", "use_case": "chat", "seconds": 4.0},
        {"bundle": "old", "at": BEFORE},
        {"bundle": "new", "use_case": "unaffected"},
        {"bundle": "other"},
    ]
    await ledger.book([make_record(number, **({"at": AT} | one)) for number, one in enumerate(different)])
    found = ledger.read(
        lambda connection: compare(connection, trial="new", control="old", since=SINCE, use_cases=["support", "chat"])
    )
    usual = Decimal("0.0012")
    assert found == {
        "support": Arms(
            Figures(
                calls=5, errors=1, refusals=1, fallbacks=1, priced=2, cost_usd=2 * usual + Decimal("0.0001"),
                slow_seconds=2.0,
            ),
            Figures(calls=1, priced=1, cost_usd=usual, slow_seconds=3.0),
        ),
        "chat": Arms(Figures(), Figures(calls=1, priced=1, cost_usd=usual, slow_seconds=4.0)),
    }  # fmt: skip
