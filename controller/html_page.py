"""The frame of an HTML report: loads nothing, runs no script, reads in light and dark, on a phone, on paper. Pure."""

import re
from collections.abc import Sequence
from html import escape
from typing import Final

STYLE: Final = """
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
th, td { padding: .3rem .75rem .3rem 0; border-bottom: 1px solid var(--line); text-align: left;
  vertical-align: top; overflow-wrap: normal; }
.figure { text-align: right; white-space: nowrap; } th { color: var(--quiet); font-weight: 600; }
figure { margin: 1.5rem 0; } figcaption { color: var(--quiet); margin-bottom: .35rem; }
pre { overflow-x: auto; background: var(--soft); padding: .75rem 1rem; font-size: .85rem; overflow-wrap: normal; }
"""
FIGURE: Final = re.compile(r"[-+−±<>≈×$]*\d|[–-]?$|unknown$|none$")
"""How a cell begins that is read from the right; what is not known stands with them."""


def page(title: str, body: Sequence[str], style: str = "") -> str:
    """`body` is HTML; `style` is what the report needs besides."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}{style}</style></head>\n<body>\n"
        + "\n".join(part for part in body if part)
        + "\n</body></html>\n"
    )


def sentences(lines: Sequence[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>" if lines else ""


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns of figures stand at the right."""
    marks = [
        ' class="figure"' if all(FIGURE.match(cell) for cell in column) else "" for column in zip(*rows, strict=True)
    ]
    marks = marks or [""] * len(head)
    cells = "".join(f'<th scope="col"{mark}>{escape(name)}</th>' for name, mark in zip(head, marks, strict=True))
    lines = "".join(
        "<tr>" + "".join(f"<td{mark}>{escape(cell)}</td>" for cell, mark in zip(row, marks, strict=True)) + "</tr>"
        for row in rows
    )
    return f'<div class="wide"><table><thead><tr>{cells}</tr></thead><tbody>{lines}</tbody></table></div>'
