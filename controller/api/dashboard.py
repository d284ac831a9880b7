"""The dashboard's doors: each page as HTML, with `?format=json` as its values, with `?table=NAME` one table as CSV."""

import asyncio
from datetime import UTC, datetime, timedelta
from importlib import resources
from typing import Final

from aiohttp import web

from controller.api.answers import answer
from controller.dashboard.export import as_csv
from controller.dashboard.fleet import fleet_page
from controller.dashboard.html import as_html
from controller.dashboard.overview import KEYS, overview_page
from controller.dashboard.rollout import rollout_page
from controller.dashboard.view import Page
from controller.errors import ApiError, LedgerUnavailable
from controller.ledger.query import Days, Question, Row, ask
from controller.parts import PARTS, Parts
from schemas.spend import FleetSpend

DAYS: Final = 7
"""Of traffic on the overview, today included."""
HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
CSS: Final = resources.files("controller.dashboard").joinpath("static/dashboard.css").read_text()


async def overview(request: web.Request) -> web.Response:
    parts = request.app[PARTS]
    pointer = parts.publisher.pointer
    spend, sums = await asyncio.to_thread(_books, parts)
    bundle, _ = await asyncio.to_thread(parts.publisher.running_and_earlier)
    page = overview_page("" if pointer is None else pointer.revision, bundle, spend, sums, days=DAYS)
    return _shown(request, page)


async def fleet(request: web.Request) -> web.Response:
    parts = request.app[PARTS]
    return _shown(request, fleet_page(parts.roster.fleet(parts.publisher.pointer)))


async def rollout(request: web.Request) -> web.Response:
    parts = request.app[PARTS]
    return _shown(request, rollout_page(parts.publisher.channel, parts.stages.waits_for, parts.canaries.waits_for))


async def style(request: web.Request) -> web.Response:
    return web.Response(text=CSS, content_type="text/css", headers=HEADERS)


def _books(parts: Parts) -> tuple[FleetSpend | None, list[Row] | None]:
    """None for what cannot be read."""
    since = datetime.fromtimestamp(parts.now(), UTC).date() - timedelta(days=DAYS - 1)
    try:
        question = Question(KEYS, Days(since=since))
        return parts.ledger.spend(), parts.ledger.read(lambda connection: ask(connection, question))
    except LedgerUnavailable:
        return None, None


def _shown(request: web.Request, page: Page) -> web.Response:
    wanted, form = request.query.get("table"), request.query.get("format", "html")
    if wanted is not None:
        for table in page.tables:
            if table.name == wanted:
                return web.Response(text=as_csv(table), content_type="text/csv", headers=HEADERS)
        names = ", ".join(table.name for table in page.tables)
        raise ApiError(400, "bad_query", f"table must be one of {names}, not {wanted[:40]!r}")
    if form == "json":
        return answer(page)
    if form != "html":
        raise ApiError(400, "bad_query", f"format must be html or json, not {form[:40]!r}")
    return web.Response(text=as_html(page), content_type="text/html", headers=HEADERS)
