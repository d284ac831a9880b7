"""The client over real sockets: which connection a request takes, when it is kept, and what a broken one costs."""

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from sidecar.http1.errors import Lost, NotReached
from sidecar.http1.place import Place, place_of
from sidecar.http1.pool import MOST_IDLE, Pool
from tests.fakes.loops import on_both_loops
from tests.fakes.ports import HandClock
from tests.fakes.upstream import refusing_port, silent_port

IDLE_SECONDS = 60.0
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"

Handler = Callable[[int, int, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[bool]]
"""The number of the connection and of the request on it, its head being read; true: the connection goes on."""


class Peer:
    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self.port = 0
        self.connections = 0
        self.heads: list[bytes] = []
        self.closed = asyncio.Event()
        """The client, or the handler, has ended a connection."""

    @property
    def place(self) -> Place:
        return place_of(f"http://127.0.0.1:{self.port}/x")

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        connection = self.connections
        request = 0
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                self.heads.append(head)
                request += 1
                if not await self._handler(connection, request, reader, writer):
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            self.closed.set()


@asynccontextmanager
async def peer(handler: Handler) -> AsyncIterator[Peer]:
    made = Peer(handler)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()


async def always_good(
    _connection: int, _request: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> bool:
    await reader.readexactly(2)
    writer.write(OK)
    return True


@asynccontextmanager
async def pooling(clock: HandClock | None = None) -> AsyncIterator[Pool]:
    """Nothing that asyncio would log of it is allowed, and no task is left."""
    complaints: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context["message"]))
    made = Pool(clock or HandClock(), defaults={"accept": "*/*"}, idle_seconds=IDLE_SECONDS, names_seconds=30)
    try:
        yield made
    finally:
        await made.close()
    gc.collect()
    assert complaints == []
    assert made._open == set()


async def ask(pool: Pool, to: Peer, method: str = "POST") -> bytes:
    answer = await pool.request(method, to.place, {}, b"{}", 5.0)
    body = b""
    while piece := await answer.chunk():
        body += piece
    answer.close()
    return body


@on_both_loops
async def test_a_connection_is_used_again_and_only_one_is_opened() -> None:
    async with pooling() as pool, peer(always_good) as to:
        assert [await ask(pool, to) for _ in range(3)] == [b"hi"] * 3
        assert to.connections == 1
        assert to.heads[0] == (
            b"POST /x HTTP/1.1\r\nhost: 127.0.0.1:%d\r\naccept: */*\r\ncontent-length: 2\r\n\r\n" % to.port
        )


@on_both_loops
async def test_requests_at_the_same_time_have_a_connection_each_and_leave_as_many() -> None:
    async with pooling() as pool, peer(always_good) as to:
        assert await asyncio.gather(*(ask(pool, to) for _ in range(20))) == [b"hi"] * 20
        first = to.connections
        await asyncio.gather(*(ask(pool, to) for _ in range(first)))
        assert to.connections == first <= 20


@on_both_loops
async def test_what_lies_unused_is_closed_and_not_used() -> None:
    clock = HandClock()
    async with pooling(clock) as pool, peer(always_good) as to:
        await ask(pool, to)
        to.closed.clear()
        await clock.turn(IDLE_SECONDS + 1)
        await asyncio.wait_for(to.closed.wait(), 5)
        assert clock.waiting() == [], "nothing is left to sweep"
        await ask(pool, to)
        assert to.connections == 2


