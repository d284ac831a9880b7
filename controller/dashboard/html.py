"""A page as HTML that needs no script: every text is escaped here, and nowhere else. Pure."""

from collections.abc import Iterator
from html import escape

from controller.dashboard.view import MENU, Page, Table


def as_html(page: Page) -> str:
    return "\n".join(_lines(page)) + "\n"


def _lines(page: Page) -> Iterator[str]:
    yield '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{escape(page.title)} · Pointsman</title>"
    yield '<link rel="stylesheet" href="/static/dashboard.css"></head>\n<body>'
    yield '<a class="skip" href="#main">Skip to content</a>'
    yield '<header><strong>Pointsman</strong><nav aria-label="Pages">'
    for path, name in MENU:
        here = ' aria-current="page"' if path == page.path else ""
        yield f'<a href="{path}"{here}>{name}</a>'
    yield f'</nav></header>\n<main id="main"><h1>{escape(page.title)}</h1>'
    for warning in page.warnings:
        yield f'<p class="warning">{escape(warning)}</p>'
    if page.facts:
        rows = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in page.facts)
        yield f"<dl>{rows}</dl>"
    for table in page.tables:
        yield from _table(page, table)
    yield "</main>\n</body></html>"


def _table(page: Page, table: Table) -> Iterator[str]:
    name = escape(table.name)
    yield f'<section aria-labelledby="{name}"><h2 id="{name}">{escape(table.title)}</h2>'
    if not table.rows:
        yield f'<p class="empty">{escape(table.empty)}</p></section>'
        return
    yield f'<div class="wide" tabindex="0" role="region" aria-labelledby="{name}"><table><thead><tr>'
    yield "".join(f'<th scope="col">{escape(word)}</th>' for word in table.head) + "</tr></thead><tbody>"
    for row in table.rows:
        yield "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>"
    yield f'</tbody></table></div><p><a href="{escape(page.path)}?table={name}">{escape(table.title)} as CSV</a></p>'
    yield "</section>"
