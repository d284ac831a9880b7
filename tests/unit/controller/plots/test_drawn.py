"""Charts as SVG: well-formed whatever they are given, with a title, and told apart without colours."""

import re
from xml.etree import ElementTree

import pytest

from controller.plots.charts import Band, Chart, Interval, Intervals, Lines, Mark, Moment, Scatter, Stack
from controller.plots.drawn import drawn

HOSTILE = '"><script>&'
DAYS = [f"2026-11-{day:02}" for day in range(1, 31)]
NONE = [0.0] * 30
SOME = [float(day) for day in range(30)]
CHARTS: dict[str, Chart] = {
    "one day": Stack(HOSTILE, DAYS[:1], [(HOSTILE, [1.0])], "USD"),
    "nothing": Stack("t", DAYS, [("a", NONE), ("b", NONE)]),
    "more series than hatches": Stack("t", DAYS, [(f"{n}", SOME) for n in range(9)]),
    "tiny": Stack("t", DAYS[:2], [("a", [1e-12, 2e-12])]),
    "gaps": Lines(HOSTILE, DAYS[:4], [("p50", [None, 1.0, None, 2.0]), ("p95", [None] * 4)], "seconds"),
    "no time at all": Lines("t", DAYS[:1], [("p50", [0.0])]),
    "intervals": Intervals(HOSTILE, [Interval(HOSTILE, -0.1, 0.0, 0.2, "open", HOSTILE)], 0.02),
    "no width": Intervals("t", [Interval("a", 0.0, 0.0, 0.0, "good", "0")]),
    "free models": Scatter("t", [Mark(HOSTILE, 0.0, 1.0, True), Mark("b", 0.0, 1.0, False)]),
    "no quality": Scatter("t", [Mark("a", 0.1, 0.0, True), Mark("b", 0.2, 0.0, False)]),
    "one look": Band("t", [Moment("2026-11-05T12:00", -0.1, 0.0, 0.1)], 0.03),
    "two looks": Band(HOSTILE, [Moment("2026-11-05T12:00", -1, 0, 1), Moment("2026-11-06T12:00", -0.1, 0, 0.1)], 0.03),
}


@pytest.mark.parametrize("name", CHARTS)
def test_every_chart_is_well_formed_and_has_a_title(name: str) -> None:
    figure = ElementTree.fromstring(drawn(CHARTS[name], "chart"))
    picture = figure.find("svg")
    assert picture is not None
    assert picture.get("role") == "img"
    assert picture.findtext("title") == CHARTS[name].title == picture.get("aria-label")
    assert not re.search(r"nan|inf\b", drawn(CHARTS[name], "chart"))
    assert figure.find(".//script") is None


def test_series_of_a_stack_differ_by_their_hatches_too() -> None:
    figure = ElementTree.fromstring(drawn(Stack("t", DAYS, [(f"{n}", SOME) for n in range(6)]), "chart"))
    ways = [pattern.find("path").get("d") for pattern in figure.iter("pattern")]  # type: ignore[union-attr]
    assert len(set(ways)) == 5, "and the first has none"
    used = {shape.get("fill") for shape in figure.iter("path")} - {None}
    assert used == {f"url(#chart-{n})" for n in range(1, 6)}


def test_bars_stand_on_one_another() -> None:
    figure = ElementTree.fromstring(drawn(Stack("t", DAYS[:1], [("a", [1.0]), ("b", [3.0])]), "chart"))
    bars = [path.get("d", "") for path in figure.iter("path") if path.get("class") in ("s0", "s1")]
    (low, high) = (re.fullmatch(r"M[\d.]+,([\d.]+)h[\d.]+V([\d.]+)h-[\d.]+z", bar) for bar in bars)
    assert low is not None
    assert high is not None
    assert low[1] == high[2], "the second begins where the first ends"
    assert float(low[2]) - float(low[1]) == pytest.approx((float(high[2]) - float(high[1])) / 3, abs=0.1)


def test_a_day_that_is_not_known_is_a_gap_in_the_line() -> None:
    figure = ElementTree.fromstring(drawn(CHARTS["gaps"], "chart"))
    (way, *_) = (path.get("d", "") for path in figure.iter("path") if path.get("class") == "line l0")
    assert (way.count("M"), way.count("L")) == (2, 0)


def test_the_interval_of_a_single_look_is_seen() -> None:
    figure = ElementTree.fromstring(drawn(CHARTS["one look"], "chart"))
    (line,) = (one for one in figure.iter("line") if one.get("class") == "open")
    zero = next(float(one.get("y1", "")) for one in figure.iter("line") if one.get("class") == "zero")
    up, down = zero - float(line.get("y1", "")), float(line.get("y2", "")) - zero
    assert up == pytest.approx(down, abs=0.1)
    assert up > 10, "from -0.1 to 0.1, around no difference"
