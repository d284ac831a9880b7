"""What a canary's step is judged by, as the books have it."""

from collections.abc import Callable
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy.event import listen

from controller.canaries.state import Canary, begun
from controller.canaries.terms import Signal
from controller.evals.canary_figures import Figures, Minute, Sums
from controller.ledger.canary import MIN_PRICED, figures_of, progress_of
from controller.ledger.store import Ledger
from schemas.record import AttemptRecord, CallRecord, Feedback
from tests.fakes.canaries import terms

MakeRecord = Callable[..., CallRecord]
CANARY = begun(terms(), now=1793880000.0)
"""At 2026-11-05T12:00:00Z."""
AT, LATER, BEFORE = "2026-11-05T12:00:00.000Z", "2026-11-05T12:03:59.999Z", "2026-11-05T11:59:59.999Z"
GOOD, BAD_JSON, CUT = {"complete": "pass", "json_valid": "pass"}, {"json_valid": "fail"}, {"complete": "fail"}


def tried(model: str, outcome: str = "ok", reason: str = "canary") -> AttemptRecord:
    return AttemptRecord(model=model, provider="p", reason=reason, outcome=outcome, seconds=0.1)


async def figures(
    ledger: Ledger, make_record: MakeRecord, calls: list[dict[str, Any]], canary: Canary = CANARY
) -> Figures:
    """Of calls that are the candidate's own good answers, but for what each says."""
    await ledger.book([
        make_record(number, **{
            "at": AT, "conversation": f"c-{number}", "steering": canary.reason, "arm": "new", "model": "new",
            "quality": GOOD, "attempts": (tried("new"),),
        } | call)
        for number, call in enumerate(calls)
    ])  # fmt: skip
    return ledger.read(lambda connection: figures_of(connection, canary))


FELL_BACK = {"model": "m", "attempts": (tried("new", "overloaded"), tried("m", reason="fallback"))}
BETTER = {"model": "big", "attempts": (tried("new", "below_bar"), tried("big", reason="quality_escalation.json_valid"))}
FAILED = {"outcome": "server_fault", "attempts": (tried("new", "server_fault"),), "cost_usd": None, "quality": {}}


CASES: list[tuple[dict[str, Any], int, int, dict[str, int]]] = [
    ({}, 1, 1, {"timed": 1}),
    ({"quality": BAD_JSON}, 1, 0, {"timed": 1, "invalid": 1}),
    ({"quality": CUT}, 1, 0, {"timed": 1, "cut_or_refused": 1}),
    ({"quality": BAD_JSON | CUT | {"tool_calls_valid": "pass"}}, 1, 0, {"timed": 1, "invalid": 1, "cut_or_refused": 1}),
    # No check applied: nothing is known of the answer, which is neither good nor bad.
    ({"quality": {}}, 0, 0, {"timed": 1}),
    # Whoever answers in its place, the lot was the candidate's.
    (FELL_BACK, 1, 0, {"errors": 1}),
    (FELL_BACK | {"quality": BAD_JSON}, 1, 0, {"errors": 1}),
    (BETTER, 1, 0, {"invalid": 1}),
    (FAILED, 1, 0, {"errors": 1, "priced": 0}),
    # What says nothing of it: its caller left, nobody knows, it was not asked, another was faster.
    ({"outcome": "client_closed"}, 0, 0, {"tried": 0}),
    ({"outcome": "unknown_outcome"}, 0, 0, {"tried": 0}),
    ({"outcome": "limit_reached", "attempts": ()}, 0, 0, {"tried": 0}),
    ({"model": "m", "attempts": (tried("m", reason="sticky"),)}, 0, 0, {"tried": 0}),
    ({"model": "m", "attempts": (tried("new", "hedge_lost"), tried("m"))}, 0, 0, {"tried": 0}),
]
"""A call; whether it says how good the candidate is, and that it is good; what its minute counts."""