@on_both_loops
async def test_a_connection_that_its_peer_closed_while_it_lay_idle_is_not_used() -> None:
    async def once(_c: int, _r: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        await reader.readexactly(2)
        writer.write(OK)
        await writer.drain()
        return False

    async with pooling() as pool, peer(once) as to:
        for number in (1, 2, 3):
            to.closed.clear()
            assert await ask(pool, to) == b"hi"
            await to.closed.wait()
            await until(lambda: not any(pool._idle.values()))
            assert to.connections == number


async def until(holds: Callable[[], bool]) -> None:
    """What takes a few turns of the loop."""
    for _ in range(10_000):
        if holds():
            return
        await asyncio.sleep(0)
    pytest.fail("it never was so")


async def closed_on_the_second(
    connection: int, request: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> bool:
    await reader.readexactly(2)
    if connection == 1 and request == 2:
        return False
    writer.write(OK)
    return True


@on_both_loops
async def test_a_post_on_a_connection_that_closes_as_it_arrives_is_not_sent_twice() -> None:
    async with pooling() as pool, peer(closed_on_the_second) as to:
        await ask(pool, to)
        with pytest.raises(Lost) as lost:
            await ask(pool, to)
        assert lost.value.is_unanswered
        assert len(to.heads) == 2
        assert await ask(pool, to) == b"hi"


@on_both_loops
async def test_what_may_be_sent_twice_is_sent_again_once_on_a_new_connection() -> None:
    async with pooling() as pool, peer(closed_on_the_second) as to:
        await ask(pool, to, "PUT")
        assert await ask(pool, to, "PUT") == b"hi"
        assert (to.connections, len(to.heads)) == (2, 3)


@on_both_loops
async def test_a_new_connection_that_closes_unanswered_is_lost_at_once() -> None:
    async def never(_c: int, _r: int, _reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> bool:
        return False

    async with pooling() as pool, peer(never) as to:
        with pytest.raises(Lost):
            await ask(pool, to, "PUT")
        assert to.connections == 1


@on_both_loops
async def test_a_caller_that_leaves_in_the_middle_takes_the_connection_with_it() -> None:
    async def endless(_c: int, _r: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\nx")
        await reader.read()
        return False

    async with pooling() as pool, peer(endless) as to:
        answer = await pool.request("POST", to.place, {}, b"", 5.0)
        assert await answer.chunk() == b"x"
        answer.close()
        await asyncio.wait_for(to.closed.wait(), 5)


@on_both_loops
async def test_a_wait_for_an_answer_that_is_given_up_closes_the_connection() -> None:
    async def silent(_c: int, _r: int, reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> bool:
        await reader.read()
        return False

    async with pooling() as pool, peer(silent) as to:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await pool.request("POST", to.place, {}, b"", 5.0)
        await asyncio.wait_for(to.closed.wait(), 5)


@on_both_loops
async def test_a_reader_that_takes_nothing_makes_the_peer_wait() -> None:
    sent = 0

    async def flood(_c: int, _r: int, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (256 << 20))
        for _ in range(4096):
            writer.write(bytes(64 << 10))
            await writer.drain()
            sent += 64 << 10
        return True

    async with pooling() as pool, peer(flood) as to:
        answer = await pool.request("POST", to.place, {}, b"", 5.0)
        before = -1
        while sent != before:
            before = sent
            for _ in range(200):
                await asyncio.sleep(0)
        assert sent < 32 << 20, "the sockets' buffers and ours, not the answer"
        size = 0
        while piece := await answer.chunk():
            size += len(piece)
            assert len(piece) < 1 << 20
        assert size == 256 << 20


@on_both_loops
async def test_a_peer_that_takes_nothing_makes_the_bodys_source_wait() -> None:
    go_on, taken = asyncio.Event(), 0

    async def source() -> AsyncIterator[bytes]:
        nonlocal taken
        for _ in range(1024):
            taken += 1
            yield bytes(64 << 10)

    async def patient(_c: int, _r: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        await go_on.wait()
        await reader.readexactly(64 << 20)
        writer.write(OK)
        return True

    async with pooling() as pool, peer(patient) as to:
        asked = asyncio.create_task(pool.request("POST", to.place, {"Content-Length": str(64 << 20)}, source(), 5.0))
        await until(lambda: taken > 0)
        before = -1
        while taken != before:
            before = taken
            for _ in range(200):
                await asyncio.sleep(0)
        assert taken < 512
        go_on.set()
        answer = await asked
        assert await answer.chunk() == b"hi"
        assert taken == 1024


@on_both_loops
async def test_nobody_there_and_nobody_who_answers_are_not_reached() -> None:
    with refusing_port() as refusing, silent_port() as silent:
        async with pooling() as pool:
            for port in (refusing, silent):
                with pytest.raises(NotReached):
                    await pool.request("POST", place_of(f"http://127.0.0.1:{port}/"), {}, b"", 0.1)


@on_both_loops
async def test_a_header_that_cannot_be_sent_opens_no_connection() -> None:
    async with pooling() as pool, peer(always_good) as to:
        with pytest.raises(ValueError, match="control character"):
            await pool.request("POST", to.place, {"x": "a\r\nb: c"}, b"", 5.0)
        with pytest.raises(ValueError, match="int"):
            await pool.request("POST", to.place, {"content-length": "x"}, source_of_nothing(), 5.0)
        assert to.connections == 0


async def source_of_nothing() -> AsyncIterator[bytes]:
    for piece in ():
        yield piece


@on_both_loops
async def test_no_more_are_kept_than_the_most(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = asyncio.Event()

    async def together(_c: int, _r: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        await reader.readexactly(2)
        await gate.wait()
        writer.write(OK)
        return True

    monkeypatch.setattr("sidecar.http1.pool.MOST_IDLE", 3)
    assert MOST_IDLE > 3
    async with pooling() as pool, peer(together) as to:
        calls = [asyncio.create_task(ask(pool, to)) for _ in range(5)]
        await until(lambda: len(to.heads) == 5)
        gate.set()
        await asyncio.gather(*calls)
        await until(lambda: len(pool._open) == 3)
