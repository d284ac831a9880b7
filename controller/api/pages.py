"""How a page leaves as HTML, JSON or CSV, and how a form comes back."""

from typing import Final
from urllib.parse import parse_qsl

from aiohttp import web

from controller.access.people import Viewer
from controller.api.answers import answer
from controller.dashboard.export import as_csv
from controller.dashboard.html import Reader, as_html
from controller.dashboard.view import Page
from controller.errors import ApiError
from controller.parts import PARTS

HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; "
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
    "X-Content-Type-Options": "nosniff",
    # With `no-referrer` a form's Origin would be `null` (Fetch standard, "append a request Origin header").
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
FORM_KEY: Final = "form_key"


def shown(request: web.Request, page: Page, viewer: Viewer, *, status: int = 200) -> web.Response:
    """The page in the form that the address asks for. Raises `ApiError`: it asks for one that is not."""
    wanted, form = request.query.get("table"), request.query.get("format", "html")
    if wanted is not None:
        for table in page.tables:
            if table.name == wanted:
                return web.Response(text=as_csv(table), content_type="text/csv", headers=HEADERS)
        names = ", ".join(table.name for table in page.tables)
        raise ApiError(400, "bad_query", f"table must be one of {names}, not {wanted[:40]!r}")
    if form == "json":
        response = answer(page, status=status)
        response.headers["Cache-Control"] = "no-store"
        return response
    if form != "html":
        raise ApiError(400, "bad_query", f"format must be html or json, not {form[:40]!r}")
    key = request.app[PARTS].people.form_key(viewer)
    reader = Reader(viewer.name, key, may_act=viewer.may_act, query=request.query_string)
    return web.Response(text=as_html(page, reader), content_type="text/html", headers=HEADERS, status=status)


async def form_of(request: web.Request, viewer: Viewer | None = None) -> dict[str, str]:
    """The fields that are filled in. For a `viewer`, only from a page that this controller made for them.

    Raises:
        ApiError: 403, it comes from elsewhere, or from a session that has ended.
    """
    fields = dict(parse_qsl((await request.read()).decode("utf-8", "replace"), max_num_fields=50))
    key = fields.pop(FORM_KEY, "")
    if viewer is not None and not request.app[PARTS].people.is_form_key(viewer, key):
        raise ApiError(
            403, "foreign_form", "this form was not made for you, or you signed in anew: load the page again"
        )
    return fields
