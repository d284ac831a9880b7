"""A chart as SVG: nothing is told by colour alone, and its title names what the table beside it holds too. Pure."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from html import escape
from typing import Final

from controller.plots.charts import Band, Chart, Intervals, Lines, Mark, Scatter, Stack
from controller.plots.pieces import ROW, WIDTH, Scale, axis, dollars, labels, scale, short, svg, text, ticks

LEFT: Final = 64
RIGHT: Final = WIDTH - 16
TOP: Final = 16
BOTTOM: Final = 220
LEGEND_ROW: Final = 22
LINE: Final = 16
"""Between two texts, one above the other."""
NAMED_DAYS: Final = 7
HATCHES: Final = (
    "", "M-2,2 l4,-4 M0,8 l8,-8 M6,10 l4,-4", "M4,0 v8", "M0,4 h8", "M-2,6 l4,4 M0,0 l8,8 M6,-2 l4,4",
    "M4,0 v8 M0,4 h8",
)  # fmt: skip
"""Of each series, in squares of 8 pixels: who sees no colours tells them apart by these."""


def drawn(chart: Chart, name: str) -> str:
    """
    Args:
        name: unlike that of any other chart of the page.
    """
    match chart:
        case Stack():
            return _stack(chart, name)
        case Lines():
            return _lines(chart)
        case Intervals():
            return _intervals(chart)
        case Scatter():
            return _scatter(chart)
        case Band():
            return _band(chart)


def _stack(chart: Stack, name: str) -> str:
    totals = [sum(values) for values in zip(*(values for _, values in chart.series), strict=True)]
    top = max(totals, default=0) or 1.0
    y, wide = scale(0, top * 1.05, BOTTOM, TOP), (RIGHT - LEFT) / len(chart.days)
    parts = [_hatches(name, len(chart.series)), *_heights(y, 0, top), _base(), *_days(chart.days)]
    below = [0.0] * len(chart.days)
    for number, (_, values) in enumerate(chart.series):
        bars = []
        for day, value in enumerate(values):
            if value > 0:
                start, end = y(below[day]), y(below[day] + value)
                bars.append(
                    f"M{LEFT + wide * (day + 0.1):.1f},{end:.1f}h{wide * 0.8:.1f}V{start:.1f}h-{wide * 0.8:.1f}z"
                )
                below[day] += value
        parts += _painted(name, number, f'<path d="{"".join(bars)}"', bars)
    for number, (label, values) in enumerate(chart.series):
        place = _legend(number)
        parts += _painted(name, number, f'<rect x="{LEFT}" y="{place - 11}" width="14" height="14"', "legend")
        parts.append(text(LEFT + 22, place, short(label, 60), "start"))
        parts.append(text(RIGHT, place, f"{sum(values):,.6g} {chart.unit}".strip(), "end", "number"))
    return svg(_legend(len(chart.series)), chart.title, parts)


def _painted(name: str, number: int, shape: str, there: object) -> Iterator[str]:
    """The shape in its colour, and again in its hatch."""
    if not there:
        return
    kind = number % len(HATCHES)
    yield f'{shape} class="s{kind}"/>'
    if HATCHES[kind]:
        yield f'{shape} fill="url(#{name}-{kind})"/>'


def _hatches(name: str, series: int) -> str:
    return "".join(
        f'<pattern id="{name}-{kind}" width="8" height="8" patternUnits="userSpaceOnUse">'
        f'<path class="hatch" d="{HATCHES[kind]}"/></pattern>'
        for kind in range(1, min(series, len(HATCHES)))
    )


def _lines(chart: Lines) -> str:
    known = [value for _, values in chart.series for value in values if value is not None]
    top = max(known, default=0) or 1.0
    y, wide = scale(0, top * 1.05, BOTTOM, TOP), (RIGHT - LEFT) / len(chart.days)
    parts = [*_heights(y, 0, top), _base(), *_days(chart.days)]
    for number, (label, values) in enumerate(chart.series):
        places = [None if value is None else (LEFT + wide * (day + 0.5), y(value)) for day, value in enumerate(values)]
        parts.append(f'<path class="line l{number}" d="{_way(places)}"/>')
        parts += [_mark(number, *place) for place in places if place is not None]
        at = _legend(number)
        parts.append(f'<path class="line l{number}" d="M{LEFT},{at - 4}h32"/>' + _mark(number, LEFT + 16, at - 4))
        parts.append(text(LEFT + 42, at, f"{label}, {chart.unit}" if chart.unit else label, "start"))
    return svg(_legend(len(chart.series)), chart.title, parts)


def _way(places: Iterable[tuple[float, float] | None]) -> str:
    way, is_begun = [], False
    for place in places:
        if place is not None:
            way.append(f"{'L' if is_begun else 'M'}{place[0]:.1f},{place[1]:.1f}")
        is_begun = place is not None
    return "".join(way)


def _mark(number: int, x: float, y: float) -> str:
    """A disc in the first line, a square in the next."""
    if number % 2:
        return f'<rect class="l{number}" x="{x - 3:.1f}" y="{y - 3:.1f}" width="6" height="6"/>'
    return f'<circle class="l{number}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>'


def _intervals(chart: Intervals) -> str:
    ends = [end for row in chart.rows for end in (row.low, row.high, row.middle)]
    low, high = min(*ends, -(chart.margin or 0.0), 0.0), max(*ends, 0.0)
    pad = (high - low) * 0.06 or 0.01
    left, right, bottom = 200, WIDTH - 190, 36 + ROW * len(chart.rows)
    x = scale(low - pad, high + pad, left, right)
    parts = [axis(x, low - pad, high + pad, bottom, _points)]
    parts.append(f'<line class="zero" x1="{x(0):.1f}" x2="{x(0):.1f}" y1="24" y2="{bottom}"/>')
    parts.append(text(x(0) + 4, 16, "equal", "start", "quiet"))
    if chart.margin is not None:
        at = x(-chart.margin)
        parts.append(f'<line class="margin" x1="{at:.1f}" x2="{at:.1f}" y1="24" y2="{bottom}"/>')
        parts.append(text(at - 4, 16, f"margin {_points(-chart.margin)}", "end", "quiet"))
    for number, row in enumerate(chart.rows):
        y = 44 + ROW * number
        parts.append(text(8, y + 4, short(row.name), "start"))
        parts.append(f'<line class="{row.kind}" x1="{x(row.low):.1f}" x2="{x(row.high):.1f}" y1="{y}" y2="{y}"/>')
        parts.append(f'<circle class="{row.kind}" cx="{x(row.middle):.1f}" cy="{y}" r="4"/>')
        parts.append(text(WIDTH - 8, y + 4, row.words, "end", "number"))
    caption = text((left + right) / 2, bottom + 36, "points", "middle", "quiet")
    return svg(bottom + 44, chart.title, parts, caption)


def _scatter(chart: Scatter) -> str:
    costs, heights = [mark.cost for mark in chart.marks], [mark.quality for mark in chart.marks]
    bottom, dearest = 330, max(costs) * 1.08 or 1.0
    tall = max(max(heights) - min(heights), 0.02)
    y_low, y_high = max(0.0, min(heights) - 0.15 * tall), min(1.0, max(heights) + 0.15 * tall)
    x, y = scale(0, dearest, LEFT, RIGHT), scale(y_low, y_high, bottom, 24)
    parts = [axis(x, 0, dearest, bottom, dollars)]
    for value in ticks(y_low, y_high):
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>')
        parts.append(text(LEFT - 8, y(value) + 4, f"{100 * value:g} %", "end", "quiet"))
    best = sorted((mark for mark in chart.marks if mark.is_best), key=lambda mark: mark.cost)
    way = " ".join(f"{x(mark.cost):.1f},{y(mark.quality):.1f}" for mark in best)
    parts.append(f'<polyline class="hull" points="{way}"/>')
    parts += [_model(mark, x, y) for mark in chart.marks]
    parts += labels([(mark.name, x(mark.cost), y(mark.quality)) for mark in chart.marks], LEFT, RIGHT, 24, bottom)
    return svg(bottom + 48, chart.title, parts, text((LEFT + RIGHT) / 2, bottom + 40, "USD", "middle", "quiet"))


def _model(mark: Mark, x: Scale, y: Scale) -> str:
    """A disc on the line of the best, a square below it."""
    across, down = x(mark.cost), y(mark.quality)
    title = f"<title>{escape(f'{mark.name}: {mark.quality:.1%} at {dollars(mark.cost)} USD')}</title>"
    if mark.is_best:
        return f'<circle class="hull" cx="{across:.1f}" cy="{down:.1f}" r="5">{title}</circle>'
    return f'<rect class="beaten" x="{across - 4.5:.1f}" y="{down - 4.5:.1f}" width="9" height="9">{title}</rect>'


def _band(chart: Band) -> str:
    times = [datetime.fromisoformat(moment.at).timestamp() for moment in chart.moments]
    ends = [end for moment in chart.moments for end in (moment.low, moment.high)]
    low, high = min(*ends, -chart.margin, 0.0), max(*ends, 0.0)
    pad = (high - low) * 0.06
    right = RIGHT - 96
    y = scale(low - pad, high + pad, BOTTOM, TOP)
    first, last = times[0], max(times[-1], times[0] + 60)
    places = [scale(first, last, LEFT, right)(at) for at in times]
    parts = [*_heights(y, low - pad, high + pad, _points), _base(right)]
    upper = [f"{x:.1f},{y(moment.high):.1f}" for x, moment in zip(places, chart.moments, strict=True)]
    lower = [f"{x:.1f},{y(moment.low):.1f}" for x, moment in zip(places, chart.moments, strict=True)]
    parts.append(f'<polygon class="band" points="{" ".join([*upper, *reversed(lower)])}"/>')
    parts += [f'<polyline class="edge" points="{" ".join(edge)}"/>' for edge in (upper, lower)]
    if len(places) == 1:
        # A band of one look has no width: its interval is a line.
        (moment,) = chart.moments
        across, up, down = places[0], y(moment.high), y(moment.low)
        parts.append(f'<line class="open" x1="{across:.1f}" x2="{across:.1f}" y1="{up:.1f}" y2="{down:.1f}"/>')
    middle = [(x, y(moment.middle)) for x, moment in zip(places, chart.moments, strict=True)]
    parts.append(f'<path class="line l0" d="{_way(middle)}"/>' + _mark(0, *middle[-1]))
    apart = max(0.0, LINE - (y(-chart.margin) - y(0))) / 2
    for value, kind, words, aside in (
        (0.0, "zero", "equal", -apart), (-chart.margin, "margin", f"margin {_points(-chart.margin)}", apart)
    ):  # fmt: skip
        parts.append(f'<line class="{kind}" x1="{LEFT}" x2="{right}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>')
        parts.append(text(right + 6, y(value) + 4 + aside, words, "start", "quiet"))
    for at, anchor, moment in ((LEFT, "start", chart.moments[0]), (right, "end", chart.moments[-1])):
        parts.append(text(at, BOTTOM + 18, moment.at.replace("T", " "), anchor, "quiet"))
    return svg(BOTTOM + 28, chart.title, parts)


def _heights(
    y: Scale, low: float, high: float, words: Callable[[float], str] = lambda value: f"{value:,.6g}"
) -> Iterator[str]:
    for value in ticks(low, high, 5):
        yield f'<line class="grid" x1="{LEFT}" x2="{RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>'
        yield text(LEFT - 8, y(value) + 4, words(value), "end", "quiet")


def _base(right: float = RIGHT) -> str:
    return f'<line class="axis" x1="{LEFT}" x2="{right}" y1="{BOTTOM}" y2="{BOTTOM}"/>'


def _days(days: Sequence[str]) -> Iterator[str]:
    wide, every = (RIGHT - LEFT) / len(days), -(-len(days) // NAMED_DAYS)
    for number, day in enumerate(days):
        if number % every == 0:
            yield text(LEFT + wide * (number + 0.5), BOTTOM + 18, day[5:], "middle", "quiet")


def _legend(number: int) -> float:
    return BOTTOM + 46 + LEGEND_ROW * number


def _points(share: float) -> str:
    return f"{100 * share:+.3g}" if share else "0"
