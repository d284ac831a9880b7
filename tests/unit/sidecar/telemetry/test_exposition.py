"""The Prometheus text format: read back with the official parser, it says what was counted."""

import math
from collections import Counter as Counted

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from sidecar.telemetry.exposition import PIECE_LINES, Counter, CounterRead, Gauge, Histogram, Metric, pieces

BOUNDS = (0.1, 1.0, 10.0)
labels = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\x00"), max_size=8)


def samples(*metrics: Metric) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    text = "".join(pieces(metrics))
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@given(st.lists(st.tuples(labels, st.integers(0, 1000)), max_size=20))
def test_a_counter_adds_up_for_any_label(adds: list[tuple[str, int]]) -> None:
    counter = Counter("x_total", "Things.", ("what",))
    expected: Counted[str] = Counted()
    for label, amount in adds:
        counter.add((label,), amount)
        expected[label] += amount
    assert samples(counter) == {("x_total", (("what", label),)): amount for label, amount in expected.items()}


@given(st.lists(st.floats(0, 100), max_size=30))
def test_a_histogram_counts_and_sums(values: list[float]) -> None:
    histogram = Histogram("x_seconds", "Time.", ("what",), BOUNDS)
    for value in values:
        histogram.observe(("a",), value)
    found = samples(histogram)
    if not values:
        assert found == {}
        return
    for bound in (*BOUNDS, math.inf):
        le = "+Inf" if bound == math.inf else str(bound)
        assert found["x_seconds_bucket", (("le", le), ("what", "a"))] == sum(value <= bound for value in values)
    assert found["x_seconds_count", (("what", "a"),)] == len(values)
    assert found["x_seconds_sum", (("what", "a"),)] == pytest.approx(sum(values))


def test_without_labels_there_are_no_braces_and_a_counter_begins_at_zero() -> None:
    assert (
        "".join(pieces([Counter("x_total", "Things.")]))
        == "# HELP x_total Things.\n# TYPE x_total counter\nx_total 0\n"
    )
    histogram = Histogram("y", "Y.", (), (1.0,))
    histogram.observe((), 0.5)
    assert samples(histogram)["y_bucket", (("le", "1.0"),)] == 1


@pytest.mark.parametrize("value", [0.0, 1.5, -2.0, 1e300, math.inf, -math.inf])
def test_a_gauge_says_any_number(value: float) -> None:
    assert samples(Gauge("x", "X.", (), lambda: {(): value})) == {("x", ()): value}


def test_a_gauge_of_many_says_one_after_another() -> None:
    many = Gauge("x", "X.", ("what",), lambda: (((str(number),), float(number)) for number in range(200)))
    page = pieces([many])
    assert next(page).count("x{") < 200, "it is not all read before the first is told"
    assert samples(many)["x", (("what", "199"),)] == 199


def test_a_gauge_that_is_no_number_does_not_break_the_page() -> None:
    assert math.isnan(samples(Gauge("x", "X.", (), lambda: {(): math.nan}))["x", ()])


def test_a_counter_that_is_kept_elsewhere_is_read_when_it_is_asked_for() -> None:
    lost = {("calls",): 0.0}
    counter = CounterRead("x_total", "Things.", ("what",), lambda: lost)
    lost[("calls",)] = 3.0
    assert "# TYPE x_total counter" in "".join(pieces([counter]))
    assert samples(counter) == {("x_total", (("what", "calls"),)): 3.0}


def test_a_long_page_comes_in_pieces_that_are_the_page() -> None:
    counter = Counter("x_total", "Things.", ("what",))
    for number in range(1_000):
        counter.add((str(number),))
    found = list(pieces([counter]))
    assert len(found) == 1_001 // PIECE_LINES + 1
    assert max(piece.count("x_total{") for piece in found) == PIECE_LINES
    assert len(samples(counter)) == 1_000
