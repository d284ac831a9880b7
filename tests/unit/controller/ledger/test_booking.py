from collections.abc import Callable
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.ledger.booking import day_of, entry_of, faults_of, is_unpriced, postings_of
from schemas.record import AttemptRecord, CallRecord, Usage

MakeRecord = Callable[..., CallRecord]


def attempt(outcome: str, usage: Usage | None = None, cost_usd: Decimal | None = None) -> AttemptRecord:
    return AttemptRecord(
        model="m", provider="p", reason="primary", outcome=outcome, seconds=1.0, usage=usage, cost_usd=cost_usd
    )


@pytest.mark.parametrize(
    ("at", "day"),
    [
        ("2026-11-02T23:59:59.999Z", "2026-11-02"),
        ("2026-11-02T23:59:59.999-01:00", "2026-11-03"),
        ("2026-11-03T00:30:00+01:00", "2026-11-02"),
    ],
)
def test_a_call_belongs_to_its_day_in_utc(at: str, day: str) -> None:
    assert day_of(at) == day


@pytest.mark.parametrize(
    ("outcome", "errors"),
    [("ok", 0), ("client_closed", 0), ("unknown_outcome", 0), ("throttled", 1), ("ceiling_spent", 1)],
)
def test_an_error_is_what_a_caller_saw_as_one(make_record: MakeRecord, outcome: str, errors: int) -> None:
    assert entry_of(make_record(outcome=outcome)).errors == errors


@pytest.mark.parametrize(
    ("changes", "unpriced"),
    [
        ({}, False),
        ({"cost_usd": Decimal(0)}, False),
        ({"cost_usd": None}, True),
        ({"cost_usd": None, "usage": None}, True),
        ({"outcome": "unknown_outcome", "cost_usd": None, "usage": None}, True),
        ({"outcome": "unknown_use_case", "cost_usd": None, "usage": None, "attempts": ()}, False),
        ({"outcome": "client_closed", "cost_usd": None, "usage": None, "attempts": ()}, False),
        ({"outcome": "throttled", "cost_usd": None, "usage": None, "attempts": (attempt("throttled"),)}, False),
        ({"attempts": (attempt("stream_cut", Usage(5, 5)), attempt("ok", Usage(5, 5), Decimal(1)))}, True),
    ],
)
def test_unknown_money_is_counted_and_never_taken_for_zero(
    make_record: MakeRecord, changes: dict[str, object], unpriced: bool
) -> None:
    assert is_unpriced(make_record(**changes)) is unpriced


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"id": ""}, "id"),
        ({"id": "x" * 1025}, "id"),
        ({"at": "yesterday"}, "at"),
        ({"at": "2026-11-02T10:00:00"}, "at"),
        ({"at": "0001-01-01T00:00:00+23:00"}, "at"),
        ({"model": "m" * 1025}, "model"),
        ({"usage": Usage(input_tokens=-1)}, "usage.input_tokens"),
        ({"usage": Usage(output_tokens=1 << 62)}, "usage.output_tokens"),
        ({"usage": Usage(cache_write_1h_tokens=-1)}, "usage.cache_write_1h_tokens"),
        ({"usage": Usage(service="s" * 1025)}, "usage.service"),
        ({"cost_usd": Decimal("NaN")}, "cost_usd"),
        ({"wasted_usd": Decimal(-1)}, "wasted_usd"),
        ({"status": -1}, "status"),
        ({"id": "\N{FAMILY}" * 257}, "id"),
        ({"at": "2026-11-02T10:00:00." + "0" * 100 + "Z"}, "at"),
        ({"attempts": (attempt("ok", cost_usd=Decimal("-1")),)}, "attempts[0].cost_usd"),
    ],
)
def test_what_cannot_be_booked_is_named(make_record: MakeRecord, changes: dict[str, object], named: str) -> None:
    assert [fault.split(" ")[0] for fault in faults_of(make_record(**changes))] == [named]


@pytest.mark.parametrize("changes", [{}, {"usage": Usage(5, 5, web_searches=1, service="priority"), "cost_usd": None}])
def test_a_usual_record_has_no_fault(make_record: MakeRecord, changes: dict[str, object]) -> None:
    assert not list(faults_of(make_record(**changes)))


money = st.decimals(min_value=0, max_value=1000, places=12)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    costs=st.lists(st.none() | money, max_size=4), rest=money, cost=st.none() | money, answered=st.booleans(),
    understated=st.booleans(),
)  # fmt: skip
def test_what_is_posted_is_the_record_s_money_to_the_last_digit(
    make_record: MakeRecord,
    costs: list[Decimal | None],
    rest: Decimal,
    cost: Decimal | None,
    answered: bool,
    understated: bool,
) -> None:
    attempts = [attempt("stream_cut", cost_usd=failed) for failed in costs]
    wasted = sum((failed for failed in costs if failed is not None), Decimal(0)) + rest
    record = make_record(
        attempts=(*attempts, attempt("ok", Usage(), cost)) if answered else tuple(attempts),
        usage=Usage() if answered else None,
        cost_usd=cost if answered else None,
        wasted_usd=rest / 2 if understated else wasted,
    )
    postings = list(postings_of(record, team="t", vendors={}))
    assert sum(entry.cost_usd for _, entry in postings) == (record.cost_usd or 0)
    assert sum(entry.wasted_usd for _, entry in postings) == record.wasted_usd
    assert sum(entry.requests for _, entry in postings) == 1
    assert all(entry.wasted_usd >= 0 for _, entry in postings)
