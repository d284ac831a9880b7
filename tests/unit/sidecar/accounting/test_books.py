"""From a call to its record, and from an amount to its text."""

from decimal import Decimal

import pytest

from schemas.record import AttemptRecord, Usage
from sidecar.accounting.books import OK, UNKNOWN_OUTCOME, estimated_usage, final_record, provisional_record, usd_text
from sidecar.core.call import Attempt, Call, Outcome
from sidecar.routing.plan import ASSUMED_OUTPUT_TOKENS
from tests.fakes import core_wire as wire
from tests.fakes.core import Core


def call(body: bytes | None = None) -> Call:
    core = Core()
    return core.pipeline.open(core.inbound(body))


def attempt(outcome: str, usd: str | None) -> AttemptRecord:
    cost = None if usd is None else Decimal(usd)
    return AttemptRecord(model="m", provider="p", reason="r", outcome=outcome, seconds=1, cost_usd=cost)


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("0", "0"),
        ("0.0000123", "0.0000123"),
        ("1E-9", "0.000000001"),
        ("100", "100"),
        ("1.500", "1.5"),
        ("1E+3", "1000"),
    ],
)
def test_money_is_written_without_an_exponent(amount: str, text: str) -> None:
    assert usd_text(Decimal(amount)) == text


def test_what_stands_if_the_process_dies_is_the_estimate_and_says_so() -> None:
    made = call()
    made.under_way.append(Attempt(made.plan.steps[0], 0, 0.0))
    record = provisional_record(made, "s-1")
    assert (record.outcome, record.estimated) == (UNKNOWN_OUTCOME, True)
    assert record.attempts[0].outcome == UNKNOWN_OUTCOME
    assert record.cost_usd == record.attempts[0].cost_usd
    assert record.cost_usd is not None
    assert record.usage is not None
    assert record.usage.output_tokens == 50
    assert record.at == "2026-09-21T14:13:20.000Z"


def test_what_stands_of_a_hedged_call_counts_both_attempts() -> None:
    made = call()
    made.under_way += [Attempt(step, number, 0.0) for number, step in enumerate(made.plan.steps)]
    record = provisional_record(made, "s-1")
    assert [one.model for one in record.attempts] == ["alpha", "beta"]
    assert record.model == "beta"
    assert record.cost_usd == record.attempts[1].cost_usd
    assert record.wasted_usd == record.attempts[0].cost_usd


def test_a_call_that_names_no_maximum_is_estimated_at_a_page() -> None:
    made = call(wire.request(max_tokens=None))
    assert estimated_usage(made, made.plan.steps[0].target).output_tokens == ASSUMED_OUTPUT_TOKENS
    assert estimated_usage(made, made.plan.steps[0].target, 7).output_tokens == 7


@pytest.mark.parametrize(
    ("attempts", "usage", "wasted"),
    [
        ([("ok", "0.5")], Usage(1, 1), "0"),
        ([("server_fault", "0.2"), ("ok", "0.5")], Usage(1, 1), "0.2"),
        ([("server_fault", None), ("ok", "0.5")], Usage(1, 1), "0"),
        ([("server_fault", "0.2"), ("server_fault", "0.3")], None, "0.5"),
        ([], None, "0"),
    ],
)
def test_money_of_attempts_whose_answer_nobody_got_is_wasted(
    attempts: list[tuple[str, str | None]], usage: Usage | None, wasted: str
) -> None:
    made = call()
    made.attempts = [attempt(*row) for row in attempts]
    record = final_record(made, "s-1", made.plan.steps[0].target, Outcome(OK, 200, usage), 1.0)
    assert record.wasted_usd == Decimal(wasted)
    assert (record.cost_usd is None) is (usage is None)


def test_a_refusal_has_no_target_and_no_cost() -> None:
    record = final_record(call(), "s-1", None, Outcome("ceiling_spent", 402), 0.1)
    assert (record.model, record.vendor, record.cost_usd) == ("", "", None)
