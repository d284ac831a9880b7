"""An answer on its way in: order, the end, breaks, and a reader that is slower than its peer."""

import asyncio

import pytest

from sidecar.http1.answer import MOST_HELD_BYTES, Answer
from sidecar.http1.errors import Lost
from tests.fakes.ports import at_rest


class Line:
    def __init__(self) -> None:
        self.said: list[str] = []

    def hold_back(self) -> None:
        self.said.append("hold back")

    def go_on(self) -> None:
        self.said.append("go on")

    def drop(self) -> None:
        self.said.append("drop")


def answer() -> tuple[Answer, Line]:
    line = Line()
    return Answer(line, asyncio.get_running_loop()), line


async def test_what_has_arrived_is_taken_at_once_and_in_order() -> None:
    made, _ = answer()
    for piece in (b"a", b"b", b"c"):
        made.feed(piece)
    assert made.has_more
    assert await made.chunk() == b"abc"
    made.ended = True
    assert [await made.chunk(), await made.chunk()] == [b"", b""]


async def test_a_reader_that_waits_is_woken_by_what_arrives() -> None:
    made, _ = answer()
    waiting = asyncio.create_task(made.chunk())
    await at_rest()
    made.wake()  # framing alone
    await at_rest()
    assert not waiting.done()
    made.feed(b"x")
    made.wake()
    assert await waiting == b"x"


async def test_what_arrived_before_a_break_can_still_be_taken() -> None:
    made, _ = answer()
    made.feed(b"x")
    made.break_off(Lost("closed"))
    assert await made.chunk() == b"x"
    for _ in range(2):
        with pytest.raises(Lost):
            await made.chunk()


async def test_a_break_before_the_head_is_raised_by_whoever_waits_for_it() -> None:
    made, _ = answer()
    waiting = asyncio.create_task(made.head())
    await at_rest()
    made.break_off(Lost("closed"))
    with pytest.raises(Lost):
        await waiting


async def test_what_it_is_failed_with_comes_before_what_has_arrived() -> None:
    made, _ = answer()
    made.feed(b"x")
    made.fail(TimeoutError("ours"))
    with pytest.raises(TimeoutError, match="ours"):
        await made.chunk()


async def test_the_peer_waits_for_a_slow_reader_and_goes_on_when_it_has_taken_all() -> None:
    made, line = answer()
    made.feed(bytes(MOST_HELD_BYTES))
    assert line.said == []
    made.feed(b"x")
    made.feed(b"x")
    assert line.said == ["hold back"]
    assert len(await made.chunk()) == MOST_HELD_BYTES + 2
    assert line.said == ["hold back", "go on"]


async def test_an_answer_that_has_ended_leaves_its_connection_alone() -> None:
    made, line = answer()
    made.feed(bytes(MOST_HELD_BYTES + 1))
    made.ended = True
    await made.chunk()
    made.close()
    assert line.said == ["hold back"], "another request may be on it by now"


async def test_closing_in_the_middle_drops_the_connection() -> None:
    made, line = answer()
    made.close()
    assert line.said == ["drop"]


async def test_a_reader_that_leaves_and_comes_back_misses_nothing() -> None:
    made, _ = answer()
    waiting = asyncio.create_task(made.chunk())
    await at_rest()
    waiting.cancel()
    await at_rest()
    made.feed(b"x")
    made.wake()
    assert await made.chunk() == b"x"
