"""Judges: both orders, verdicts in whatever words they come, and agreement with people."""

from typing import Any

import pytest

from controller.evals.graders.judge import agreement, questions, value_of
from schemas.rules.eval_sample import Message
from schemas.rules.graders import JudgeGrader


def judge(**more: Any) -> JudgeGrader:
    given = {"id": "judge", "kind": "llm_judge", "model": "m", "rubric": "rubric.md", **more}
    return JudgeGrader.model_validate(given)


def test_it_is_asked_in_both_orders() -> None:
    first, second = (
        asked[1]["content"] for asked in questions(judge(mode="beats_target"), "Kind?", "Greet.", "Hi!", "Hello")
    )
    assert first.index("<answer_A>\nHi!") < first.index("<answer_B>\nHello")
    assert second.index("<answer_A>\nHello") < second.index("<answer_B>\nHi!")
    forward, backward = (asked[0]["content"] for asked in questions(judge(), "Kind?", "Greet.", "Hi!", None))
    assert "from 1 (worst) to 5 (best)" in forward
    assert "from 5 (best) to 1 (worst)" in backward


def test_it_is_asked_once_where_order_is_kept() -> None:
    turns = (
        Message(role="system", content="Be kind."),
        Message(role="user", content=({"type": "text", "text": "Hi"},)),
    )
    (asked,) = questions(judge(swap_order=False), "Kind?", turns, "Hello", "Good day")
    assert "[system] Be kind.\n\n[user] Hi" in asked[1]["content"]
    assert "<reference>\nGood day\n</reference>" in asked[1]["content"]


@pytest.mark.parametrize(
    ("more", "verdicts", "value"),
    [
        ({}, ['{"reason": "fine", "score": 5}', '{"reason": "fine", "score": 3}'], 0.75),
        ({}, ["Score: 4", "I say {'x'} score = 4"], 0.75),
        ({}, ['First I thought {"score": 1} but no: {"score": 5}'], 1.0),
        ({}, ['{"score": 6}'], None),
        ({}, ['{"score": 5}', "no idea"], None),
        ({}, ['{"score": true}'], None),
        ({"pass_at": 4}, ['{"score": 5}', '{"score": 3}'], 1.0),
        ({"pass_at": 4}, ['{"score": 4}', '{"score": 3}'], 0.0),
        ({"mode": "beats_target"}, ['{"better": "A"}', '{"better": "B"}'], 1.0),
        ({"mode": "beats_target"}, ['{"better": "B"}', '{"better": "A"}'], 0.0),
        ({"mode": "beats_target"}, ['{"better": "A"}', '{"better": "A"}'], 0.5),
        ({"mode": "beats_target"}, ['{"better": "tie"}', "better: tie"], 0.5),
        ({"mode": "beats_target"}, ['{"better": "A"}', '{"better": "C"}'], None),
    ],
)  # fmt: skip
def test_verdicts_are_read(more: dict[str, Any], verdicts: list[str], value: float | None) -> None:
    assert value_of(judge(**more), verdicts) == value


def test_agreement_is_that_of_the_published_table() -> None:
    """Cohen's kappa of 80 + 10 + 5 + 105 verdicts."""
    judged = [(1.0, True)] * 80 + [(0.75, 2)] * 10 + [(0.25, 5)] * 5 + [(0.0, False)] * 105
    found = agreement(judge(), judged)
    assert found is not None
    assert found.kappa == pytest.approx(0.847716, abs=1e-6)
    assert agreement(judge(), []) is None
