"""The port: both servers answer behind it, and when it is closed nobody does."""

from pathlib import Path

import aiohttp
import pytest

from sidecar.server.listening import Listener
from sidecar.settings import Address
from tests.fakes import core_wire as wire
from tests.fakes.agent_port import Port
from tests.fakes.core import Core

ANY = Address("127.0.0.1", 0)


async def test_both_servers_answer_at_one_port_over_one_connection(tmp_path: Path) -> None:
    port = Port(tmp_path, Core())
    at = await port.listener.listen(ANY)
    async with aiohttp.ClientSession(f"http://{at}", connector=aiohttp.TCPConnector(limit=1)) as agent:
        for _ in range(2):
            plain = await agent.post("/v1/chat/completions", data=wire.request())
            assert (plain.status, "server" in plain.headers) == (200, False)
            await plain.read()
        models = await agent.get("/v1/models")
        assert (models.status, "server" in models.headers) == (200, True)
        await models.read()
        again = await agent.post("/v1/chat/completions", data=wire.request())
        assert (again.status, "server" in again.headers) == (200, True)  # the connection has changed hands
    await port.listener.close()


async def test_a_port_that_is_closed_is_free_again(tmp_path: Path) -> None:
    port = Port(tmp_path, Core())
    at = await port.listener.listen(ANY)
    other = Listener(port.agents, port.core.clock)
    with pytest.raises(OSError, match="in use"):
        await other.listen(at)
    await other.close()
    await port.listener.close()
    async with aiohttp.ClientSession(f"http://{at}") as agent:
        with pytest.raises(aiohttp.ClientConnectorError):
            await agent.get("/v1/models")
    third = Listener(port.agents, port.core.clock)
    assert await third.listen(at) == at
    await third.close()