async def test_what_one_call_says_of_the_candidate(ledger: Ledger, make_record: MakeRecord) -> None:
    """Each in a use case of its own."""
    await figures(ledger, make_record, [{"use_case": f"case-{number}"} | case[0] for number, case in enumerate(CASES)])
    for number, (call, said, good, counts) in enumerate(CASES):
        canary = begun(terms(use_case=f"case-{number}"), now=CANARY.since)
        side = ledger.read(lambda connection, canary=canary: figures_of(connection, canary)).candidate  # type: ignore[misc]
        sums = side.sums
        assert (side.drawn, sums.calls, sums.good, sums.conversations) == (1, said, good, said), call
        (found,) = side.minutes.values()
        expected = {
            "tried": 1, "errors": 0, "invalid": 0, "cut_or_refused": 0, "timed": 0, "slow": 0, "priced": 1
        } | counts  # fmt: skip
        assert {name: getattr(found, name) for name in expected} == expected, call


async def test_only_calls_of_this_step_count_each_on_its_own_side(ledger: Ledger, make_record: MakeRecord) -> None:
    control = {"arm": "m", "model": "m", "attempts": (tried("m", reason="primary"),)}
    found = await figures(ledger, make_record, [
        {"conversation": "one"}, {"conversation": "one", "quality": BAD_JSON}, {"conversation": "one", "at": LATER},
        {"conversation": "two", "quality": {}}, {"conversation": "three"},
        control, control | {"wasted_usd": Decimal("0.0008")},
        {"arm": "third", "model": "third"},
        # Of another step, of an older sidecar, before this step, of another use case, where no lot was drawn.
        {"steering": "canary new at 1 % (step 9): so"}, {"steering": ""}, {"at": BEFORE}, {"use_case": "chat"},
        {"arm": "", "model": "m"},
    ])  # fmt: skip
    assert found.candidate.drawn == 3
    assert found.candidate.sums == Sums(
        conversations=2, calls=4, good=3, good_squared=5, good_times_calls=7, calls_squared=10
    )
    assert found.incumbent.sums == Sums(2, 2, 2, 2, 2, 2)
    assert found.drawn_elsewhere == 1
    (minute,) = found.candidate.minutes.values()
    assert sorted(found.candidate.minutes) == ["2026-11-05T12:00"], "when a conversation began"
    assert (minute.tried, minute.invalid) == (3, pytest.approx(1 / 3)), "each conversation counts once"
    (minute,) = found.incumbent.minutes.values()
    assert minute == Minute(
        tried=2, timed=2, priced=2, usd=pytest.approx(0.0032), usd_bounded=pytest.approx(0.0032),
        usd_bounded_squared=pytest.approx(0.0012**2 + 0.002**2),
    )  # fmt: skip
    assert (found.slow_line, found.cost_bound) == (None, None)


async def test_slow_and_dear_are_what_the_incumbent_is_not(ledger: Ledger, make_record: MakeRecord) -> None:
    control = {"arm": "m", "model": "m", "attempts": (tried("m", reason="primary"),)}
    calls: list[dict[str, Any]] = [
        control | {"seconds": 9.0, "first_token_seconds": 0.1 + 0.02 * number} for number in range(MIN_PRICED)
    ]
    calls += [{"seconds": 3.0, "cost_usd": Decimal("0.1")}, {"seconds": 9.0, "first_token_seconds": 2.9}]
    found = await figures(ledger, make_record, calls)
    assert (found.slow_line, found.cost_bound) == (pytest.approx(1.5 * 2.0), pytest.approx(0.0048))
    (minute,) = found.candidate.minutes.values()
    assert (minute.timed, minute.slow) == (2, 0.0)
    assert (minute.usd, minute.usd_bounded) == (pytest.approx(0.1012), pytest.approx(0.006))
    again = await figures(ledger, make_record, [*calls, {"seconds": 3.1}])
    assert [one.slow for one in again.candidate.minutes.values()] == [1]


