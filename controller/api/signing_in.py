"""Signing in to the pages and out again."""

from typing import Final

from aiohttp import web

from controller import logs
from controller.access.people import COOKIE, SESSION_SECONDS, Viewer
from controller.api.guards import VIEWER
from controller.api.pages import form_of, shown
from controller.dashboard.signing_in import sign_in_page
from controller.parts import PARTS

NOBODY: Final = Viewer("", "nobody", may_act=False)


async def show(request: web.Request) -> web.Response:
    return shown(request, sign_in_page(request.query.get("next", "/")), NOBODY)


async def sign_in(request: web.Request) -> web.Response:
    """A token for a cookie that no script can read and no other site can send."""
    parts = request.app[PARTS]
    form = await form_of(request)
    following = _own_path(form.get("next", "/"))
    token = form.get("token", "").strip()
    cookie = parts.people.open_session(token, parts.now()) if token.isascii() else None
    if cookie is None:
        logs.warn("session.refused", by=request.remote)
        page = sign_in_page(following, "This is neither the controller's admin.token nor its sidecar.token.")
        return shown(request, page, NOBODY, status=401)
    logs.event("session.opened", by=request.remote)
    response = web.Response(status=303, headers={"Location": following})
    response.set_cookie(
        COOKIE, cookie, max_age=SESSION_SECONDS, path="/", httponly=True, samesite="Strict", secure=request.secure
    )
    return response


async def sign_out(request: web.Request) -> web.Response:
    await form_of(request, request[VIEWER])
    response = web.Response(status=303, headers={"Location": "/"})
    response.del_cookie(COOKIE, path="/")
    return response


def _own_path(path: str) -> str:
    """Never another site's: `//host` and `/\\host` are (WHATWG URL, "special authority slashes")."""
    is_own = path.startswith("/") and path[1:2] not in ("/", "\\") and path.isprintable()
    return path if is_own else "/"
