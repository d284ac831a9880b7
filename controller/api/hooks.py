"""`POST /hooks/git`: a forge says that somebody has pushed. A hint to look now, never a source of truth."""

from aiohttp import web

from controller.errors import ApiError
from controller.hooks import is_from_the_forge
from controller.parts import PARTS


async def note_push(request: web.Request) -> web.Response:
    """202 at once; what the repository holds is found out by fetching it."""
    parts = request.app[PARTS]
    if parts.hook_secret is None:
        raise ApiError(404, "no_hook", "start the controller with --hook-secret to take push events")
    headers = {name.lower(): value for name, value in request.headers.items()}
    if not is_from_the_forge(headers, await request.read(), parts.hook_secret):
        raise ApiError(401, "unauthenticated", "neither an HMAC nor a token made with this controller's --hook-secret")
    parts.reconciler.hint()
    return web.Response(status=202)
