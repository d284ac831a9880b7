"""Host names: what cannot be looked up goes to the next target, and a name that moves is followed within a minute."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from sidecar.errors import Unreachable
from sidecar.providers.aiohttp_client import AiohttpClient
from sidecar.providers.client import HttpClient
from sidecar.providers.credentials import Credentials
from sidecar.providers.http import HttpUpstream
from sidecar.providers.own_client import OwnClient
from sidecar.routing.plan import plan_pinned
from sidecar.routing.snapshot import Target
from tests.fakes import core_bundles as bundles
from tests.fakes.ports import HandClock

PATIENCE_SECONDS = 0.5


class Names(AbstractResolver):
    """Every name is where the test says: None, nowhere; empty, nobody answers."""

    def __init__(self) -> None:
        self.address: str | None = "127.0.0.1"
        self.asked = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked += 1
        if self.address is None:
            raise OSError(socket.EAI_NONAME, "Name or service not known")
        if not self.address:
            await asyncio.Event().wait()
        return [ResolveResult(hostname=host, host=self.address, port=port, family=family, proto=0, flags=0)]

    async def close(self) -> None: ...


@asynccontextmanager
async def answering(address: str, port: int = 0) -> AsyncIterator[int]:
    async def say(_request: web.Request) -> web.Response:
        return web.Response(text=address, headers={"connection": "close"})

    app = web.Application()
    app.router.add_post("/v1/x", say)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, address, port).start()
    try:
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


def target(port: int) -> Target:
    rules = bundles.snapshot(
        providers={"one": bundles.provider(f"http://model.example:{port}")},
        models={"alpha": bundles.model("one")},
        chain=["alpha"],
    )
    return plan_pinned(rules, rules.use_cases["chat"], "alpha", {"openai": None}).steps[0].target


async def said(upstream: HttpUpstream, port: int) -> str:
    answer = await upstream.send(target(port), "/v1/x", {}, b"{}", PATIENCE_SECONDS)
    return (await answer.read()).decode()


NewClient = Callable[[Names, HandClock], HttpClient]


@pytest.fixture(params=["own", "aiohttp"])
def new_client(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> NewClient:
    """With names of the test's own, kept by the test's own clock."""

    def make(names: Names, clock: HandClock) -> HttpClient:
        if request.param == "own":
            return OwnClient(clock, resolver=names)
        monkeypatch.setattr("aiohttp.connector.monotonic", clock.monotonic)  # what its cache of names goes by
        return AiohttpClient(resolver=names)

    return make


async def test_a_name_that_moves_is_followed_within_a_minute(new_client: NewClient) -> None:
    names, clock = Names(), HandClock()
    upstream = HttpUpstream(Credentials(), new_client(names, clock))
    async with answering("127.0.0.1") as port, answering("127.0.0.2", port):
        assert await said(upstream, port) == "127.0.0.1"
        names.address = "127.0.0.2"
        assert await said(upstream, port) == "127.0.0.1"
        assert names.asked == 1, "a lookup for each call would cost each its time"
        await clock.turn(59.0)
        assert await said(upstream, port) == "127.0.0.2"
    await upstream.close()


@pytest.mark.parametrize("address", [None, ""], ids=["gone", "slow"])
async def test_a_name_that_is_gone_or_slow_to_find_is_unreachable(new_client: NewClient, address: str | None) -> None:
    names = Names()
    names.address = address
    upstream = HttpUpstream(Credentials(), new_client(names, HandClock()))
    with pytest.raises(Unreachable):
        await said(upstream, 80)
    await upstream.close()
