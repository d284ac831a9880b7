"""What a sidecar knows of the calls that feedback is about: bounded, and each source and kind heard once."""

from schemas.record import Feedback
from sidecar.routing.answered import KEPT, MAX_WORDS, Answer, Answered
from tests.fakes.records import record


def said(call: str, source: str = "", score: float = 1.0) -> Feedback:
    return Feedback(call=call, at="2026-11-26T07:00:00.000Z", sidecar="s-1", score=score, source=source)


def test_the_first_word_of_each_source_counts_and_the_latest_is_shown() -> None:
    answered = Answered()
    answered.note(record("a"))
    assert answered.first_word(said("a")) == Answer("chat", "alpha", "")
    assert answered.first_word(said("a", score=0.0)) is None
    assert answered.first_word(said("a", "bot")) is not None
    assert [(one.source, one.score) for one in answered.said_of("a")] == [("", 0.0), ("bot", 1.0)]
    assert answered.first_word(said("b")) is None
    assert answered.said_of("b") == []


def test_a_call_without_an_answer_has_nothing_to_be_said_of() -> None:
    answered = Answered()
    answered.note(record("a", "throttled", usage=None, cost_usd=None))
    assert answered.get("a") is None


def test_what_is_kept_is_bounded() -> None:
    answered = Answered()
    for number in range(KEPT + 1):
        answered.note(record(str(number)))
    assert (answered.get("0"), answered.get("1") is None) == (None, False)
    heard = [answered.first_word(said("1", str(number))) for number in range(MAX_WORDS + 1)]
    assert [answer is not None for answer in heard] == [True] * MAX_WORDS + [False]
