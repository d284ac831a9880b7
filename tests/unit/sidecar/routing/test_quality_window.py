"""When a model's answers have become too bad for it to go first, and when it is let back."""

import random
from decimal import Decimal

import pytest

from sidecar.routing.quality_window import (
    ALARM,
    COOL_DOWN_SECONDS,
    MAX_MODELS,
    SECOND_CHANCE_SECONDS,
    QualityWindow,
    _evidence,
    is_quality_probe,
    lower_bound,
)

BAR = Decimal("0.9")


def feed(window: QualityWindow, answers: str, now: float = 0.0, model: str = "alpha") -> None:
    for answer in answers:
        window.note("chat", model, BAR, score=float(answer == "+"), now=now)


@pytest.mark.parametrize(
    ("passed", "failed", "expected"),
    [(95, 5, 0.83974113), (190, 10, 0.87658487), (480, 20, 0.91909982), (50, 0, 0.87061871), (0, 30, 0.0)],
)
def test_the_lower_bound_is_that_of_the_beta_binomial_sequence(passed: int, failed: int, expected: float) -> None:
    assert lower_bound(passed, failed) == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize("bar", [0.5, 0.8, 0.9, 0.99, 0.995])
def test_at_the_bar_itself_the_sum_does_not_grow(bar: float) -> None:
    assert bar * _evidence(bar, 1.0) + (1 - bar) * _evidence(bar, 0.0) <= 1e-12


def test_a_model_that_fails_time_and_again_falls_and_a_single_failure_is_nothing() -> None:
    window = QualityWindow()
    feed(window, "+" * 500 + "-")
    assert window.fallen("chat") == frozenset()
    feed(window, "-" * 8)
    assert window.fallen("chat") == {"alpha"}
    assert window.all_fallen() == [("chat", "alpha")]
    assert window.fallen("other") == frozenset()


def test_the_fewest_failures_that_make_a_model_fall() -> None:
    window = QualityWindow()
    fewest = int(ALARM // _evidence(0.9, 0.0)) + 1
    feed(window, "-" * (fewest - 1))
    assert window.fallen("chat") == frozenset()
    feed(window, "-")
    assert window.fallen("chat") == {"alpha"}


def test_a_healthy_model_stays_and_one_well_below_the_bar_falls_within_a_hundred_answers() -> None:
    healthy, poor, chance = QualityWindow(), QualityWindow(), random.Random(7)
    for _ in range(10_000):
        feed(healthy, "+" if chance.random() < 0.95 else "-")
    for _ in range(100):
        feed(poor, "+" if chance.random() < 0.7 else "-")
    assert healthy.fallen("chat") == frozenset()
    assert poor.fallen("chat") == {"alpha"}


def test_it_comes_back_after_the_cool_down_once_its_probes_show_it() -> None:
    window = QualityWindow()
    feed(window, "-" * 10)
    feed(window, "+" * 200, COOL_DOWN_SECONDS - 1)
    assert window.fallen("chat") == {"alpha"}, "not before the time"
    feed(window, "+", COOL_DOWN_SECONDS)
    assert window.fallen("chat") == frozenset()


def test_few_good_probes_do_not_bring_it_back_however_long_it_takes() -> None:
    window = QualityWindow()
    feed(window, "-" * 10)
    feed(window, "+" * 20, 100 * COOL_DOWN_SECONDS)
    assert window.fallen("chat") == {"alpha"}


@pytest.mark.parametrize("min_score", ["0", "0.005", "1"])
def test_the_ends_of_the_scale_are_scores_like_any_other(min_score: str) -> None:
    window = QualityWindow()
    for passed in [True, False] * 50:
        window.note("chat", "alpha", Decimal(min_score), score=float(passed), now=0.0)
    assert bool(window.fallen("chat")) is (min_score == "1")


def test_what_is_remembered_is_bounded() -> None:
    window = QualityWindow()
    feed(window, "-" * 10, model="first")
    for number in range(MAX_MODELS):
        feed(window, "+", model=f"m{number}")
    assert window.fallen("chat") == frozenset(), "the one not heard of for longest is forgotten, and trusted again"


def test_about_one_call_in_twenty_is_a_probe() -> None:
    assert 400 <= sum(is_quality_probe(f"pm-{number}") for number in range(10_000)) <= 600


def test_a_mean_score_counts_as_so_many_passed_answers() -> None:
    halves, fine = QualityWindow(), QualityWindow()
    for _ in range(100):
        halves.note("chat", "alpha", BAR, score=0.5, now=0.0, signal="feedback.user")
        fine.note("chat", "alpha", BAR, score=0.95, now=0.0, signal="feedback.user")
    assert halves.fallen("chat") == {"alpha"}
    assert fine.fallen("chat") == frozenset()


def test_each_signal_has_its_own_count_and_a_model_waits_for_all_of_them() -> None:
    window = QualityWindow()
    for _ in range(10):
        window.note("chat", "alpha", BAR, score=0.0, now=0.0, signal="feedback.judge")
        window.note("chat", "alpha", BAR, score=1.0, now=0.0, signal="feedback.user")
    feed(window, "-" * 10)
    assert window.all_fallen() == [("chat", "alpha")]
    feed(window, "+" * 201, COOL_DOWN_SECONDS)
    assert window.fallen("chat") == {"alpha"}, "the judge still has it below the bar"
    for _ in range(201):
        window.note("chat", "alpha", BAR, score=1.0, now=COOL_DOWN_SECONDS, signal="feedback.judge")
    assert window.fallen("chat") == frozenset()


def test_what_fell_by_feedback_is_tried_anew_after_a_day_and_what_fails_its_checks_is_not() -> None:
    window = QualityWindow()
    for signal in ("feedback.user", "checks"):
        for _ in range(10):
            window.note("chat", signal, BAR, score=0.0, now=0.0, signal=signal)
        window.note("chat", signal, BAR, score=1.0, now=SECOND_CHANCE_SECONDS, signal=signal)
    assert window.fallen("chat") == {"checks"}
