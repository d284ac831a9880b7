"""The plots of the HTML report, as SVG that needs nothing else: colours come from the page's own variables. Pure."""

import math
from collections.abc import Callable, Iterable, Sequence
from html import escape

from controller.evals.compare import Comparison, Models
from controller.evals.quality import Quality
from controller.evals.stats.curves import Point
from controller.evals.verdict import points

WIDTH = 720
LETTER = 7.0
"""Pixels of one letter at 13 px, on the safe side: how much room a text is given."""
ROW = 30
NAME_LETTERS = 26


def forest(comparison: Comparison) -> str:
    """The difference with its interval, over all and by slice, against zero and the margin."""
    quality = comparison.quality
    if quality is None:
        return ""
    rows: list[tuple[str, Quality]] = [("all samples", quality)]
    rows += [(finding.name, finding.quality) for finding in comparison.slices]
    ends = [end for _, row in rows for end in row.interval]
    low, high = min(*ends, -quality.margin, 0.0), max(*ends, 0.0)
    pad = (high - low) * 0.06 or 0.01
    left, right = 200, WIDTH - 190
    x = _scale(low - pad, high + pad, left, right)
    bottom = 36 + ROW * len(rows)
    parts = [_axis(x, low - pad, high + pad, bottom, lambda value: f"{100 * value:+g}" if value else "0")]
    parts.append(f'<line class="zero" x1="{x(0):.1f}" x2="{x(0):.1f}" y1="24" y2="{bottom}"/>')
    parts.append(
        f'<line class="margin" x1="{x(-quality.margin):.1f}" x2="{x(-quality.margin):.1f}" y1="24" y2="{bottom}"/>'
    )
    parts.append(_text(x(-quality.margin) - 4, 16, f"margin -{100 * quality.margin:g}", "end", "quiet"))
    parts.append(_text(x(0) + 4, 16, "equal", "start", "quiet"))
    for index, (name, row) in enumerate(rows):
        y = 44 + ROW * index
        kind = "good" if row.interval.low > -row.margin else "bad" if row.interval.high < -row.margin else "open"
        words = f"{points(row.difference)} ({points(row.interval.low)} to {points(row.interval.high)})"
        parts.append(_text(8, y + 4, _short(name), "start"))
        parts.append(
            f'<line class="{kind}" x1="{x(row.interval.low):.1f}" x2="{x(row.interval.high):.1f}" y1="{y}" y2="{y}"/>'
        )
        parts.append(f'<circle class="{kind}" cx="{x(row.difference):.1f}" cy="{y}" r="{5 if index == 0 else 4}"/>')
        parts.append(_text(WIDTH - 8, y + 4, words, "end", "number"))
    title = f"Difference in points, {comparison.candidate.model} minus {comparison.incumbent.model}"
    return _svg(bottom + 44, title, parts, caption=_text((left + right) / 2, bottom + 36, "points", "middle", "quiet"))


def quality_by_cost(comparison: Comparison) -> str:
    """Every model by what it costs and how good it is, the hull that mixes of them reach, and the cascade."""
    models, cascade = comparison.models, comparison.cascade
    if models is None or len(models.points) < 2:
        return ""
    marks: list[tuple[str, Point, str]] = [
        (name, point, "hull" if name in models.front.hull else "beaten")
        for name, point in sorted(models.points.items())
    ]
    if cascade is not None:
        marks.append((f"cascade by {cascade.checker}", cascade.reached, "good" if cascade.is_lawful else "bad"))
    costs, heights = [p.cost for _, p, _ in marks], [p.quality for _, p, _ in marks]
    if max(costs) <= 0:
        return ""
    top, bottom, left, right = 24, 330, 64, WIDTH - 24
    x_low, x_high = 0.0, max(costs) * 1.08
    tall = max(max(heights) - min(heights), 0.02)
    y_low, y_high = max(0.0, min(heights) - 0.15 * tall), min(1.0, max(heights) + 0.15 * tall)
    x, y = _scale(x_low, x_high, left, right), _scale(y_low, y_high, bottom, top)
    parts = [_axis(x, x_low, x_high, bottom, _dollars)]
    for value in _ticks(y_low, y_high):
        parts.append(f'<line class="grid" x1="{left}" x2="{right}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>')
        parts.append(_text(left - 8, y(value) + 4, f"{100 * value:g} %", "end", "quiet"))
    parts.append(_hull(models, x, y))
    if cascade is not None:
        weak, strong = cascade.ends
        parts.append(
            f'<line class="chord" x1="{x(weak.cost):.1f}" y1="{y(weak.quality):.1f}" '
            f'x2="{x(strong.cost):.1f}" y2="{y(strong.quality):.1f}"/>'
        )
    for name, p, kind in marks:
        words = f"{name}: {p.quality:.1%} at {_dollars(p.cost)} USD"
        mark = f'<circle class="{kind}" cx="{x(p.cost):.1f}" cy="{y(p.quality):.1f}" r="5">'
        parts.append(f"{mark}<title>{escape(words)}</title></circle>")
    parts += _labels([(name, x(point.cost), y(point.quality)) for name, point, _ in marks], left, right, top, bottom)
    caption = _text((left + right) / 2, bottom + 40, "USD per sample", "middle", "quiet")
    title = "Quality and cost of each model on these samples; the line is what the best mixes reach"
    if cascade is not None:
        title += f". Dotted: random mixes of the two, on the {cascade.n:,} samples that tested the cascade"
    return _svg(bottom + 48, title, parts, caption)


