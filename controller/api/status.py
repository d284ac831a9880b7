"""What this controller is, what it runs, and whether its ledger can be written."""

from aiohttp import web

from controller.api.answers import answer
from controller.api.rollout_view import view_now
from controller.parts import PARTS
from schemas.version import VERSION


async def show(request: web.Request) -> web.Response:
    """`GET /v1/status`. Rules are served whatever the ledger says: it has no part in `/readyz`."""
    parts = request.app[PARTS]
    pointer = parts.publisher.pointer
    return answer(
        {
            "version": VERSION,
            "revision": "" if pointer is None else pointer.revision,
            "seq": 0 if pointer is None else pointer.seq,
            "rollout": view_now(parts),
            "live_sidecars": parts.roster.alive(),
            "ledger": parts.ledger.health,
        }
    )
