"""The agents' port given any bytes: what comes back is HTTP, and never a crash of ours."""

import asyncio
import re
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from tests.fakes.agent_port import Port
from tests.fakes.core import GOOD, Core

STATUS: Final = re.compile(rb"HTTP/[01]\.[0-9] ([0-9]{3}) ")
TURNS: Final = 60
"""Of the event loop: enough for each request of a connection to be answered, as nothing here waits for a network."""


class Edge:
    """One port for all that is asked of it; each asking is a connection of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._crashes: list[str] = []
        self._loop.set_exception_handler(lambda _, context: self._crashes.append(str(context)))
        self._loop.run_until_complete(self._start())

    def ask(self, data: bytes) -> None:
        """In one piece, which may be for our own server, and in two, which are for aiohttp's.

        Raises AssertionError: what comes is no HTTP, or says that the fault is ours; or something has crashed.
        """
        for parts in ((data,), (data[: len(data) // 2], data[len(data) // 2 :])):
            said = self._loop.run_until_complete(self._converse(parts))
            assert not said or said.startswith(b"HTTP/")
            assert b"500" not in STATUS.findall(said), said
            assert not self._crashes, self._crashes

    async def _start(self) -> None:
        port = Port(Path(tempfile.mkdtemp()), Core(GOOD))
        self._server = await port.listener.setup()

    async def _converse(self, parts: Sequence[bytes]) -> bytes:
        transport = _Transport(self._server())
        transport.protocol.connection_made(transport)
        for part in parts:
            transport.protocol.data_received(part)
            for _ in range(TURNS):
                await asyncio.sleep(0)
        transport.protocol.connection_lost(None)
        for _ in range(TURNS):
            await asyncio.sleep(0)
        return bytes(transport.written)


class _Transport(asyncio.Transport):
    def __init__(self, protocol: asyncio.Protocol) -> None:
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 4100)})
        self.protocol = protocol
        self.written = bytearray()
        self._is_closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        self.written += b"".join(list_of_data)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        assert isinstance(protocol, asyncio.Protocol)
        self.protocol = protocol

    def close(self) -> None:
        self._is_closed = True

    abort = close

    def is_closing(self) -> bool:
        return self._is_closed

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...
