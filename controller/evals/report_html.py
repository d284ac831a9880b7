"""A comparison as one HTML page: it loads nothing, runs no script, and reads in light and dark and on paper. Pure."""

from html import escape

from controller.evals.compare import Comparison
from controller.evals.plots import agreement, forest, quality_by_cost
from controller.evals.report_markdown import heading, sections, title
from controller.html_page import page, sentences, table
from controller.plots.style import STYLE


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
