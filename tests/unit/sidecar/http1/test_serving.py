"""One connection of an agent without a socket: what is answered in which order, what is left to the other server."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.http1.exchange import Exchange
from sidecar.http1.serving import MOST_EARLY_BYTES, PlainServer
from tests.fakes.ports import at_rest
from tests.fakes.scripted_transport import ScriptedTransport

MAX_BODY = 100_000
NOW = 784111777.0
DATE = b"date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"


def asking(body: bytes, path: str = "/echo", more: bytes = b"") -> bytes:
    return b"POST %b HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n%b\r\n%b" % (path.encode(), len(body), more, body)


def echoed(body: bytes, more: bytes = b"") -> bytes:
    return b"HTTP/1.1 200 OK\r\nx-path: /echo\r\ncontent-length: %d\r\n%b%b\r\n%b" % (len(body), DATE, more, body)


async def echo(exchange: Exchange) -> None:
    exchange.answer(200, {"x-path": exchange.path}, await exchange.body())


class Other(asyncio.Protocol):
    """The server that knows all of HTTP: keeps what it is given."""

    def __init__(self) -> None:
        self.heard = b""
        self.lost = False
        self.is_paused = False

    def data_received(self, data: bytes) -> None:
        self.heard += data

    def pause_writing(self) -> None:
        self.is_paused = True

    def connection_lost(self, _: Exception | None) -> None:
        self.lost = True


class Agent:
    """Somebody who has connected."""

    def __init__(self, handle: Callable[[Exchange], Awaitable[None]] = echo) -> None:
        self.others: list[Other] = []
        self.server = PlainServer(
            handle=handle,
            serves=lambda path: path == "/echo",
            other=self._other,
            max_body_bytes=MAX_BODY,
            now=lambda: NOW,
        )
        self.connection = self.server()
        self.transport = ScriptedTransport()
        self.transport.connect(self.connection)

    async def say(self, *pieces: bytes) -> bytes:
        """What has been answered once all of it has arrived."""
        for piece in pieces:
            self.transport.deliver(piece)
            await at_rest()
        return bytes(self.transport.written)

    def _other(self) -> Other:
        self.others.append(Other())
        return self.others[-1]


async def test_a_request_is_answered_and_then_the_next() -> None:
    agent = Agent()
    assert await agent.say(asking(b"one")) == echoed(b"one")
    assert await agent.say(asking(b"two")) == echoed(b"one") + echoed(b"two")
    assert not agent.transport.is_closing()


async def test_a_large_answer_leaves_whole() -> None:
    assert await Agent().say(asking(b"x" * 50_000)) == echoed(b"x" * 50_000)


@settings(deadline=None)
@given(
    bodies=st.lists(st.binary(max_size=40), min_size=1, max_size=4),
    cuts=st.lists(st.integers(0, 600), max_size=6),
)
async def test_answers_are_the_same_however_requests_arrive(bodies: Sequence[bytes], cuts: Sequence[int]) -> None:
    """A head that comes in pieces is the other server's, with all that follows it."""
    agent, whole = Agent(), b"".join(asking(body) for body in bodies)
    edges = sorted({0, len(whole), *(cut for cut in cuts if cut < len(whole))})
    answered = await agent.say(*(whole[start:end] for start, end in pairwise(edges)))
    taken = len(bodies)
    if agent.others:
        [other] = agent.others
        taken = next(n for n in range(taken) if other.heard == b"".join(asking(body) for body in bodies[n:]))
    assert answered == b"".join(echoed(body) for body in bodies[:taken])


async def test_a_connection_ends_after_its_answer_where_that_is_asked_for() -> None:
    agent = Agent()
    assert await agent.say(asking(b"x", more=b"Connection: close\r\n")) == echoed(b"x", b"connection: close\r\n")
    assert agent.transport.is_closing()


@pytest.mark.parametrize(
    "odd",
    [
        b"GET /echo HTTP/1.1\r\nhost: a\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % (MAX_BODY + 1),
        b"POST /else HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nx: " + b"x" * 20_000 + b"\r\ncontent-length: 0\r\n\r\n",
        b"POST /ec",
        b"\r\n\r\n",
        b"\x16\x03\x01",
    ],
)
async def test_whatever_is_not_plain_is_the_other_server_s_with_all_that_follows(odd: bytes) -> None:
    agent = Agent()
    await agent.say(asking(b"x"), odd, b"more")
    [other] = agent.others
    assert other.heard == odd + b"more"
    assert agent.transport.written == echoed(b"x")
    assert not agent.server.connections
    agent.transport.lose(None)
    await at_rest()
    assert other.lost


