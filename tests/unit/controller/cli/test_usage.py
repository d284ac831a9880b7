import pytest

from controller.cli.usage import csv_of, text_of


def row(**changes: object) -> dict[str, object]:
    return {
        "use_case": "support", "model": "sonnet", "requests": 1200, "errors": 3, "input_tokens": 1_234_567,
        "output_tokens": 890, "cache_read_tokens": 0, "cache_write_tokens": 0, "reasoning_tokens": 0,
        "cost_usd": "12.3400", "wasted_usd": "0.0000", "shadow_usd": "0.0000", "unpriced_requests": 0,
    } | changes  # fmt: skip


def test_the_dearest_comes_first_and_the_total_last() -> None:
    lines = text_of([row(), row(model="opus", cost_usd="100.5000")], by=["use_case", "model"])
    first, last = lines.splitlines()[2], lines.splitlines()[-1]
    assert first.split() == ["support", "opus", "1,200", "3", "1,234,567", "890", "0", "100.5000", "0.0000"]
    assert last.split() == ["total", "2,400", "6", "2,469,134", "1,780", "0", "112.8400", "0.0000"]
    assert len({len(line) for line in lines.splitlines()}) == 1


def test_days_stay_in_their_order() -> None:
    rows = [row(day="2026-11-01", cost_usd="1.0000"), row(day="2026-11-02", cost_usd="2.0000")]
    lines = text_of(rows, by=["day"]).splitlines()
    assert [line.split()[0] for line in lines[2:4]] == ["2026-11-01", "2026-11-02"]


@pytest.mark.parametrize(
    ("cost_usd", "unpriced", "shown"),
    [
        ("0.0000", 0, "0.0000"),
        ("0.00000025", 0, "< 0.0001"),
        ("1234.5000", 0, "1,234.5000"),
        ("0.0000", 7, "unknown"),
        ("5.0000", 7, "≥ 5.0000"),
    ],
)
def test_unknown_money_never_looks_like_none(cost_usd: str, unpriced: int, shown: str) -> None:
    text = text_of([row(cost_usd=cost_usd, unpriced_requests=unpriced)], by=["use_case", "model"])
    assert f" {shown} " in text.splitlines()[2]
    assert ("unpriced" in text) is (unpriced > 0)


def test_what_shadows_cost_is_a_column_of_its_own_where_there_are_any() -> None:
    rows = [row(), row(model="candidate", requests=0, cost_usd="0.0000", shadow_usd="1.5000")]
    head, *_, last = text_of(rows, by=["model"]).splitlines()
    assert head.split()[-2:] == ["shadow", "USD"]
    assert last.split()[-3:] == ["12.3400", "0.0000", "1.5000"]


def test_no_calls_are_said_in_words() -> None:
    assert text_of([], by=["model"]) == "No calls are booked for these days."


def test_csv_has_every_figure_and_nothing_that_runs() -> None:
    text = csv_of([row(agent="=1+1", cost_usd="0.00000025")], by=["agent", " model"])
    head, line = text.splitlines()
    assert head == (
        "agent,model,requests,errors,input_tokens,output_tokens,cache_read_tokens,cache_write_tokens,reasoning_tokens,"
        "cost_usd,wasted_usd,shadow_usd,unpriced_requests"
    )
    assert line == "'=1+1,sonnet,1200,3,1234567,890,0,0,0,0.00000025,0.0000,0.0000,0"
