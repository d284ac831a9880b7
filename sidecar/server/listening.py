"""The agents' port itself: our own server of plain requests at the door, and aiohttp's behind it."""

import asyncio

from aiohttp import web

from schemas.expectations import pass_over_odd_expectations
from sidecar.http1.serving import PlainServer
from sidecar.ports import Clock
from sidecar.server.agents import AgentPort
from sidecar.settings import Address

LAST_ANSWERS_SECONDS = 1.0
"""For what is still being answered when the port closes."""

BACKLOG = 128
"""Connections that may wait to be taken."""


class Listener:
    def __init__(self, agents: AgentPort, clock: Clock) -> None:
        self._agents = agents
        self._clock = clock
        self._server: asyncio.Server | None = None

    async def setup(self) -> PlainServer:
        """Makes protocols, one for each connection."""
        # With handler_cancellation a caller that leaves cancels its handler at once, and with it the upstream call.
        self._runner = web.AppRunner(
            self._agents.app(), access_log=None, handler_cancellation=True, shutdown_timeout=LAST_ANSWERS_SECONDS
        )
        await self._runner.setup()
        other = self._runner.server
        assert other is not None
        pass_over_odd_expectations(other)
        self._plain = PlainServer(
            handle=self._agents.plain.answer,
            serves=self._agents.plain.serves,
            other=other,
            max_body_bytes=self._agents.max_body_bytes,
            now=self._clock.now,
        )
        return self._plain

    async def listen(self, address: Address) -> Address:
        """Where it listens: a port of 0 is any that is free. Raises OSError."""
        loop = asyncio.get_running_loop()
        made = await self.setup()
        self._server = await loop.create_server(made, address.host, address.port, reuse_address=True, backlog=BACKLOG)
        return Address(*self._server.sockets[0].getsockname()[:2])

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        await self._plain.close(LAST_ANSWERS_SECONDS)
        await self._runner.cleanup()
