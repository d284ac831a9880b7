"""What stands before every handler: foreign hosts and unknown callers are refused, no error leaves as a traceback."""

from collections.abc import Awaitable, Callable, Mapping
from enum import Enum, auto
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

from aiohttp import hdrs, web
from aiohttp.http_exceptions import HttpProcessingError

from controller import logs
from controller.access.people import COOKIE, Viewer
from controller.api.answers import MAX_BODY_BYTES, error_answer
from controller.errors import ApiError
from controller.parts import PARTS
from schemas.hosts import host_is_allowed, origin_is_allowed
from schemas.scope import OutOfScope, Scope, narrowed

SCOPE: Final = web.RequestKey("scope", tuple)
"""What the sidecar that asks sees; on every path for sidecars."""

VIEWER: Final = web.RequestKey("viewer", Viewer)
"""On every page but the one to sign in."""


class Access(Enum):
    OPEN = auto()
    """Whoever reaches the listen address."""
    READER = auto()
    """Open on loopback as long as no tokens are configured; else who sees everything, and the admin."""
    SIDECAR = auto()
    ADMIN = auto()
    PAGE = auto()
    """Whom `READER` lets in, and people who are signed in; others are asked to sign in."""
    PERSON = auto()
    """Who may act: the admin, and whom an authenticating proxy names."""


_CODES: Final = {404: "unknown_path", 405: "wrong_method", 413: "body_too_large"}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def guard(handler: Handler, access: Access) -> Handler:
    """The handler, for those alone who hold the token that `access` asks for."""
    if access is Access.OPEN:
        return handler

    async def guarded(request: web.Request) -> web.StreamResponse:
        if access is Access.SIDECAR:
            request[SCOPE] = await scope_of_sidecar(request)
        elif access is Access.READER:
            await request.app[PARTS].door.reader(*_shown(request))
        elif access in (Access.PAGE, Access.PERSON):
            viewer = await viewer_of(request)
            if viewer is None or (access is Access.PERSON and not viewer.may_act):
                return ask_to_sign_in(request)
            request[VIEWER] = viewer
        elif not request.app[PARTS].door.is_admin(request.headers.get(hdrs.AUTHORIZATION)):
            raise ApiError(401, "unauthenticated", "send the controller's admin.token as Authorization: Bearer")
        return await handler(request)

    return guarded


async def viewer_of(request: web.Request) -> Viewer | None:
    """Who looks at a page. None: nobody who may."""
    parts = request.app[PARTS]
    authorization, certificate = _shown(request)
    if parts.door.is_admin(authorization):
        return Viewer("admin.token", "bearer", may_act=True)
    named = parts.people.named_by_proxy(request.headers, request.remote)
    if named is not None:
        return named
    session = parts.people.in_session(request.cookies.get(COOKIE), parts.now())
    if session is not None:
        return session
    try:
        await parts.door.reader(authorization, certificate)
    except ApiError:
        return None
    return Viewer("", "reader", may_act=False)


def ask_to_sign_in(request: web.Request) -> web.Response:
    """A page is asked for again afterwards; a form is not: it would be sent unseen."""
    if request.method != hdrs.METH_GET:
        raise ApiError(401, "unauthenticated", "sign in at /login with the controller's admin.token")
    return web.Response(status=303, headers={hdrs.LOCATION: f"/login?next={quote(request.path_qs, safe='')}"})


async def scope_of_sidecar(request: web.Request) -> Scope:
    """What the sidecar may see, narrowed to what it asks for by `?use_case=`, once or several times.

    Raises:
        ApiError: 401 or 403, as `Door.sidecar` says; 403 also when it asks for more than it may see.
    """
    asker = await request.app[PARTS].door.sidecar(*_shown(request))
    try:
        return narrowed(asker.scope, request.query.getall("use_case", []))
    except OutOfScope as error:
        raise ApiError(403, "out_of_scope", str(error)) from error


def _shown(request: web.Request) -> tuple[str | None, Mapping[str, Any] | None]:
    """What the asker is known by: its token, its certificate."""
    certificate = None if request.transport is None else request.transport.get_extra_info("peercert")
    return request.headers.get(hdrs.AUTHORIZATION), certificate


@web.middleware
async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except ApiError as error:
        return error_answer(error)
    except web.HTTPException as error:
        response = error_answer(ApiError(error.status, *_words(request, error)))
        if hdrs.ALLOW in error.headers:
            response.headers[hdrs.ALLOW] = error.headers[hdrs.ALLOW]
        return response
    except (HttpProcessingError, web.RequestPayloadError) as error:
        return error_answer(ApiError(400, "malformed", f"the body cannot be read: {error}"))
    except Exception as bug:
        logs.bug("request.failed", bug, method=request.method, path=request.path)
        return error_answer(ApiError(500, "internal_error", "this is a fault of the controller; its log says more"))


@web.middleware
async def refuse_foreign_hosts(request: web.Request, handler: Handler) -> web.StreamResponse:
    allowed = request.app[PARTS].allowed_hosts
    if not host_is_allowed(request.headers.get(hdrs.HOST), allowed):
        raise ApiError(403, "foreign_host", "this Host is not answered; name it with --allow-host")
    if not origin_is_allowed(request.headers.get(hdrs.ORIGIN), allowed):
        raise ApiError(403, "foreign_origin", "this Origin is not answered; name its host with --allow-host")
    return await handler(request)


def _words(request: web.Request, error: web.HTTPException) -> tuple[str, str]:
    code = _CODES.get(error.status, "http_error")
    match error.status:
        case 404:
            return code, f"nothing is at {request.path}"
        case 405:
            return code, f"{request.path} does not take {request.method}"
        case 413:
            return code, f"a body may have {MAX_BODY_BYTES} bytes"
        case status:
            return code, HTTPStatus(status).phrase
