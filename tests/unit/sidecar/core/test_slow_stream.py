"""A stream that is too slow to be of use goes to the next target before the caller has seen any of it."""

import asyncio
from typing import Any

import pytest

from schemas.bundle import SlowStream
from tests.fakes import core_wire as wire
from tests.fakes.core import STREAM, Core
from tests.fakes.ports import PARK, Agent, Script, at_rest

RULE = SlowStream(characters_per_second=1_000.0, within=0.05)


async def stream(core: Core) -> bytes:
    """Without turning the clock: how long a stream is looked at is the event loop's time."""
    agent = Agent()
    reply = await core.pipeline.run(core.inbound(wire.request(stream=True)))
    await reply.pump(agent.write)  # type: ignore[union-attr]
    return agent.bytes


class LoopClock:
    """The core's clock goes with the event loop's."""

    def __init__(self, core: Core) -> None:
        core.clock.monotonic = asyncio.get_running_loop().time  # type: ignore[method-assign]


def core(*scripts: Script, **rules: Any) -> Core:
    made = Core(*scripts, **{"slow_stream": RULE, **rules})
    LoopClock(made)
    return made


async def test_a_slow_stream_goes_to_the_next_target_unseen() -> None:
    here = core(Script((wire.OPENING, wire.CONTENT, PARK)), STREAM)
    assert await stream(here) == wire.OPENING + wire.CONTENT * 2 + wire.FINISH + wire.DONE
    record = here.sink.only
    assert [(attempt.model, attempt.outcome) for attempt in record.attempts] == [
        ("alpha", "stream_slow"),
        ("beta", "ok"),
    ]
    assert record.wasted_usd > 0
    here.assert_nothing_left_open()


@pytest.mark.parametrize(
    "first",
    [
        STREAM,
        Script((wire.OPENING, *[wire.chat_chunk({"content": "x" * 100})] * 3, PARK)),
    ],
    ids=["a short whole answer", "enough characters in time"],
)
async def test_a_fast_stream_is_let_through_and_loses_nothing(first: Script) -> None:
    here = core(first, STREAM)
    agent = Agent()
    reply = await here.pipeline.run(here.inbound(wire.request(stream=True)))
    work = asyncio.ensure_future(reply.pump(agent.write))  # type: ignore[union-attr]
    await at_rest()
    assert here.upstream.models == ["alpha@one"]
    sent = b"".join(step for step in first.steps if isinstance(step, bytes) and step != wire.USAGE)
    assert sent.startswith(agent.bytes)
    work.cancel()
    await asyncio.wait([work])


async def test_the_last_target_may_be_as_slow_as_it_is() -> None:
    here = core(Script((wire.OPENING, wire.CONTENT, wire.CONTENT, wire.FINISH, wire.USAGE, wire.DONE)), chain=["alpha"])
    assert (await stream(here)).endswith(wire.DONE)


async def test_a_stream_that_breaks_while_it_is_looked_at_fails_over_unseen() -> None:
    here = core(Script((wire.OPENING, wire.CONTENT, wire.ERROR_EVENT)), STREAM)
    assert (await stream(here)).endswith(wire.DONE)
    assert [attempt.outcome for attempt in here.sink.only.attempts] == ["stream_failed", "ok"]
