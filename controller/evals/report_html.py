"""A comparison as one HTML page: it loads nothing, runs no script, and reads in light and dark and on paper. Pure."""

from html import escape

from controller.evals.compare import Comparison
from controller.evals.plots import agreement, forest, quality_by_cost
from controller.evals.report_markdown import heading, sections, title
from controller.html_page import page, sentences, table

STYLE = """
svg { width: 100%; height: auto; }
svg text { fill: var(--ink); font: 13px system-ui, sans-serif; paint-order: stroke; stroke: var(--paper);
  stroke-width: 3px; } svg text.quiet { fill: var(--quiet); font-size: 12px; }
svg text.number { font-variant-numeric: tabular-nums; }
svg line.axis { stroke: var(--quiet); } svg line.grid { stroke: var(--line); } svg line.zero { stroke: var(--quiet); }
svg line.margin { stroke: var(--bad); stroke-dasharray: 5 4; }
svg line.chord { stroke: var(--quiet); stroke-dasharray: 2 4; }
svg line.good { stroke: var(--good); stroke-width: 2.5; } svg line.bad { stroke: var(--bad); stroke-width: 2.5; }
svg line.open { stroke: var(--open); stroke-width: 2.5; } svg polyline.hull { fill: none; stroke: var(--blue); }
svg .good { fill: var(--good); } svg .bad { fill: var(--bad); } svg .open { fill: var(--open); }
svg .hull { fill: var(--blue); } svg .beaten { fill: var(--both); } svg .both { fill: var(--both); }
svg .neither { fill: var(--neither); }
"""


def as_html(comparison: Comparison) -> str:
    outcome = comparison.outcome
    plots = {
        "Quality": agreement(comparison),
        "Cost and latency": quality_by_cost(comparison),
    }
    body = [
        f"<h1>{escape(heading(comparison))}</h1>",
        f'<div class="verdict {outcome.verdict}"><strong>{escape(title(comparison))}</strong>'
        f"<p>{escape(outcome.verdict_reason)}</p><p>{escape(outcome.action_reason)}</p></div>",
        forest(comparison),
    ]
    for name, lines, tables in sections(comparison):
        body += [f"<h2>{name}</h2>", sentences(lines), *(table(*one) for one in tables), plots.get(name, "")]
    return page(heading(comparison), body, STYLE)
