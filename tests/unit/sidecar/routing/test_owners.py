"""Who keeps the state of an answer: the newest are known, and nothing grows without bound."""

import pytest

from sidecar.routing import owners
from sidecar.routing.owners import Owners


def test_an_answer_is_continued_where_it_was_made() -> None:
    kept = Owners()
    kept.note("resp_1", "gpt-5@openai")
    kept.note("", "gpt-5@azure")
    assert [kept.of(state_id) for state_id in ("resp_1", "resp_2", "", None)] == ["gpt-5@openai", None, None, None]


def test_the_oldest_is_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owners, "KEPT", 2)
    kept = Owners()
    for state_id in ("a", "b", "a", "c"):
        kept.note(state_id, "t")
    assert [kept.of(state_id) for state_id in ("a", "b", "c")] == ["t", None, "t"]
