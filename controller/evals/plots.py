"""The plots of the HTML report, as SVG that needs nothing else: colours come from the page's own variables. Pure."""

from html import escape

from controller.evals.compare import Comparison, Models
from controller.evals.quality import Quality
from controller.evals.stats.curves import Point
from controller.evals.verdict import points
from controller.plots.pieces import ROW, WIDTH, Scale, axis, dollars, labels, scale, short, svg, text, ticks


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
    x = scale(low - pad, high + pad, left, right)
    bottom = 36 + ROW * len(rows)
    parts = [axis(x, low - pad, high + pad, bottom, lambda value: f"{100 * value:+g}" if value else "0")]
    parts.append(f'<line class="zero" x1="{x(0):.1f}" x2="{x(0):.1f}" y1="24" y2="{bottom}"/>')
    parts.append(
        f'<line class="margin" x1="{x(-quality.margin):.1f}" x2="{x(-quality.margin):.1f}" y1="24" y2="{bottom}"/>'
    )
    parts.append(text(x(-quality.margin) - 4, 16, f"margin -{100 * quality.margin:g}", "end", "quiet"))
    parts.append(text(x(0) + 4, 16, "equal", "start", "quiet"))
    for index, (name, row) in enumerate(rows):
        y = 44 + ROW * index
        kind = "good" if row.interval.low > -row.margin else "bad" if row.interval.high < -row.margin else "open"
        words = f"{points(row.difference)} ({points(row.interval.low)} to {points(row.interval.high)})"
        parts.append(text(8, y + 4, short(name), "start"))
        parts.append(
            f'<line class="{kind}" x1="{x(row.interval.low):.1f}" x2="{x(row.interval.high):.1f}" y1="{y}" y2="{y}"/>'
        )
        parts.append(f'<circle class="{kind}" cx="{x(row.difference):.1f}" cy="{y}" r="{5 if index == 0 else 4}"/>')
        parts.append(text(WIDTH - 8, y + 4, words, "end", "number"))
    title = f"Difference in points, {comparison.candidate.model} minus {comparison.incumbent.model}"
    return svg(bottom + 44, title, parts, caption=text((left + right) / 2, bottom + 36, "points", "middle", "quiet"))


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
    x, y = scale(x_low, x_high, left, right), scale(y_low, y_high, bottom, top)
    parts = [axis(x, x_low, x_high, bottom, dollars)]
    for value in ticks(y_low, y_high):
        parts.append(f'<line class="grid" x1="{left}" x2="{right}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>')
        parts.append(text(left - 8, y(value) + 4, f"{100 * value:g} %", "end", "quiet"))
    parts.append(_hull(models, x, y))
    if cascade is not None:
        weak, strong = cascade.ends
        parts.append(
            f'<line class="chord" x1="{x(weak.cost):.1f}" y1="{y(weak.quality):.1f}" '
            f'x2="{x(strong.cost):.1f}" y2="{y(strong.quality):.1f}"/>'
        )
    for name, p, kind in marks:
        words = f"{name}: {p.quality:.1%} at {dollars(p.cost)} USD"
        mark = f'<circle class="{kind}" cx="{x(p.cost):.1f}" cy="{y(p.quality):.1f}" r="5">'
        parts.append(f"{mark}<title>{escape(words)}</title></circle>")
    parts += labels([(name, x(point.cost), y(point.quality)) for name, point, _ in marks], left, right, top, bottom)
    caption = text((left + right) / 2, bottom + 40, "USD per sample", "middle", "quiet")
    title = "Quality and cost of each model on these samples; the line is what the best mixes reach"
    if cascade is not None:
        title += f". Dotted: random mixes of the two, on the {cascade.n:,} samples that tested the cascade"
    return svg(bottom + 48, title, parts, caption)


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
        parts.append(text(28, y, short(name, 60), "start"))
        parts.append(text(WIDTH - 8, y, f"{number:,} of {counts.n:,}", "end", "number"))
    return svg(64 + 22 * len(kinds), "On which samples the two agree", parts)


def _hull(models: Models, x: Scale, y: Scale) -> str:
    corners = [models.points[name] for name in models.front.hull]
    way = " ".join(f"{x(p.cost):.1f},{y(p.quality):.1f}" for p in corners)
    return f'<polyline class="hull" points="{way}"/>'
