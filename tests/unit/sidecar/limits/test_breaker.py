"""When the shared store is not asked any more."""

from sidecar.limits.breaker import StoreBreaker


def test_five_unanswered_questions_in_a_row_open_it_and_an_answer_closes_it() -> None:
    breaker = StoreBreaker()
    assert [breaker.failed() for _ in range(4)] == [False] * 4
    breaker.answered()
    assert [breaker.failed() for _ in range(6)] == [False] * 4 + [True] * 2
    assert breaker.is_open
    breaker.answered()
    assert not breaker.is_open


def test_probes_are_spread() -> None:
    assert [StoreBreaker.rest_seconds(jitter) for jitter in (0.0, 0.5, 1.0)] == [1.0, 3.0, 5.0]