def agreement(comparison: Comparison) -> str:
    """On how many samples both, one or neither did well, as one bar."""
    counts = comparison.quality.counts if comparison.quality else None
    if counts is None or not counts.n:
        return ""
    kinds = [
        ("both right", counts.both, "both"),
        (f"only {comparison.candidate.model}", counts.only_candidate, "good"),
        (f"only {comparison.incumbent.model}", counts.only_incumbent, "bad"),
        ("neither", counts.neither, "neither"),
    ]
    parts, start = [], 8.0
    for index, (name, number, kind) in enumerate(kinds):
        width = (WIDTH - 16) * number / counts.n
        parts.append(f'<rect class="{kind}" x="{start:.1f}" y="12" width="{width:.1f}" height="28"/>')
        start += width
        # A line for each, since the bar's parts may be too narrow for words.
        y = 64 + 22 * index
        parts.append(f'<rect class="{kind}" x="8" y="{y - 11}" width="12" height="12"/>')
        parts.append(_text(28, y, _short(name, 60), "start"))
        parts.append(_text(WIDTH - 8, y, f"{number:,} of {counts.n:,}", "end", "number"))
    return _svg(64 + 22 * len(kinds), "On which samples the two agree", parts)


def _hull(models: Models, x: "_Scale", y: "_Scale") -> str:
    corners = [models.points[name] for name in models.front.hull]
    way = " ".join(f"{x(p.cost):.1f},{y(p.quality):.1f}" for p in corners)
    return f'<polyline class="hull" points="{way}"/>'


def _labels(
    marks: Sequence[tuple[str, float, float]], left: float, right: float, top: float, bottom: float
) -> Iterable[str]:
    """Each name beside its mark, moved until it covers no other name and no mark; where no room is left, none."""
    taken = [(x - 7, y - 7, x + 7, y + 7) for _, x, y in marks]
    for name, x, y in sorted(marks, key=lambda mark: (mark[2], mark[1])):
        words = _short(name, 40)
        wide = LETTER * len(words)
        for start, middle in _places(x, y, wide):
            box = (start, middle - 9, start + wide, middle + 7)
            is_inside = left <= start and start + wide <= right and top <= middle <= bottom - 8
            if is_inside and not any(_overlap(box, other) for other in taken):
                taken.append(box)
                yield _text(start, middle + 4, words, "start")
                break


def _places(x: float, y: float, wide: float) -> Iterable[tuple[float, float]]:
    """Right and left of the mark, nearest first."""
    for step in range(12):
        for middle in dict.fromkeys((y - 6 * step, y + 6 * step)):
            yield x + 10, middle
            yield x - 10 - wide, middle


def _overlap(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


_Scale = Callable[[float], float]


def _scale(low: float, high: float, start: float, end: float) -> _Scale:
    return lambda value: start + (value - low) / (high - low) * (end - start)


def _axis(x: _Scale, low: float, high: float, bottom: float, words: Callable[[float], str]) -> str:
    parts = [f'<line class="axis" x1="{x(low):.1f}" x2="{x(high):.1f}" y1="{bottom}" y2="{bottom}"/>']
    for value in _ticks(low, high):
        parts.append(f'<line class="grid" x1="{x(value):.1f}" x2="{x(value):.1f}" y1="24" y2="{bottom}"/>')
        parts.append(_text(x(value), bottom + 18, words(value), "middle", "quiet"))
    return "".join(parts)


def _ticks(low: float, high: float, most: int = 7) -> list[float]:
    """Round numbers within the range, at 1, 2 or 5 times a power of ten."""
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(times * power for times in (1, 2, 5, 10) if times * power >= rough)
    first = math.ceil(low / step - 1e-9)
    digits = max(0, -math.floor(math.log10(step)))
    return [round(index * step, digits) + 0.0 for index in range(first, math.floor(high / step + 1e-9) + 1)]


def _dollars(amount: float) -> str:
    return f"{amount:.6g}"


def _short(name: str, most: int = NAME_LETTERS) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"


def _text(x: float, y: float, words: str, anchor: str, kind: str = "") -> str:
    name = f' class="{kind}"' if kind else ""
    return f'<text{name} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def _svg(height: float, title: str, parts: Iterable[str], caption: str = "") -> str:
    return (
        f'<figure><figcaption>{escape(title)}</figcaption><svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" '
        f'aria-label="{escape(title)}">{"".join(parts)}{caption}</svg></figure>'
    )
