"""The port that operators and probes read: metrics, health, status. Never a secret, and nothing acts here."""

import asyncio
from collections.abc import Callable

import msgspec
from aiohttp import web

from schemas.status import SidecarStatus
from sidecar.errors import ForeignHost
from sidecar.server.agents import Handler
from sidecar.server.guard import refuse_foreigners
from sidecar.telemetry.exposition import CONTENT_TYPE
from sidecar.telemetry.metrics import Metrics


def admin_app(
    *,
    metrics: Metrics,
    status: Callable[[], SidecarStatus],
    not_ready: Callable[[], str],
    allowed_hosts: frozenset[str],
) -> web.Application:
    """`not_ready` says why calls cannot be taken now; empty when they can. Rules are needed, the controller is not."""

    @web.middleware
    async def edge(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            refuse_foreigners(request.headers, allowed_hosts)
        except ForeignHost as error:
            return web.json_response({"error": {"code": error.code, "message": error.message}}, status=403)
        return await handler(request)

    async def expose(_request: web.Request) -> web.Response:
        page: list[str] = []
        for piece in metrics.pieces():
            page.append(piece)
            await asyncio.sleep(0)  # calls go on while a scrape is written
        return web.Response(body="".join(page).encode(), headers={"content-type": CONTENT_TYPE})

    async def healthy(_request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def ready(_request: web.Request) -> web.Response:
        why = not_ready()
        return web.Response(text=f"{why or 'ok'}\n", status=503 if why else 200)

    async def tell_status(_request: web.Request) -> web.Response:
        return web.Response(body=msgspec.json.encode(status()), content_type="application/json")

    app = web.Application(middlewares=[edge])
    app.router.add_get("/metrics", expose)
    app.router.add_get("/healthz", healthy)
    app.router.add_get("/readyz", ready)
    app.router.add_get("/status", tell_status)
    return app
