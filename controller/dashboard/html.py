"""A page as HTML that needs no script: every text is escaped here, and nowhere else. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from urllib.parse import parse_qsl, urlencode

from controller.dashboard.view import MENU, Field, Form, Page, Table
from controller.plots.drawn import drawn


@dataclass(frozen=True, slots=True)
class Reader:
    """For whom the page is written."""

    name: str
    """Empty: nobody who has signed in."""
    form_key: str
    may_act: bool = False
    query: str = ""
    """Of the page's address: its CSV answers the same question."""


def as_html(page: Page, reader: Reader) -> str:
    return "\n".join(_lines(page, reader)) + "\n"


def _lines(page: Page, reader: Reader) -> Iterator[str]:
    yield '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{escape(page.title)} · Pointsman</title>"
    if any(table.is_live for table in page.tables):
        yield '<script src="/static/live.js" defer></script>'
    yield '<link rel="icon" href="/static/icon.svg" type="image/svg+xml">'
    yield '<link rel="stylesheet" href="/static/dashboard.css"></head>\n<body>'
    yield '<a class="skip" href="#main">Skip to content</a>'
    yield '<header><strong>Pointsman</strong><nav aria-label="Pages">'
    for path, name in MENU:
        here = ' aria-current="page"' if path == page.path else ""
        yield f'<a href="{path}"{here}>{name}</a>'
    yield "</nav>"
    yield from _person(reader)
    yield f'</header>\n<main id="main"><h1>{escape(page.title)}</h1>'
    for warning in page.warnings:
        yield f'<p class="warning">{escape(warning)}</p>'
    if page.facts:
        rows = "".join(_fact(name, value, page.fact_links.get(name, "")) for name, value in page.facts)
        yield f"<dl>{rows}</dl>"
    for form in page.forms:
        if form.method == "get":
            yield from _form(form, reader)
    for table in page.tables:
        yield from _table(page, table, reader)
    for number, (title, text) in enumerate(page.texts):
        yield f'<section><h2 id="text-{number}">{escape(title)}</h2>'
        yield f'<pre tabindex="0" role="region" aria-labelledby="text-{number}">{escape(text)}</pre></section>'
    for form in page.forms:
        if form.method == "post" and (reader.may_act or not form.needs_person):
            yield from _form(form, reader)
    if not reader.may_act and any(form.needs_person for form in page.forms):
        yield f'<p class="empty"><a href="/login?{escape(urlencode({"next": page.path}))}">Sign in</a> to act.</p>'
    yield "</main>\n</body></html>"


def _fact(name: str, value: str, link: str) -> str:
    words = f'<a href="{escape(link)}">{escape(value)}</a>' if link else escape(value)
    return f"<div><dt>{escape(name)}</dt><dd>{words}</dd></div>"


def _person(reader: Reader) -> Iterator[str]:
    if not reader.name:
        yield '<a class="person" href="/login">Sign in</a>'
        return
    yield f'<form class="person" method="post" action="/logout"><span>{escape(reader.name)}</span>'
    yield f"{_key(reader)}<button>Sign out</button></form>"


def _table(page: Page, table: Table, reader: Reader) -> Iterator[str]:
    name = escape(table.name)
    live = f' data-live="{name}"' if table.is_live else ""
    yield f'<section{live}><h2 id="{name}">{escape(table.title)}</h2>'
    if not table.rows:
        yield f'<p class="empty">{escape(table.empty)}</p></section>'
        return
    if table.note:
        yield f"<p>{escape(table.note)}</p>"
    if table.chart is not None:
        words = escape(f"Chart: {table.chart.title}")
        yield f'<div class="wide" tabindex="0" role="region" aria-label="{words}">'
        yield f"{drawn(table.chart, table.name)}</div>"
    yield f'<div class="wide" tabindex="0" role="region" aria-labelledby="{name}"><table><thead><tr>'
    yield "".join(f'<th scope="col">{escape(word)}</th>' for word in table.head) + "</tr></thead><tbody>"
    for number, row in enumerate(table.rows):
        cells = [escape(cell) for cell in row]
        for column, links in ((0, table.links), *table.cell_links.items()):
            if links and links[number]:
                cells[column] = f'<a href="{escape(links[number])}">{cells[column]}</a>'
        yield "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
    yield "</tbody></table></div>"
    query = urlencode([*parse_qsl(reader.query), ("table", table.name)])
    yield f'<p><a href="{escape(page.path)}?{escape(query)}">{escape(table.title)} as CSV</a></p>'
    if table.following:
        yield f'<p><a href="{escape(table.following)}">More</a></p>'
    yield "</section>"


def _form(form: Form, reader: Reader) -> Iterator[str]:
    yield f'<form class="act" method="{form.method}" action="{escape(form.path)}"><fieldset>'
    yield f"<legend>{escape(form.title)}</legend>"
    if form.help:
        yield f"<p>{escape(form.help)}</p>"
    for field in form.fields:
        yield _field(field)
    key = _key(reader) if form.needs_person else ""
    yield f"{key}<button>{escape(form.button)}</button></fieldset></form>"


def _field(field: Field) -> str:
    name, value = escape(field.name), escape(field.value)
    if field.kind == "hidden":
        return f'<input type="hidden" name="{name}" value="{value}">'
    required = " required" if field.is_required else ""
    if field.choices:
        options = "".join(
            f'<option value="{escape(given)}"{" selected" if given == field.value else ""}>{escape(words)}</option>'
            for given, words in field.choices
        )
        return f'<label>{escape(field.label)} <select name="{name}"{required}>{options}</select></label>'
    own = ' autocomplete="current-password"' if field.kind == "password" else ""
    return (
        f'<label>{escape(field.label)} <input type="{field.kind}" name="{name}" value="{value}"{required}{own}></label>'
    )


def _key(reader: Reader) -> str:
    return f'<input type="hidden" name="form_key" value="{escape(reader.form_key)}">'
