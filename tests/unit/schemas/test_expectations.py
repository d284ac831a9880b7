"""An expectation that nobody understands changes nothing, and one that everybody does goes on as before."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from schemas.expectations import pass_over_odd_expectations


@pytest.fixture
async def port() -> AsyncIterator[int]:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=(await request.text()) + str(request.headers.get("X-Kept")))

    app = web.Application()
    app.router.add_post("/", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    assert runner.server is not None
    pass_over_odd_expectations(runner.server)
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield runner.addresses[0][1]
    await runner.cleanup()


@pytest.mark.parametrize("path", ["/", "/nothing"])
@pytest.mark.parametrize("expected", [b"100-con\xf5tinue", b"the impossible"])
async def test_an_odd_one_is_passed_over(port: int, path: str, expected: bytes) -> None:
    said = await asked(port, path, expected)
    assert said.startswith(b"HTTP/1.1 200 OK" if path == "/" else b"HTTP/1.1 404 ")
    assert path != "/" or said.endswith(b"Hello.yes")


async def test_one_to_continue_is_answered_first(port: int) -> None:
    said = await asked(port, "/", b"100-Continue")
    assert said.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK")


async def asked(port: int, path: str, expected: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        b"POST %b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-Kept: yes\r\nExpect: %b\r\n"
        b"Content-Length: 6\r\n\r\nHello." % (path.encode(), expected)
    )
    said = await reader.read()
    writer.close()
    return said
