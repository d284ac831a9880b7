"""One exchange in a handler's hands: its body as it arrives, its answer whole or in pieces."""

import asyncio

import pytest

from sidecar.http1.exchange import Exchange
from sidecar.http1.head import MOST_JOINED_BYTES
from sidecar.http1.plain import PlainHead
from tests.fakes.ports import at_rest

DATE = b"date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"


class Line:
    def __init__(self) -> None:
        self.room: asyncio.Future[None] | None = None
        self.written: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def now(self) -> float:
        return 784111777.0


def opened(length: int = 0, *, is_kept: bool = True) -> tuple[Exchange, Line]:
    line = Line()
    return Exchange(line, asyncio.get_running_loop(), PlainHead("/", "", {}, length, is_kept)), line


async def test_a_body_is_waited_for_and_no_byte_more_is_taken() -> None:
    exchange, _ = opened(6)
    assert exchange.feed(b"abc") == b""
    reading = asyncio.create_task(exchange.body())
    await at_rest()
    assert not reading.done()
    assert exchange.feed(b"defNEXT") == b"NEXT"
    assert await reading == b"abcdef"


async def test_what_comes_after_its_answer_is_passed_over() -> None:
    exchange, line = opened(6)
    exchange.answer(413, {}, b"no")
    assert (exchange.is_ended, exchange.is_over) == (True, False)
    assert exchange.feed(b"abcdefNEXT") == b"NEXT"
    assert exchange.is_over
    assert b"".join(line.written).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(("size", "pieces"), [(MOST_JOINED_BYTES, 1), (MOST_JOINED_BYTES + 1, 2)])
async def test_a_large_body_is_not_copied_behind_its_head(size: int, pieces: int) -> None:
    exchange, line = opened(is_kept=False)
    exchange.answer(200, {"x-a": "b"}, b"x" * size)
    assert len(line.written) == pieces
    head = b"HTTP/1.1 200 OK\r\nx-a: b\r\ncontent-length: %d\r\n%bconnection: close\r\n\r\n" % (size, DATE)
    assert b"".join(line.written) == head + b"x" * size


async def test_an_answer_that_has_not_begun_can_still_be_another() -> None:
    exchange, line = opened()
    exchange.begin(200, {"content-type": "text/event-stream"})
    await exchange.send(b"")
    assert not exchange.is_begun
    exchange.answer(500, {}, b"{}")
    assert b"".join(line.written).startswith(b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 2\r\n")


@pytest.mark.parametrize("bad", ["a\r\nx-b: c", "a\nb", "a\0"])
async def test_no_value_splits_an_answer(bad: str) -> None:
    exchange, line = opened()
    with pytest.raises(ValueError, match="control character"):
        exchange.answer(200, {"x-a": bad}, b"")
    with pytest.raises(ValueError, match="control character"):
        exchange.begin(200, {"x-a": bad})
    assert not line.written
    assert not exchange.is_begun


async def test_a_status_without_a_name_and_a_value_in_utf_8() -> None:
    exchange, line = opened()
    exchange.answer(529, {"x-a": "é"}, b"")
    assert line.written == ["HTTP/1.1 529 \r\nx-a: é\r\ncontent-length: 0\r\n".encode() + DATE + b"\r\n"]
