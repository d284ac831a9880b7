"""The dashboard's doors: each page as HTML, with `?format=json` as its values, with `?table=NAME` one table as CSV."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib import resources
from typing import Final, TypeVar

import msgspec
from aiohttp import web
from sqlalchemy import Connection

from controller.api.acts import DEEDS, do
from controller.api.guards import VIEWER
from controller.api.pages import HEADERS, form_of, shown
from controller.dashboard.calls import Wanted, call_page, calls_page
from controller.dashboard.fleet import fleet_page
from controller.dashboard.overview import KEYS, overview_page
from controller.dashboard.rollout import rollout_page
from controller.dashboard.view import Page
from controller.errors import ApiError, LedgerUnavailable
from controller.ledger import calls as ledger_calls
from controller.ledger.query import BadQuestion, Days, Question, Row, ask, parse_days
from controller.parts import PARTS, Parts
from controller.plots.style import STYLE
from schemas.spend import FleetSpend

T = TypeVar("T")

DAYS: Final = 7
"""Of traffic on the overview, today included."""
_STATIC: Final = resources.files("controller.dashboard").joinpath("static")
CSS: Final = _STATIC.joinpath("dashboard.css").read_text() + STYLE
ICON: Final = _STATIC.joinpath("icon.svg").read_text()
LIVE: Final = _STATIC.joinpath("live.js").read_text()


async def overview(request: web.Request) -> web.Response:
    parts = request.app[PARTS]
    pointer = parts.publisher.pointer
    spend, sums = await asyncio.to_thread(_books, parts)
    bundle, _ = await asyncio.to_thread(parts.publisher.running_and_earlier)
    page = overview_page("" if pointer is None else pointer.revision, bundle, spend, sums, days=DAYS)
    return shown(request, page, request[VIEWER])


async def fleet(request: web.Request) -> web.Response:
    parts = request.app[PARTS]
    return shown(request, fleet_page(parts.roster.fleet(parts.publisher.pointer)), request[VIEWER])


async def rollout(request: web.Request) -> web.Response:
    return shown(request, _rollout(request.app[PARTS]), request[VIEWER])


async def act(request: web.Request) -> web.Response:
    """`POST /rollout`: what its forms ask for."""
    parts, viewer = request.app[PARTS], request[VIEWER]
    form = await form_of(request, viewer)
    name = form.pop("act", "")
    try:
        for deed in DEEDS:
            if deed.name == name:
                await do(parts, deed, msgspec.convert(form, deed.kind, strict=False),
                         by=f"{viewer.name} at {request.remote}")  # fmt: skip
                return web.Response(status=303, headers={"Location": "/rollout"})
        raise ApiError(400, "malformed", f"act must be one of {', '.join(deed.name for deed in DEEDS)}")
    except msgspec.ValidationError as error:
        return shown(request, _rollout(parts, str(error)), viewer, status=400)
    except ApiError as error:
        return shown(request, _rollout(parts, error.message), viewer, status=error.status)


async def calls(request: web.Request) -> web.Response:
    """`GET /calls?since=…&until=…&use_case=…&model=…&outcome=…`: newest first."""
    given = request.query
    try:
        days = parse_days(since=given.get("since"), until=given.get("until"))
        before = ledger_calls.parse_cursor(given.get("after"))
    except BadQuestion as error:
        raise ApiError(400, "bad_query", str(error)) from error
    keys = {key: given[key] for key in ledger_calls.FILTERS if given.get(key)}
    page = await _read(request, lambda connection: ledger_calls.newest(connection, days, keys, before))
    wanted = Wanted(given.get("since", ""), given.get("until", ""), keys)
    return shown(request, calls_page(wanted, page), request[VIEWER])


async def call(request: web.Request) -> web.Response:
    """`GET /calls/{id}`: how one call was decided."""
    name = request.match_info["id"]
    found = await _read(request, lambda connection: ledger_calls.one(connection, name))
    if found == {}:
        raise ApiError(404, "unknown_call", "the ledger holds no such call: it is not booked yet, or no longer kept")
    return shown(request, call_page(name, found), request[VIEWER])


async def script(request: web.Request) -> web.Response:
    return web.Response(text=LIVE, content_type="text/javascript", headers=HEADERS)


async def style(request: web.Request) -> web.Response:
    return web.Response(text=CSS, content_type="text/css", headers=HEADERS)


async def icon(request: web.Request) -> web.Response:
    return web.Response(text=ICON, content_type="image/svg+xml", headers=HEADERS)


def _rollout(parts: Parts, warning: str = "") -> Page:
    return rollout_page(parts.publisher.channel, parts.stages.waits_for, parts.canaries.waits_for, warning=warning)


async def _read(request: web.Request, look: Callable[[Connection], T]) -> T | None:
    """None while the ledger cannot be read."""
    try:
        return await asyncio.to_thread(request.app[PARTS].ledger.read, look)
    except LedgerUnavailable:
        return None


def _books(parts: Parts) -> tuple[FleetSpend | None, list[Row] | None]:
    """None for what cannot be read."""
    since = datetime.fromtimestamp(parts.now(), UTC).date() - timedelta(days=DAYS - 1)
    try:
        question = Question(KEYS, Days(since=since))
        return parts.ledger.spend(), parts.ledger.read(lambda connection: ask(connection, question))
    except LedgerUnavailable:
        return None, None
