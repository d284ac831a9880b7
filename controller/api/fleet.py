"""What sidecars say of themselves, and what people see of all of them."""

from typing import Final

import msgspec
from aiohttp import web

from controller.api.answers import answer, parse_as
from controller.api.bundles import MAX_ID_CHARACTERS
from controller.api.guards import SCOPE
from controller.errors import ApiError
from controller.parts import PARTS
from schemas.status import SidecarStatus

MAX_ERROR_CHARACTERS: Final = 1024
MAX_STATUS_BYTES: Final = 64 << 10
"""The last status of each sidecar is kept in memory."""


async def note_status(request: web.Request) -> web.Response:
    """`POST /v1/status`: a sidecar's beat."""
    body = await request.read()
    if len(body) > MAX_STATUS_BYTES:
        raise ApiError(413, "body_too_large", f"a status may have {MAX_STATUS_BYTES} bytes")
    status = parse_as(body, SidecarStatus)
    if not 0 < len(status.id) <= MAX_ID_CHARACTERS:
        raise ApiError(400, "malformed", f"id must have 1 to {MAX_ID_CHARACTERS} characters")
    parts, scope = request.app[PARTS], request[SCOPE]
    status = parts.scoped.told_as_one(status, scope)
    parts.roster.note_status(msgspec.structs.replace(status, error=status.error[:MAX_ERROR_CHARACTERS]), scope)
    return web.Response(status=204)


async def show(request: web.Request) -> web.Response:
    """`GET /v1/fleet`."""
    parts = request.app[PARTS]
    return answer(parts.roster.fleet(parts.publisher.pointer))