async def test_a_call_is_a_success_by_the_signal_that_the_rules_name(ledger: Ledger, make_record: MakeRecord) -> None:
    cases: list[tuple[Signal, dict[str, Any], int, int]] = [
        ("outcome", {"quality": BAD_JSON}, 1, 1),
        ("outcome", {"quality": {}}, 1, 1),
        ("outcome", BETTER, 1, 1),
        ("outcome", FELL_BACK, 1, 0),
        ("feedback", {}, 0, 0),
        ("feedback", {"id": "praised"}, 1, 1),
        ("feedback", {"id": "blamed"}, 1, 0),
        # A fallback's answer is none of the candidate's.
        ("feedback", {"id": "another"} | FELL_BACK, 0, 0),
    ]
    said_of = {"praised": (0.5, 1.0), "blamed": (0.4, 1.0), "another": (1.0,)}
    await ledger.book([], [
        Feedback(call=call, at=AT, sidecar="s1", score=score, source=f"reader-{number}")
        for call, scores in said_of.items() for number, score in enumerate(scores)
    ])  # fmt: skip
    await figures(ledger, make_record, [{"use_case": f"case-{number}"} | case[1] for number, case in enumerate(cases)])
    for number, (signal, call, said, good) in enumerate(cases):
        canary = begun(terms(use_case=f"case-{number}", signal=signal), now=CANARY.since)
        sums = ledger.read(lambda connection, canary=canary: figures_of(connection, canary)).candidate.sums  # type: ignore[misc]
        assert (sums.calls, sums.good) == (said, good), (signal, call)


async def test_of_a_step_without_end_the_newest_calls_are_looked_at_by_the_index_that_is_for_them(
    ledger: Ledger, make_record: MakeRecord
) -> None:
    canary = begun(terms(max_calls=2), now=CANARY.since)
    calls: list[dict[str, Any]] = [{"at": f"2026-11-05T12:00:{number:02}.000Z"} for number in range(12)]
    for number in (0, 1, 2, 3):
        calls[number]["quality"] = BAD_JSON
    sums = (await figures(ledger, make_record, calls, canary)).candidate.sums
    assert (sums.calls, sums.good) == (8, 8)
    if ledger.database.is_shared:
        return
    asked: list[str] = []
    listen(ledger.database.reading, "before_cursor_execute", lambda *seen: asked.append(seen[2]))
    ledger.read(lambda connection: figures_of(connection, canary))
    with ledger.database.reading.connect() as connection:
        selects = [statement for statement in asked if statement.startswith("SELECT")]
        for statement in selects:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", ("",) * statement.count("?")).all()
            assert any("calls_by_steering" in row[-1] for row in plan), plan
    assert len(selects) >= 4


async def test_progress_grows_minute_by_minute_to_what_the_step_is_judged_by(
    ledger: Ledger, make_record: MakeRecord
) -> None:
    minutes = ("2026-11-05T12:00:00.000Z", "2026-11-05T12:01:00.000Z", "2026-11-05T12:03:00.000Z")
    # Conversations of three calls; the third of each begins the next one's minute and is counted with its own.
    said = await figures(ledger, make_record, [
        {"at": minutes[(number // 3 + (number % 3 == 2)) % 3], "conversation": f"c-{number // 3}",
         "arm": "new" if number % 2 else "m", "model": "new" if number % 2 else "m",
         "attempts": (tried("new" if number % 2 else "m"),), "quality": BAD_JSON if number % 5 else GOOD}
        for number in range(60)
    ])  # fmt: skip
    looks = ledger.read(lambda connection: progress_of(connection, CANARY))
    assert [look.minute for look in looks] == [minute[:16] for minute in minutes]
    assert (looks[-1].candidate, looks[-1].incumbent) == (said.candidate.sums, said.incumbent.sums)
    for earlier, later in pairwise(looks):
        assert earlier.candidate.calls <= later.candidate.calls
        assert earlier.incumbent.calls < later.incumbent.calls
