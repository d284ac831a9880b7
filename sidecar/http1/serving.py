"""A server of plain requests. What is not plain goes, with its connection and from its first byte, to another one."""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from typing import Any, cast

from sidecar.http1.exchange import Exchange
from sidecar.http1.plain import END, MAX_HEAD_BYTES, read_plain

MOST_EARLY_BYTES = 64 << 10
"""Of requests that come before the one at hand is answered; beyond it the peer has to wait."""

Handle = Callable[[Exchange], Awaitable[None]]
"""Answers; is cancelled when whoever asked leaves."""

log = logging.getLogger("pointsman.http")


class PlainServer:
    """Makes a protocol for each connection: to be given to a loop's `create_server`."""

    def __init__(
        self,
        *,
        handle: Handle,
        serves: Callable[[str], bool],
        other: Callable[[], asyncio.Protocol],
        max_body_bytes: int,
        now: Callable[[], float],
    ) -> None:
        """
        Args:
            serves: whether a path, as it came and without its query, is one of `handle`'s.
            other: makes a protocol for a connection that something else was asked on.
            max_body_bytes: a larger body is not plain.
            now: Unix seconds.
        """
        self.handle = handle
        self.serves = serves
        self.other = other
        self.max_body_bytes = max_body_bytes
        self.now = now
        self.connections: set[Connection] = set()

    def __call__(self) -> "Connection":
        return Connection(self)

    async def close(self, seconds: float) -> None:
        """What is being answered has this long; everything else ends at once."""
        for connection in tuple(self.connections):
            connection.end()
        tasks = [connection.task for connection in self.connections if connection.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)
        for connection in tuple(self.connections):
            if connection.task is not None:
                connection.drop()
        await asyncio.sleep(0)  # a dropped connection is gone in the loop's next turn


class Connection(asyncio.Protocol):
    """One request after the other, each answered before the next is read."""

    def __init__(self, server: PlainServer) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._exchange: Exchange | None = None
        self._early = b""
        """Of later requests."""
        self._is_held_back = False
        self._is_ending = False
        self.room: asyncio.Future[None] | None = None
        self.task: asyncio.Task[None] | None = None
        """Answers the request at hand."""
        self.now = server.now

    def end(self) -> None:
        """After the answer that is under way, or at once where there is none."""
        self._is_ending = True
        if self._exchange is None and self._transport is not None:
            self._transport.close()

    def drop(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def write(self, data: bytes) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("whoever asked has left")
        transport.write(data)

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but its class
        self._server.connections.add(self)
        taken = transport.get_extra_info("socket")
        if taken is not None:  # a peer that is gone without a word is found out in the end
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._server.connections.discard(self)
        if self.task is not None:
            self.task.cancel()

    def data_received(self, data: bytes) -> None:
        exchange = self._exchange
        if exchange is None:
            self._begin(data)
            return
        self._early += exchange.feed(data)
        if exchange.is_over and self.task is None:
            self._next()
        elif len(self._early) > MOST_EARLY_BYTES and not self._is_held_back and self._transport is not None:
            self._is_held_back = True
            self._transport.pause_reading()

    def pause_writing(self) -> None:
        self.room = self._loop.create_future()

    def resume_writing(self) -> None:
        room, self.room = self.room, None
        if room is not None and not room.done():
            room.set_result(None)

    def _begin(self, data: bytes) -> None:
        head, at = None, data.find(END, 0, MAX_HEAD_BYTES)
        if at > 0:
            head = read_plain(data[:at])
        if head is None or head.length > self._server.max_body_bytes or not self._server.serves(head.path):
            self._hand_over(data)
            return
        self._exchange = exchange = Exchange(self, self._loop, head)
        self._early = exchange.feed(data[at + len(END) :])
        self.task = self._loop.create_task(self._answer(exchange))

    async def _answer(self, exchange: Exchange) -> None:
        try:
            await self._server.handle(exchange)
        except ConnectionError:
            pass  # whoever asked has left
        except Exception:
            log.exception("http.failed path=%s", exchange.path)
        finally:
            self.task = None
            if not exchange.is_ended:
                self.drop()  # half an answer must not look like a whole one
            elif exchange.is_over:
                self._next()

    def _next(self) -> None:
        """The exchange is over."""
        exchange, self._exchange = self._exchange, None
        transport = self._transport
        if exchange is None or transport is None or transport.is_closing():
            return
        if self._is_ending or not exchange.is_kept:
            transport.close()
            return
        if self._is_held_back:
            self._is_held_back = False
            transport.resume_reading()
        if self._early:
            early, self._early = self._early, b""
            self._begin(early)

    def _hand_over(self, data: bytes) -> None:
        """The connection is the other server's from here on."""
        transport = self._transport
        assert transport is not None
        self._transport = None
        self._server.connections.discard(self)
        other = self._server.other()
        cast(Any, transport).set_protocol(other)
        other.connection_made(transport)
        if self.room is not None:
            other.pause_writing()
        other.data_received(data)
