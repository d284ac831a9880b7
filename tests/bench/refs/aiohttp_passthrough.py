"""R, the measure of the bench: the smallest honest reverse proxy on aiohttp and uvloop.
It forwards bytes over kept-alive connections and does no gateway work: nothing is parsed, counted, limited or logged.

    python aiohttp_passthrough.py LISTEN_PORT UPSTREAM_PORT
"""

import sys
from collections.abc import AsyncIterator, Awaitable, Callable

import uvloop
from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, TCPConnector, web

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}
NOT_FORWARDED = HOP_BY_HOP | {"host", "accept-encoding"}
NOT_RETURNED = HOP_BY_HOP | {"server", "date"}
SESSION = web.AppKey("session", ClientSession)


def passing(upstream: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """The one handler: what comes in goes to `upstream`, what comes back goes out as it arrives."""

    async def pass_through(request: web.Request) -> web.StreamResponse:
        asked = [(name, value) for name, value in request.headers.items() if name.lower() not in NOT_FORWARDED]
        call = request.app[SESSION].request(
            request.method, upstream + request.rel_url.raw_path_qs, data=await request.read(), headers=asked
        )
        async with call as answer:
            headers = {name: value for name, value in answer.headers.items() if name.lower() not in NOT_RETURNED}
            if answer.content_length is not None:
                return web.Response(status=answer.status, headers=headers, body=await answer.read())
            response = web.StreamResponse(status=answer.status, headers=headers)
            await response.prepare(request)
            async for arrived in answer.content.iter_any():
                await response.write(arrived)
            await response.write_eof()
            return response

    return pass_through


async def open_session(app: web.Application) -> AsyncIterator[None]:
    """One session with an unbounded pool, for the life of the proxy."""
    app[SESSION] = ClientSession(
        connector=TCPConnector(limit=0, keepalive_timeout=60),
        timeout=ClientTimeout(total=None, sock_read=300),
        cookie_jar=DummyCookieJar(),
        auto_decompress=False,
    )
    yield
    await app[SESSION].close()


def main(port: int, upstream_port: int) -> None:
    """Serve on 127.0.0.1 until ended."""
    app = web.Application(client_max_size=64 << 20)
    app.cleanup_ctx.append(open_session)
    app.router.add_route("*", "/{path:.*}", passing(f"http://127.0.0.1:{upstream_port}"))
    web.run_app(app, host="127.0.0.1", port=port, access_log=None, print=None, loop=uvloop.new_event_loop())


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