async def test_what_comes_early_waits_for_its_turn_and_too_much_of_it_at_the_sender() -> None:
    go = asyncio.Event()

    async def slow(exchange: Exchange) -> None:
        await go.wait()
        await echo(exchange)

    agent, large = Agent(slow), asking(b"x" * MOST_EARLY_BYTES)
    assert await agent.say(asking(b"one"), asking(b"two"), large) == b""
    assert not agent.transport.is_reading
    go.set()
    await at_rest()
    assert bytes(agent.transport.written) == echoed(b"one") + echoed(b"two") + echoed(b"x" * MOST_EARLY_BYTES)
    assert agent.transport.is_reading


async def test_a_stream_leaves_in_chunks_and_waits_for_its_reader() -> None:
    sent = []

    async def stream(exchange: Exchange) -> None:
        exchange.begin(200, {"content-type": "text/event-stream"})
        for piece in (b"", b"first", b"second", b"third"):
            await exchange.send(piece)
            sent.append(piece)
        exchange.end()

    agent = Agent(stream)
    agent.connection.pause_writing()
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n" + DATE + b"\r\n"
    assert await agent.say(asking(b"")) == head + b"5\r\nfirst\r\n"
    assert sent == [b""]
    agent.connection.resume_writing()
    await at_rest()
    assert bytes(agent.transport.written) == head + b"5\r\nfirst\r\n6\r\nsecond\r\n5\r\nthird\r\n0\r\n\r\n"


async def test_a_stream_of_nothing_is_whole() -> None:
    async def stream(exchange: Exchange) -> None:
        exchange.begin(200, {})
        exchange.end()

    said = await Agent(stream).say(asking(b""))
    assert said == b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n" + DATE + b"\r\n0\r\n\r\n"


async def test_who_leaves_cancels_what_was_asked() -> None:
    ended: list[BaseException] = []

    async def wait(exchange: Exchange) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as error:
            ended.append(error)
            raise

    agent = Agent(wait)
    await agent.say(asking(b"x"))
    agent.transport.lose(None)
    await at_rest()
    assert len(ended) == 1
    assert not agent.server.connections


async def test_who_has_left_is_written_nothing_more() -> None:
    async def stream(exchange: Exchange) -> None:
        exchange.begin(200, {})
        await exchange.send(b"one")
        agent.transport.lose(None)
        with pytest.raises(ConnectionResetError):
            await exchange.send(b"two")
        raise ConnectionResetError

    agent = Agent(stream)
    assert (await agent.say(asking(b""))).endswith(b"3\r\none\r\n")


async def test_an_answer_may_come_before_the_whole_body_which_is_then_passed_over() -> None:
    async def refuse(exchange: Exchange) -> None:
        exchange.answer(401, {}, b"no")

    agent = Agent(refuse)
    first = asking(b"x" * 1_000)
    refused = await agent.say(first[:300])
    assert refused.startswith(b"HTTP/1.1 401 Unauthorized\r\n")
    assert await agent.say(first[300:] + first) == refused * 2
    assert not agent.transport.is_closing()


@pytest.mark.parametrize("begun", [True, False])
async def test_a_handler_that_breaks_ends_the_connection(begun: bool, caplog: pytest.LogCaptureFixture) -> None:
    async def broken(exchange: Exchange) -> None:
        if begun:
            exchange.begin(200, {})
            await exchange.send(b"half")
        raise RuntimeError("a bug")

    agent = Agent(broken)
    written = await agent.say(asking(b"x"))
    assert written.endswith(b"4\r\nhalf\r\n") if begun else not written
    assert agent.transport.is_closing()
    assert "http.failed path=/echo" in caplog.text


async def test_a_server_that_closes_lets_answers_under_way_end_and_waits_no_longer_than_it_is_told() -> None:
    go, stuck = asyncio.Event(), asyncio.Event()

    async def slow(exchange: Exchange) -> None:
        await (go if await exchange.body() == b"go" else stuck).wait()
        await echo(exchange)

    agent = Agent(slow)
    lines = [agent.transport, ScriptedTransport(), ScriptedTransport()]
    for line in lines[1:]:
        line.connect(agent.server())
    lines[1].deliver(asking(b"go"))
    lines[2].deliver(asking(b"stuck"))
    await at_rest()
    closing = asyncio.create_task(agent.server.close(0.05))
    await at_rest()
    assert [line.is_closing() for line in lines] == [True, False, False]
    go.set()
    await closing
    await at_rest()
    assert all(line.is_closing() for line in lines)
    assert lines[1].written.endswith(b"200 OK\r\nx-path: /echo\r\ncontent-length: 0\r\n" + DATE + b"\r\n")
    assert not lines[2].written
    assert not agent.server.connections
