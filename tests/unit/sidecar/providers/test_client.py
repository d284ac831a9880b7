"""What both HTTP clients promise: the same request on the wire, the same answer, and no redirect followed."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from sidecar.errors import Unreachable
from sidecar.http1.place import place_of
from tests.fakes.certificates import Authority
from tests.fakes.http_clients import NewClient, both_clients
from tests.fakes.upstream import silent_port


async def echo(request: web.Request) -> web.Response:
    body = await request.read()
    if request.path == "/moved":
        return web.Response(status=307, headers={"location": "/x", "set-cookie": "a=b"})
    seen = {name.lower(): value for name, value in request.headers.items()}
    seen.pop("content-type", None)
    return web.json_response({"method": request.method, "path": request.raw_path, "headers": seen, "size": len(body)})


@pytest.fixture
async def port() -> AsyncIterator[int]:
    app = web.Application(client_max_size=1 << 24)
    app.router.add_route("*", "/{rest:.*}", echo)
    runner = web.AppRunner(app, auto_decompress=False)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield int(runner.addresses[0][1])
    await runner.cleanup()


async def pieces() -> AsyncIterator[bytes]:
    for _ in range(3):
        await asyncio.sleep(0)
        yield b"abc"


REQUESTS: dict[str, tuple[str, str, dict[str, str], Any]] = {
    "a post": ("POST", "/v1/x?a=%20b", {"content-type": "application/json", "X-A": "é"}, b"{}"),
    "a large one": ("POST", "/x", {"content-type": "application/json"}, bytes(900 << 10)),
    "a get": ("GET", "/x", {}, b""),
    "a delete": ("DELETE", "/files/1", {"accept": "text/plain"}, b""),
    "an upload of known length": ("POST", "/x", {"content-type": "a/b", "content-length": "9"}, pieces),
    "an upload in chunks": ("POST", "/x", {"content-type": "a/b"}, pieces),
    "a caller's own user-agent": ("POST", "/x", {"User-Agent": "theirs", "accept-encoding": "gzip"}, b"{}"),
}


@both_clients
@pytest.mark.parametrize(("method", "path", "headers", "body"), REQUESTS.values(), ids=REQUESTS)
async def test_a_request_arrives_as_it_was_made(
    new_client: NewClient, port: int, method: str, path: str, headers: dict[str, str], body: Any
) -> None:
    client = new_client()
    place = place_of(f"http://127.0.0.1:{port}{path}")
    sent = body if isinstance(body, bytes) else body()
    answer = await client.request("one", method, place, headers, sent, 1.0)
    arrived = json.loads(await answer.read())
    answer.close()
    lower = {name.lower(): value for name, value in headers.items()}
    assert (arrived["method"], arrived["path"]) == (method, path)
    assert arrived["size"] == (len(body) if isinstance(body, bytes) else 9)
    for name, value in lower.items():
        assert name == "content-type" or arrived["headers"][name] == value
    assert arrived["headers"]["host"] == f"127.0.0.1:{port}"
    framing = {name for name in ("content-length", "transfer-encoding") if name in arrived["headers"]}
    assert len(framing) == (0 if method == "GET" else 1)
    await client.close()


@both_clients
async def test_no_redirect_is_followed_and_no_cookie_kept(new_client: NewClient, port: int) -> None:
    client = new_client()
    place = place_of(f"http://127.0.0.1:{port}/moved")
    answer = await client.request("one", "POST", place, {}, b"{}", 1.0)
    assert (answer.status, answer.headers["location"]) == (307, "/x")
    answer.close()
    answer = await client.request("one", "POST", place_of(f"http://127.0.0.1:{port}/x"), {}, b"{}", 1.0)
    assert b"cookie" not in await answer.read()
    answer.close()
    await client.close()


@both_clients
async def test_a_certificate_that_nobody_vouches_for_is_refused(new_client: NewClient, tmp_path: Path) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(Authority(tmp_path, "ca").server("server.pem"))
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    client = new_client()
    place = place_of(f"https://localhost:{server.sockets[0].getsockname()[1]}/")
    with pytest.raises(Unreachable):
        await client.request("one", "POST", place, {}, b"{}", 2.0)
    await client.close()
    server.close()


@both_clients
async def test_a_peer_that_takes_no_connection_is_unreachable_in_time(new_client: NewClient) -> None:
    client = new_client()
    with silent_port() as silent, pytest.raises(Unreachable):
        await client.request("one", "POST", place_of(f"http://127.0.0.1:{silent}/"), {}, b"{}", 0.1)
    await client.close()
