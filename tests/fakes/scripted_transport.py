"""A transport without a socket: what a connection writes is kept, and what arrives is what the test says."""

import asyncio
from collections.abc import Iterable

from sidecar.http1.connection import Connection


class ScriptedTransport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.is_reading = True
        self.unsent = 0
        """What the peer has not taken, as `get_write_buffer_size` tells it."""
        self._closing = False
        self._protocol: asyncio.Protocol | None = None

    def connect(self, protocol: asyncio.Protocol) -> None:
        self._protocol = protocol
        protocol.connection_made(self)

    def deliver(self, data: bytes) -> None:
        """It has arrived; whose connection it is now hears of it."""
        assert self._protocol is not None
        self._protocol.data_received(data)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def writelines(self, pieces: Iterable[bytes | bytearray | memoryview]) -> None:
        for piece in pieces:
            self.written += piece

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def pause_reading(self) -> None:
        assert self.is_reading
        self.is_reading = False

    def resume_reading(self) -> None:
        self.is_reading = True

    def is_closing(self) -> bool:
        return self._closing

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        assert isinstance(protocol, asyncio.Protocol)
        self._protocol = protocol

    def close(self) -> None:
        self.lose(None)

    def abort(self) -> None:
        self.lose(None)

    def lose(self, error: Exception | None) -> None:
        """The connection ends; its protocol is told in the loop's next turn."""
        if not self._closing:
            self._closing = True
            assert self._protocol is not None
            asyncio.get_running_loop().call_soon(self._protocol.connection_lost, error)


class Ends:
    """A connection, its transport, and what it told its keeper."""

    def __init__(self) -> None:
        self.freed = 0
        self.gone = 0
        self.transport = ScriptedTransport()
        self.connection = Connection(self._free, self._forget)
        self.transport.connect(self.connection)

    def _free(self, _: Connection) -> None:
        self.freed += 1

    def _forget(self, _: Connection) -> None:
        self.gone += 1
