"""The controller as a sidecar sees it: whatever it answers, a failure is an UplinkFailed."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from schemas.bundle import SignedPointer
from schemas.status import SidecarStatus
from sidecar.uplink import Uplink, UplinkFailed

POINTER = SignedPointer(pointer='{"seq":1}')
Answer = Callable[[web.Request], web.Response]


class Controller:
    def __init__(self) -> None:
        self.answer: Answer = lambda _request: web.Response(body=msgspec.json.encode(POINTER))
        self.requests: list[tuple[str, dict[str, str], bytes]] = []

    async def handle(self, request: web.Request) -> web.Response:
        self.requests.append((request.path, dict(request.headers), await request.read()))
        return self.answer(request)


@pytest.fixture
def controller() -> Controller:
    return Controller()


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "sidecar.token"
    path.write_text("token\n")
    return path


@pytest.fixture
async def uplink(controller: Controller, token_file: Path) -> AsyncIterator[Uplink]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", controller.handle)
    async with TestServer(app) as server:
        made = Uplink(str(server.make_url("/")), "s-1", token_file)
        yield made
        await made.close()


UNREADABLE = [b"", b"{", b"[]", b"\xff\xfe", b'{"pointer":"\xff"}', b'{"x":' + b"[" * 90_000]


async def test_a_pointer_that_was_seen_is_not_fetched_again(uplink: Uplink, controller: Controller) -> None:
    controller.answer = lambda request: (
        web.Response(status=304)
        if request.headers.get("if-none-match") == "e1"
        else web.Response(body=msgspec.json.encode(POINTER), headers={"etag": "e1"})
    )
    assert await uplink.poll() == POINTER
    assert await uplink.poll() is None
    assert controller.requests[0][1]["Authorization"] == "Bearer token"


@pytest.mark.parametrize("body", UNREADABLE, ids=range(len(UNREADABLE)))
async def test_an_answer_that_cannot_be_read_is_a_failure_and_no_crash(
    uplink: Uplink, controller: Controller, body: bytes
) -> None:
    controller.answer = lambda _request: web.Response(body=body)
    with pytest.raises(UplinkFailed):
        await uplink.poll()
    with pytest.raises(UplinkFailed):
        await uplink.ship([b"{}"])
    controller.answer = lambda _request: web.Response(body=b"event: pointer\ndata: " + body + b"\n\n")
    with pytest.raises(UplinkFailed):
        await anext(uplink.watch())


@pytest.mark.parametrize("status", [301, 400, 401, 404, 500, 503])
async def test_a_refusal_is_a_failure_that_names_no_token(uplink: Uplink, controller: Controller, status: int) -> None:
    controller.answer = lambda _request: web.Response(status=status, text="no")
    status_report = SidecarStatus(id="s-1", version="1", state="ACTIVE")
    for call in (uplink.poll(), uplink.bundle("sha256:0"), uplink.report(status_report), uplink.ship([])):
        with pytest.raises(UplinkFailed) as failed:
            await call
        assert "token" not in str(failed.value)


async def test_records_go_out_as_they_are(uplink: Uplink, controller: Controller) -> None:
    controller.answer = lambda _request: web.Response(body=b'{"booked":2,"known":0}')
    receipt = await uplink.ship([b'{"id":"a"}', b'{"id":"b"}'], [b'{"call":"a"}'])
    assert receipt.booked == 2
    assert controller.requests[0][0] == "/v1/usage"
    assert controller.requests[0][2] == b'{"sidecar":"s-1","records":[{"id":"a"},{"id":"b"}],"feedback":[{"call":"a"}]}'


async def test_pointers_are_watched_until_the_stream_ends(uplink: Uplink, controller: Controller) -> None:
    line = b"event: pointer\ndata: " + msgspec.json.encode(POINTER) + b"\n\n"
    controller.answer = lambda _request: web.Response(body=b": ping\n\n" + line + b"event: other\ndata: x\n\n" + line)
    pointers = uplink.watch()
    assert [await anext(pointers), await anext(pointers)] == [POINTER, POINTER]
    with pytest.raises(UplinkFailed, match="ended"):
        await anext(pointers)


async def test_a_controller_that_is_not_there(unused_tcp_port: int) -> None:
    uplink = Uplink(f"http://127.0.0.1:{unused_tcp_port}", "s-1", None)
    try:
        with pytest.raises(UplinkFailed, match="asking"):
            await uplink.poll()
    finally:
        await uplink.close()


async def test_a_rotated_token_is_taken_up_at_the_next_request(
    uplink: Uplink, controller: Controller, token_file: Path
) -> None:
    def rotate(request: web.Request) -> web.Response:
        """The next token is in place, or none, when the answer comes."""
        if request.headers["Authorization"] == "Bearer token":
            token_file.write_text("another\n")
        else:
            token_file.unlink()
        return web.Response(status=304)

    controller.answer = rotate
    await uplink.poll()
    await uplink.poll()
    controller.answer = lambda _request: web.Response(status=304)
    await uplink.poll()
    shown = [headers.get("Authorization") for _, headers, *_ in controller.requests]
    assert shown == ["Bearer token", "Bearer another", None]


@pytest.mark.parametrize("says_hello", [True, False])
async def test_a_controller_that_froze_or_a_connection_that_died_is_noticed(says_hello: bool) -> None:
    """Nothing is closed and nothing comes any more: pings are missed."""
    event = b"event: pointer\ndata: " + msgspec.json.encode(POINTER) + b"\n\n"

    async def hangs(request: web.Request) -> web.StreamResponse:
        stream = web.StreamResponse()
        if says_hello:
            await stream.prepare(request)
            await stream.write(event)
        await asyncio.Event().wait()
        return stream

    app = web.Application()
    app.router.add_get("/v1/watch", hangs)
    async with TestServer(app) as server:
        uplink = Uplink(str(server.make_url("/")), "s-1", None, silence_seconds=0.1)
        watching = uplink.watch()
        if says_hello:
            assert await anext(watching) == POINTER
        with pytest.raises(UplinkFailed, match="no answer in time"):
            await anext(watching)
        await uplink.close()
