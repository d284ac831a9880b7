"""One connection without a socket: what goes out, what an answer is however it was cut, and when it is kept."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.http1.answer import MOST_HELD_BYTES, Answer
from sidecar.http1.connection import MAX_HEAD_BYTES, MOST_JOINED_BYTES
from sidecar.http1.errors import Lost
from tests.fakes.ports import at_rest
from tests.fakes.scripted_transport import Ends

HEAD = b"POST / HTTP/1.1\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"


async def asking(ends: Ends, method: str = "POST") -> "asyncio.Task[Answer]":
    task = asyncio.create_task(ends.connection.ask(method, HEAD, b"{}", 2))
    await at_rest()
    return task


async def body_of(answer: Answer) -> bytes:
    pieces = []
    while piece := await answer.chunk():
        pieces.append(piece)
    return b"".join(pieces)


async def answered(
    pieces: Sequence[bytes], method: str = "POST", *, then_end: bool = False
) -> tuple[Ends, Answer, bytes]:
    """The answer that arrives in these pieces."""
    ends = Ends()
    task = await asking(ends, method)
    for piece in pieces:
        if not ends.transport.is_closing():
            ends.connection.data_received(piece)
    if then_end:
        ends.transport.lose(None)
    await at_rest()
    answer = await task
    return ends, answer, await body_of(answer)


# Out.


async def test_a_small_body_leaves_in_one_piece_and_a_large_one_uncopied() -> None:
    for size in (0, 2, MOST_JOINED_BYTES, MOST_JOINED_BYTES + 1):
        ends = Ends()
        task = asyncio.create_task(ends.connection.ask("POST", HEAD, bytes(size), size))
        await at_rest()
        assert bytes(ends.transport.written) == HEAD + bytes(size)
        ends.connection.data_received(OK)
        assert await body_of(await task) == b"hi"
        assert ends.freed == 1


async def pieces_of(pieces: Sequence[bytes | Exception], gate: asyncio.Event | None = None) -> AsyncIterator[bytes]:
    for piece in pieces:
        if isinstance(piece, Exception):
            raise piece
        yield piece
        if gate is not None:
            await gate.wait()


@pytest.mark.parametrize(
    ("length", "wire"), [(None, b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"), (3, b"abc")], ids=["chunked", "with a length"]
)
async def test_a_body_that_is_still_arriving_is_framed(length: int | None, wire: bytes) -> None:
    ends = Ends()
    task = asyncio.create_task(ends.connection.ask("POST", HEAD, pieces_of([b"ab", b"", b"c"]), length))
    await at_rest()
    assert bytes(ends.transport.written) == HEAD + wire
    ends.connection.data_received(OK)
    assert await body_of(await task) == b"hi"
    assert ends.freed == 1


@pytest.mark.parametrize(
    ("pieces", "length"),
    [([b"a", OSError("gone")], None), ([b"a", OSError("gone")], 9), ([b"a"], 2), ([b"abc"], 2)],
    ids=["breaks off", "breaks off early", "too short", "too long"],
)
async def test_half_a_request_never_looks_like_a_whole_one(
    pieces: Sequence[bytes | Exception], length: int | None
) -> None:
    ends = Ends()
    task = asyncio.create_task(ends.connection.ask("POST", HEAD, pieces_of(pieces), length))
    with pytest.raises(Lost, match="own body"):
        await task
    assert not ends.transport.written.endswith(b"0\r\n\r\n")
    assert len(ends.transport.written) < len(HEAD) + (length or 99)
    assert (ends.freed, ends.gone, ends.transport.is_closing()) == (0, 1, True)


async def test_a_peer_that_takes_nothing_stops_the_bodys_source() -> None:
    taken = 0

    async def source() -> AsyncIterator[bytes]:
        nonlocal taken
        while taken < 9:
            taken += 1
            yield b"x"

    ends = Ends()
    ends.connection.pause_writing()
    task = asyncio.create_task(ends.connection.ask("POST", HEAD, source(), 9))
    await at_rest()
    assert taken == 1
    ends.connection.resume_writing()
    ends.connection.data_received(OK)
    assert (await task).status == 200
    await at_rest()
    assert bytes(ends.transport.written).endswith(b"x" * taken)


async def test_an_early_answer_counts_and_its_connection_is_not_kept() -> None:
    ends, gate = Ends(), asyncio.Event()
    task = asyncio.create_task(ends.connection.ask("POST", HEAD, pieces_of([b"a", b"b"], gate), 2))
    await at_rest()
    ends.connection.data_received(b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno")
    answer = await task
    assert (answer.status, await body_of(answer)) == (413, b"no")
    await at_rest()
    assert (ends.freed, ends.gone) == (0, 1)
    assert bytes(ends.transport.written) == HEAD + b"a"


async def test_an_answer_before_all_of_a_held_body_was_taken_ends_the_connection() -> None:
    ends = Ends()
    task = await asking(ends)
    ends.transport.unsent = 1
    ends.connection.data_received(OK)
    assert await body_of(await task) == b"hi"
    await at_rest()
    assert (ends.freed, ends.gone) == (0, 1)


# In.


@dataclass(frozen=True)
class Case:
    wire: bytes
    status: int
    body: bytes = b""
    method: str = "POST"
    ends: bool = False
    """The end of the connection is the end of the answer."""
    kept: bool = True


CASES = {
    "with a length": Case(OK, 200, b"hi"),
    "nothing": Case(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", 200),
    "in chunks": Case(CHUNKED + b"2\r\nhi\r\n3;x=y\r\n yo\r\n0\r\n\r\n", 200, b"hi yo"),
    "with trailers": Case(CHUNKED + b"2\r\nhi\r\n0\r\nx-t: 1\r\n\r\n", 200, b"hi"),
    "until the end": Case(b"HTTP/1.1 200 OK\r\nx: y\r\n\r\nhi", 200, b"hi", ends=True, kept=False),
    "of HTTP/1.0": Case(b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nhi", 200, b"hi", kept=False),
    "of HTTP/1.0, kept": Case(b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nhi", 200, b"hi"),
    "the last": Case(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nhi", 200, b"hi", kept=False),
    "without content": Case(b"HTTP/1.1 204 No Content\r\n\r\n", 204),
    "not modified": Case(b"HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n", 304, method="GET"),
    "to a HEAD": Case(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", 200, method="HEAD", kept=False),
    "after others": Case(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" + OK, 200, b"hi"
    ),
    "with bare line feeds": Case(b"HTTP/1.1 200 OK\ncontent-length: 2\n\nhi", 200, b"hi"),
    "redirected": Case(b"HTTP/1.1 307 T\r\nlocation: http://x/\r\ncontent-length: 0\r\n\r\n", 307),
    "without a reason": Case(b"HTTP/1.1 529 \r\ncontent-length: 2\r\n\r\nhi", 529, b"hi"),
    "with more behind it": Case(OK + b"HTTP/1.1 200 OK\r\n", 200, b"hi", kept=False),
    "with noise behind it": Case(OK + b"noise", 200, b"hi", kept=False),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_an_answer(case: Case) -> None:
    ends, answer, body = await answered([case.wire], case.method, then_end=case.ends)
    await at_rest()
    assert (answer.status, body, ends.freed == 1) == (case.status, case.body, case.kept)
    assert ends.gone == (0 if case.kept else 1)
    assert "link" not in answer.headers
    assert "x-t" not in answer.headers


async def test_headers_are_told_by_lower_case_names_and_without_blanks_around() -> None:
    wire = (
        b"HTTP/1.1 200 OK\r\nX-A:  one \r\nx-b:\r\nX-C: \xc3\xa9\xff\r\nx-d: 1\r\nX-D: 2\r\ncontent-length: 0\r\n\r\n"
    )
    _, answer, _ = await answered([wire])
    assert answer.headers == {"x-a": "one", "x-b": "", "x-c": "é\udcff", "x-d": "2", "content-length": "0"}


LOST = {
    "no HTTP": b"SSH-2.0-OpenSSH\r\n",
    "another protocol": b"HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nhi",
    "a length and chunks": b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\nhi",
    "no length": b"HTTP/1.1 200 OK\r\ncontent-length: 2x\r\n\r\nhi",
    "a name that is none": b"HTTP/1.1 200 OK\r\nx y: 1\r\n\r\n",
    "NUL in a value": b"HTTP/1.1 200 OK\r\nx: a\0b\r\n\r\n",
    "a status that is none": b"HTTP/1.1 99999 OK\r\n\r\n",
    "endless headers": b"HTTP/1.1 200 OK\r\n" + b"x-some: %b\r\n" % (b"v" * 1000) * 70,
    "an endless header": b"HTTP/1.1 200 OK\r\nx: " + b"v" * (MAX_HEAD_BYTES + 1),
    "huge headers": b"HTTP/1.1 200 OK\r\n"
    + b"".join(b"x-%d: %b\r\n" % (n, b"v" * 1000) for n in range(70))
    + b"content-length: 0\r\n\r\n",
    "endless interim answers": b"HTTP/1.1 100 Continue\r\n\r\n" * 3000,
}


@pytest.mark.parametrize("wire", LOST.values(), ids=LOST)
@pytest.mark.parametrize("size", [1 << 20, 1000], ids=["at once", "in pieces"])
async def test_what_is_no_answer_is_lost(wire: bytes, size: int) -> None:
    ends = Ends()
    task = await asking(ends)
    for at in range(0, len(wire), size):
        if not ends.transport.is_closing():
            ends.connection.data_received(wire[at : at + size])
    with pytest.raises(Lost) as lost:
        await body_of(await task)
    assert not lost.value.is_unanswered
    await at_rest()
    assert (ends.freed, ends.gone) == (0, 1)


BROKEN = {
    "short of its length": b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhi",
    "between chunks": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n",
    "inside a chunk's length": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n5",
    "no chunk": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\nno-length\r\n",
    "endless trailers": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n" + b"x: y\r\n" * 20_000,
}


@pytest.mark.parametrize("wire", BROKEN.values(), ids=BROKEN)
async def test_a_body_that_breaks_off_is_never_a_whole_one(wire: bytes) -> None:
    ends = Ends()
    task = await asking(ends)
    for at in range(0, len(wire), 1000):
        if not ends.transport.is_closing():
            ends.connection.data_received(wire[at : at + 1000])
    ends.transport.lose(None)
    answer = await task
    assert await answer.chunk() == b"hi"
    with pytest.raises(Lost):
        await answer.chunk()
    await at_rest()
    assert (ends.freed, ends.gone) == (0, 1)


@pytest.mark.parametrize("error", [None, ConnectionResetError(104, "reset")])
@pytest.mark.parametrize(("arrived", "is_unanswered"), [(b"", True), (b"H", False)])
async def test_whether_a_byte_of_an_answer_had_come_is_told(
    error: Exception | None, arrived: bytes, is_unanswered: bool
) -> None:
    ends = Ends()
    task = await asking(ends)
    if arrived:
        ends.connection.data_received(arrived)
    ends.transport.lose(error)
    with pytest.raises(Lost) as lost:
        await task
    assert lost.value.is_unanswered is is_unanswered


async def test_a_reset_is_no_end_of_an_answer_that_ends_with_its_connection() -> None:
    ends = Ends()
    task = await asking(ends)
    ends.connection.data_received(b"HTTP/1.1 200 OK\r\n\r\nhi")
    ends.transport.lose(ConnectionResetError(104, "reset"))
    answer = await task
    assert await answer.chunk() == b"hi"
    with pytest.raises(Lost):
        await answer.chunk()


async def test_bytes_that_nobody_asked_for_end_the_connection() -> None:
    ends = Ends()
    ends.connection.data_received(OK)
    await at_rest()
    assert (ends.connection.is_open, ends.freed, ends.gone) == (False, 0, 1)


async def test_a_connection_that_was_lost_before_it_was_used_answers_nothing() -> None:
    ends = Ends()
    ends.transport.lose(None)
    await at_rest()
    with pytest.raises(Lost) as lost:
        await ends.connection.ask("POST", HEAD, b"", 0)
    assert lost.value.is_unanswered


async def test_whoever_stops_waiting_closes_the_connection() -> None:
    ends = Ends()
    task = await asking(ends)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await at_rest()
    assert (ends.freed, ends.gone, ends.transport.is_closing()) == (0, 1, True)


async def test_a_slow_reader_makes_the_peer_wait_and_the_next_answer_does_not_suffer_from_it() -> None:
    ends = Ends()
    task = await asking(ends)
    size = MOST_HELD_BYTES + 2
    ends.connection.data_received(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size + bytes(size - 1))
    assert not ends.transport.is_reading
    answer = await task
    assert len(await answer.chunk()) == size - 1
    assert ends.transport.is_reading
    ends.connection.data_received(b"x")
    assert await answer.chunk() == b"x"
    task = await asking(ends)
    ends.connection.data_received(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size + bytes(size))
    assert ends.transport.is_reading, "all has arrived: the next request's answer may come"
    answer = await task
    task = await asking(ends)
    assert len(await body_of(answer)) == size, "its own reader still gets all of it"
    ends.connection.data_received(OK)
    assert await body_of(await task) == b"hi"


# However it was cut.


def run(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    with asyncio.Runner() as runner:
        runner.run(work())


def cut(wire: bytes, places: Sequence[int]) -> list[bytes]:
    at = sorted({place % (len(wire) + 1) for place in places} | {0, len(wire)})
    return [wire[start:end] for start, end in pairwise(at)]


tokens = st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=12).map("x-{}".format)
values = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=20)


@st.composite
def whole_answers(draw: st.DrawFn) -> tuple[bytes, int, dict[str, str], bytes]:
    status = draw(st.integers(200, 599).filter(lambda status: status not in (204, 304)))
    headers = draw(st.dictionaries(tokens, values, max_size=4))
    pieces = draw(st.lists(st.binary(min_size=1, max_size=40), max_size=5))
    body = b"".join(pieces)
    if draw(st.booleans()):
        headers["transfer-encoding"] = "chunked"
        framed = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n"
        framed += draw(st.sampled_from([b"", b"x-trailer: 1\r\n"])) + b"\r\n"
    else:
        headers["content-length"], framed = str(len(body)), body
    interim = draw(st.sampled_from([b"", b"HTTP/1.1 100 Continue\r\n\r\n"]))
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return interim + f"HTTP/1.1 {status} Some\r\n{lines}\r\n".encode() + framed, status, headers, body


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(whole_answers(), st.lists(st.integers(0, 400), max_size=8)), min_size=1, max_size=3))
def test_answers_do_not_depend_on_where_their_bytes_were_cut(
    many: list[tuple[tuple[bytes, int, dict[str, str], bytes], list[int]]],
) -> None:
    async def all_on_one_connection() -> None:
        ends = Ends()
        for number, ((wire, status, headers, body), places) in enumerate(many, 1):
            task = await asking(ends)
            for piece in cut(wire, places):
                ends.connection.data_received(piece)
            answer = await task
            assert (answer.status, answer.headers, await body_of(answer)) == (status, headers, body)
            assert ends.freed == number

    run(all_on_one_connection)


async def take_all(task: "asyncio.Task[Answer]", got: list[bytes]) -> None:
    answer = await task
    while piece := await answer.chunk():
        got.append(piece)


@settings(max_examples=150, deadline=None)
@given(whole_answers(), st.data())
def test_an_answer_cut_short_is_lost_wherever_that_was(
    made: tuple[bytes, int, dict[str, str], bytes], data: st.DataObject
) -> None:
    wire, _, _, body = made
    until = data.draw(st.integers(0, len(wire) - 1))

    async def cut_short() -> None:
        ends = Ends()
        task = await asking(ends)
        if until:
            ends.connection.data_received(wire[:until])
        ends.transport.lose(None)
        got: list[bytes] = []
        with pytest.raises(Lost):
            await take_all(task, got)
        assert body.startswith(b"".join(got))

    run(cut_short)


PARTS = [
    b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 ", b"HTTP/1.0 204 \r\n", b"HTTP/1.1 100 C\r\n\r\n", b"content-length: 3\r\n",
    b"content-length: -1\r\n", b"transfer-encoding: chunked\r\n", b"transfer-encoding: gzip\r\n", b"\r\n", b"\n", b"\r",
    b"connection: close\r\n", b"connection: upgrade\r\n", b"upgrade: h2c\r\n", b"abc", b"3\r\n", b"0\r\n",
    b"ffffffffffffffffff\r\n",
    b"x" * 70_000, b": ", b"\0", OK,
]  # fmt: skip
arrivals = st.lists(st.one_of(st.sampled_from(PARTS), st.binary(max_size=30)), max_size=10)


@settings(max_examples=300, deadline=None)
@given(arrivals, st.sampled_from(["POST", "GET", "HEAD"]), st.sampled_from([None, ConnectionResetError(104, "reset")]))
def test_any_bytes_are_an_answer_that_ends_or_is_lost(
    pieces: list[bytes], method: str, error: Exception | None
) -> None:
    async def any_bytes() -> None:
        complaints: list[str] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context["message"]))
        ends = Ends()
        task = await asking(ends, method)
        for piece in pieces:
            if piece and not ends.transport.is_closing():
                ends.connection.data_received(piece)
        ends.transport.lose(error)
        await at_rest()
        assert task.done()
        with contextlib.suppress(Lost):
            await asyncio.wait_for(body_of(await task), 5)
        assert ends.gone == 1
        assert complaints == []

    run(any_bytes)
