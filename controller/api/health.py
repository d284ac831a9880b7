"""For machines that look after this one: alive, ready, and in figures."""

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from controller.api.answers import answer, nothing_loaded
from controller.parts import PARTS


async def alive(request: web.Request) -> web.Response:
    """`GET /healthz`: the event loop turns."""
    return answer({"status": "ok"})


async def ready(request: web.Request) -> web.Response:
    """`GET /readyz`: there is a bundle to serve. A repository that cannot be reached changes nothing about that."""
    publisher = request.app[PARTS].publisher
    publication = publisher.current
    if publication is None:
        raise nothing_loaded(publisher)
    return answer({"status": "ready", "revision": publication.pointer.revision, "seq": publication.pointer.seq})


async def metrics(request: web.Request) -> web.Response:
    """`GET /metrics`, in Prometheus' text format."""
    return web.Response(body=request.app[PARTS].metrics.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})
