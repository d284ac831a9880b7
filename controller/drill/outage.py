"""A provider in an outage, on this machine: it refuses connections, answers errors, or never answers."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Literal, TypeAlias, get_args

from aiohttp import web

Fault: TypeAlias = Literal["503", "500", "429", "refused", "hang"]
FAULTS: Final[tuple[Fault, ...]] = get_args(Fault)


@asynccontextmanager
async def outage(fault: Fault) -> AsyncIterator[str]:
    """Gives its URL."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))  # without `listen`, whoever connects is refused
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        if fault == "refused":
            yield url
            return
        runner = web.AppRunner(_app(fault), access_log=None, shutdown_timeout=0)
        await runner.setup()
        try:
            await web.SockSite(runner, listener).start()
            yield url
        finally:
            await runner.cleanup()


def _app(fault: Fault) -> web.Application:
    async def fail(request: web.Request) -> web.StreamResponse:
        if fault == "hang":
            await asyncio.Event().wait()
        return web.json_response({"error": {"message": "This is a drill.", "type": "drill"}}, status=int(fault))

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", fail)
    return app
