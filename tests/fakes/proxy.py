"""A TCP proxy on loopback that does something to what the server answers: delays it, or never lets it arrive."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

Meets = Callable[[bytes], Awaitable[bytes]]
"""Is given each piece of an answer and gives what the client gets; nothing ends the connection."""


@dataclass(frozen=True, slots=True)
class Proxy:
    port: int


@contextlib.asynccontextmanager
async def proxy_to(port: int, answers: Meets) -> AsyncIterator[Proxy]:
    """Listens until the block ends; then every connection is cut."""
    links: set[asyncio.Task[None]] = set()

    async def link(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        links.add(task)
        upstream: asyncio.StreamWriter | None = None
        try:
            there, upstream = await asyncio.open_connection("127.0.0.1", port)
            await _first(_pass(reader, upstream, _as_it_is), _pass(there, writer, answers))
        except OSError:
            pass
        finally:
            links.discard(task)
            for end in (writer, upstream):
                if end is not None:
                    end.transport.abort()

    server = await asyncio.start_server(link, "127.0.0.1", 0)
    try:
        yield Proxy(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for task in list(links):
            task.cancel()
        await asyncio.gather(*links, return_exceptions=True)


async def _as_it_is(data: bytes) -> bytes:
    return data


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, meets: Meets) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await meets(await reader.read(1 << 16)):
            writer.write(data)
            await writer.drain()


async def _first(*ways: Awaitable[None]) -> None:
    """Until either side ends."""
    tasks = [asyncio.ensure_future(way) for way in ways]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
