"""A comparison as one HTML page: it loads nothing, runs no script, and reads in light and dark and on paper. Pure."""

from collections.abc import Sequence
from html import escape

from controller.evals.compare import Comparison
from controller.evals.plots import agreement, forest, quality_by_cost
from controller.evals.report_markdown import heading, sections, title

STYLE = """
:root { color-scheme: light dark; --ink: #1c2024; --quiet: #5d666f; --paper: #ffffff; --line: #d5dade; --soft: #f4f6f8;
  --good: #1a7f4b; --bad: #b3261e; --open: #8a6100; --both: #7d8b99; --neither: #c6ced6; --blue: #1f5fae; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ec; --quiet: #9aa5b0; --paper: #14171a; --line: #363c43;
  --soft: #1d2125; --good: #4cc38a; --bad: #ff8078; --open: #e3b341; --both: #8493a2; --neither: #3f4851;
  --blue: #79b0f2; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 60rem; background: var(--paper);
  color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; margin: 0 0 1rem; } h2 { font-size: 1.1rem; margin: 2.25rem 0 .5rem; }
.verdict { border-left: .35rem solid var(--open); background: var(--soft); padding: .9rem 1.1rem; }
.verdict.superior, .verdict.non_inferior { border-color: var(--good); } .verdict.inferior { border-color: var(--bad); }
.verdict strong { font-size: 1.2rem; } .verdict p { margin: .4rem 0 0; }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .75rem .3rem 0; border-bottom: 1px solid var(--line); text-align: right;
  overflow-wrap: normal; }
th:first-child, td:first-child { text-align: left; } th { color: var(--quiet); font-weight: 600; }
figure { margin: 1.5rem 0; } figcaption { color: var(--quiet); margin-bottom: .35rem; } 
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
    for name, sentences, tables in sections(comparison):
        body.append(f"<h2>{name}</h2>")
        if sentences:
            body.append("<ul>" + "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences) + "</ul>")
        body += [_table(head, rows) for head, rows in tables]
        body.append(plots.get(name, ""))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(heading(comparison))}</title><style>{STYLE}</style></head>\n<body>\n"
        + "\n".join(part for part in body if part)
        + "\n</body></html>\n"
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    cells = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    lines = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{cells}</tr></thead><tbody>{lines}</tbody></table></div>'
