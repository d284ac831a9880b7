"""Why it runs what it runs: the newest revision, the active one, and what keeps them apart."""

from aiohttp import web

from controller.api.answers import answer
from controller.parts import PARTS


async def show(request: web.Request) -> web.Response:
    """`GET /v1/problems`."""
    parts = request.app[PARTS]
    report = parts.reconciler.report
    pointer = parts.publisher.pointer
    return answer(
        {
            "source": parts.source.name,
            "revision": report.revision,
            "active_revision": "" if pointer is None else pointer.revision,
            "active_digest": "" if pointer is None else pointer.digest,
            "seq": 0 if pointer is None else pointer.seq,
            "problems": report.problems,
            "error": report.error,
            "tried_at": report.tried_at,
            "fetched_at": report.fetched_at,
            "activated_at": report.activated_at,
        }
    )
