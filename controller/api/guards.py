"""What stands before every handler: foreign hosts and unknown callers are refused, no error leaves as a traceback."""

from collections.abc import Awaitable, Callable
from enum import Enum, auto
from http import HTTPStatus
from typing import Final

from aiohttp import hdrs, web
from aiohttp.http_exceptions import HttpProcessingError

from controller import logs
from controller.api.answers import MAX_BODY_BYTES, error_answer
from controller.errors import ApiError
from controller.parts import PARTS
from controller.tokens import bearer_matches
from schemas.hosts import host_is_allowed, origin_is_allowed


class Access(Enum):
    OPEN = auto()
    """Whoever reaches the listen address."""
    SIDECAR = auto()
    ADMIN = auto()


_TOKEN_FILE: Final = {Access.SIDECAR: "sidecar.token", Access.ADMIN: "admin.token"}
_CODES: Final = {404: "unknown_path", 405: "wrong_method", 413: "body_too_large"}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def guard(handler: Handler, access: Access) -> Handler:
    """The handler, for those alone who hold the token that `access` asks for."""
    if access is Access.OPEN:
        return handler

    async def guarded(request: web.Request) -> web.StreamResponse:
        tokens = request.app[PARTS].tokens
        token = tokens.sidecar if access is Access.SIDECAR else tokens.admin
        if not bearer_matches(request.headers.get(hdrs.AUTHORIZATION), token):
            raise ApiError(
                401, "unauthenticated", f"send the controller's {_TOKEN_FILE[access]} as Authorization: Bearer"
            )
        return await handler(request)

    return guarded


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
