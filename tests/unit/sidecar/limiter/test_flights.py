"""One question at a time about one thing."""

import asyncio

import pytest

from sidecar.limiter.flights import Flights
from tests.fakes.ports import at_rest


async def test_who_asks_meanwhile_gets_the_same_answer_and_who_leaves_takes_it_from_nobody() -> None:
    flights, asked, gate = Flights(), list[str](), asyncio.Event()

    async def question() -> bool:
        asked.append("q")
        await gate.wait()
        return True

    first, second, third = (asyncio.create_task(flights.ask("k", question)) for _ in range(3))
    other = asyncio.create_task(flights.ask("other", question))
    await at_rest()
    second.cancel()
    await at_rest()
    gate.set()
    assert await asyncio.gather(first, third, other) == [True] * 3
    assert asked == ["q", "q"]
    assert await flights.ask("k", question)
    assert len(asked) == 3


async def test_where_the_one_who_asks_leaves_the_others_have_no_answer() -> None:
    flights = Flights()

    async def never() -> bool:
        await asyncio.Event().wait()
        return True

    first = asyncio.create_task(flights.ask("k", never))
    await at_rest()
    second = asyncio.create_task(flights.ask("k", never))
    await at_rest()
    first.cancel()
    assert await second is False
    with pytest.raises(asyncio.CancelledError):
        await first
