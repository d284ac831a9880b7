"""The journal: what it holds survives any end, and what is not its own is refused."""

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.evals.graders.answer import Answer, ToolCall
from controller.evals.run.answers import Answered, as_mapping, parse_answered
from controller.evals.run.journal import Journal, JournalUnusable

FAILED = Answered(call_id="pm-2", ending="model_error", at="2026-11-26T00:00:00.000Z", error="down")
ANSWERED = Answered(
    call_id="pm-1", ending="ok", at="2026-11-26T00:00:00.000Z", provider="p", in_tok=3, cost_usd=Decimal("0.0000001"),
    answer=Answer("Hé", (ToolCall("look", {"at": 1}), ToolCall("look", None)), "tool_calls"),
)  # fmt: skip


@pytest.mark.parametrize("answered", [ANSWERED, FAILED])
def test_a_call_is_read_back_as_it_was_written(answered: Answered) -> None:
    assert parse_answered(as_mapping(answered)) == answered


def written(path: Path) -> bytes:
    with Journal(path) as journal:
        journal.begin({"run_id": "r"})
        journal.end(journal.ask("a", "alpha"), ANSWERED)
        journal.refuse(journal.ask("b", "alpha"))
        journal.end(journal.ask("c", "beta"), FAILED)
        journal.ask("d", "beta")
        journal.forget(["c", "never asked"])
        journal.lose([4], ["pm-9"], [("beta", Decimal("0.5")), ("beta", None)])
        journal.ask("e", "beta")
    return path.read_bytes()


def test_it_goes_on_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "calls"
    written(path)
    with Journal(path) as journal:
        assert journal.identity == {"run_id": "r"}
        assert journal.answered == {"a": ANSWERED}
        assert journal.known_ids == {"pm-1", "pm-2", "pm-9"}
        assert journal.open == {5: ("e", "beta")}
        assert journal.lost == [("beta", Decimal("0.5")), ("beta", None)]
        assert journal.paid == [("alpha", Decimal("0.0000001")), ("beta", None)]
        assert journal.ask("f", "beta") == 6


@settings(max_examples=30)
@given(cut=st.integers(0, 10_000))
def test_cut_anywhere_it_holds_what_was_whole(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    path = tmp_path_factory.mktemp("cut") / "calls"
    whole = written(path)
    part = whole[: cut % (len(whole) + 1)]
    path.write_bytes(part)
    with Journal(path) as journal:
        assert path.read_bytes() == part[: part.rfind(b"\n") + 1]
        journal.ask("z", "alpha")
    with Journal(path) as journal:
        assert "z" in [key for key, _ in journal.open.values()]


@pytest.mark.parametrize("text", ["hello\n", "[]\n", '{"other": 1}\n', '{"answered": 1, "key": "a", "call": {}}\n'])
def test_what_is_no_journal_is_refused_and_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "calls"
    path.write_text(text)
    with pytest.raises(JournalUnusable, match="name another --out"):
        Journal(path)
    assert path.read_text() == text
