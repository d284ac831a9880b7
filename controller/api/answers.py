"""How the API speaks: JSON bodies, and errors as `{"error": {"code", "message"}}`."""

from typing import Final, TypeVar

import msgspec
from aiohttp import web

from controller.errors import ApiError
from controller.publish import Publisher

MAX_BODY_BYTES: Final = 8 << 20
"""Of a request, after decompression."""
JSON: Final = "application/json"

T = TypeVar("T")


def answer(body: object, *, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), content_type=JSON, status=status)


def error_answer(error: ApiError) -> web.Response:
    response = answer({"error": {"code": error.code, "message": error.message}}, status=error.status)
    if error.retry_after_seconds is not None:
        response.headers["Retry-After"] = str(error.retry_after_seconds)
    return response


def parse_as(data: bytes, kind: type[T]) -> T:
    """A body as a value. Raises `ApiError` 400 naming the field that is wrong."""
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ApiError(400, "malformed", str(error)) from error


def nothing_loaded(publisher: Publisher) -> ApiError:
    """Why there is nothing to serve yet."""
    if not publisher.is_restored:
        message = "the database, which holds what the fleet is to run, does not answer yet; GET /v1/status says why"
        return ApiError(503, "database_away", message, retry_after_seconds=1)
    message = "no revision of the rules could be loaded yet; GET /v1/problems says why"
    return ApiError(503, "nothing_loaded", message, retry_after_seconds=1)
