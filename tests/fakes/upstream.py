"""A provider over raw sockets that does what no HTTP server would: closes, resets, hangs, and answers with anything.

What happens is chosen by the first segment of the path, so that one server plays every part of a test.
"""

import asyncio
import contextlib
import socket
import ssl
import struct
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Literal

TLS_HANDSHAKE = b"\x16"
"""The first byte of a TLS record that opens a connection (RFC 8446, section 5.1)."""


@dataclass(frozen=True)
class Play:
    """One part: the answer's head, its pieces, and how the connection goes on."""

    status: int | None = 200
    """None: not a byte is answered."""
    headers: Mapping[str, str] = field(default_factory=dict)
    pieces: tuple[bytes, ...] = ()
    then: Literal["end", "close", "reset", "hang"] = "end"
    """`end` ends the body as HTTP says; `close` and `reset` break off inside it; `hang` waits for the caller to go."""
    bad_chunk: bool = False
    """The body's chunked framing breaks after the pieces."""
    only: int | None = None
    """The number of the one request that meets this; the others get a good answer, on a connection that is kept."""


class FaultServer:
    def __init__(self, plays: Mapping[str, Play], good: bytes) -> None:
        self.plays = dict(plays)
        self.received: Counter[str] = Counter()
        self.left: dict[str, asyncio.Event] = {}
        """Set when the caller has closed a connection that hung."""
        self.arrived: dict[str, asyncio.Event] = {}
        self.port = 0
        self.connections = 0
        self.sent: Counter[str] = Counter()
        """Bytes of pieces that have left for a caller who takes them."""
        self._good = good

    def reset(self, part: str) -> None:
        self.received[part] = 0
        self.left[part], self.arrived[part] = asyncio.Event(), asyncio.Event()

    async def serve_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
                while await self._serve_request(reader, writer):
                    pass
        finally:
            writer.close()

    async def _serve_request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """True while the connection is kept."""
        first = await reader.readexactly(1)
        if first == TLS_HANDSHAKE:
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            await writer.drain()
            return False
        head = first + await reader.readuntil(b"\r\n\r\n")
        part = head.split(b" ", 2)[1].decode().split("/")[1]
        length = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
        await reader.readexactly(length)
        self.received[part] += 1
        self.arrived.setdefault(part, asyncio.Event()).set()
        play = self.plays[part]
        if play.only not in (None, self.received[part]):
            head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
            writer.write(head % len(self._good) + self._good)
            await writer.drain()
            return True
        await self._perform(part, play, writer)
        if play.then == "hang":
            await reader.read()
            self.left.setdefault(part, asyncio.Event()).set()
        return False

    async def _perform(self, part: str, play: Play, writer: asyncio.StreamWriter) -> None:
        if play.status is not None:
            lines = [f"HTTP/1.1 {play.status} Status", "transfer-encoding: chunked", "connection: close"]
            lines += [f"{name}: {value}" for name, value in play.headers.items()]
            writer.write("\r\n".join(lines).encode() + b"\r\n\r\n")
            for piece in play.pieces:
                writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                await writer.drain()
                self.sent[part] += len(piece)
            if play.bad_chunk:
                await asyncio.sleep(0.03)  # in a packet of its own: what came with it would be lost with it
                writer.write(b"no-length\r\n")
            elif play.then == "end":
                writer.write(b"0\r\n\r\n")
            await writer.drain()
        if play.then == "reset":
            # Linger on, for no time: closing sends RST instead of FIN (socket(7), SO_LINGER).
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@asynccontextmanager
async def serving(plays: Mapping[str, Play], good: bytes) -> AsyncIterator[FaultServer]:
    fake = FaultServer(plays, good)
    server = await asyncio.start_server(fake.serve_connection, "127.0.0.1", 0)
    fake.port = server.sockets[0].getsockname()[1]
    try:
        yield fake
    finally:
        server.close()


@contextmanager
def refusing_port() -> Iterator[int]:
    """A port that nobody listens on, and that nobody else gets meanwhile."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@contextmanager
def silent_port() -> Iterator[int]:
    """A port whose queue of connections is full: a further one is neither taken nor refused."""
    with contextlib.ExitStack() as sockets:
        listener = sockets.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            waiting = sockets.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
