"""One attempt up to its commit point: time limits, streams that fail unseen, requests that cannot be translated."""

from typing import Any

import pytest

from schemas.bundle import Timeouts
from sidecar.core.call import CallFailed
from sidecar.errors import (
    StreamCut,
)
from tests.fakes import core_bundles as bundles
from tests.fakes import core_wire as wire
from tests.fakes.core import GOOD, STREAM, Core, status
from tests.fakes.ports import PARK, Agent, Script


async def test_a_target_that_hangs_leaves_the_next_one_time_to_answer() -> None:
    core = Core(Script((PARK,)), GOOD, timeouts=Timeouts(deadline=0.2))
    await core.pipeline.run(core.inbound())
    assert [attempt.outcome for attempt in core.sink.only.attempts] == ["first_token_timeout", "ok"]
    core.assert_nothing_left_open()


async def test_the_deadline_ends_the_call_wherever_it_stands() -> None:
    core = Core(Script((PARK,)), chain=["alpha"], timeouts=Timeouts(deadline=0.05))
    with pytest.raises(CallFailed) as failed:
        await core.pipeline.run(core.inbound())
    assert core.sink.only.outcome == "deadline_exceeded"
    assert failed.value.error.status == 504
    core.assert_nothing_left_open()


async def test_a_deadline_that_is_over_is_no_failure_of_the_target() -> None:
    """Which limit was the shorter one decides, not which clock was read first."""
    core = Core(Script((PARK,)), chain=["alpha", "beta"], timeouts=Timeouts(deadline=0.05, first_token=30))
    with pytest.raises(CallFailed):
        await core.pipeline.run(core.inbound(wire.request(stream=True)))
    assert [attempt.outcome for attempt in core.sink.only.attempts] == ["deadline_exceeded"]


async def test_a_stream_without_content_in_time_goes_to_the_next_target() -> None:
    timeouts = Timeouts(first_token=0.05)
    core = Core(Script((wire.OPENING, PARK)), STREAM, timeouts=timeouts)
    reply = await core.pipeline.run(core.inbound(wire.request(stream=True)))
    agent = Agent()
    await reply.pump(agent.write)  # type: ignore[union-attr]
    assert agent.bytes.endswith(wire.DONE)
    assert [attempt.outcome for attempt in core.sink.only.attempts] == ["first_token_timeout", "ok"]
    core.assert_nothing_left_open()


@pytest.mark.parametrize(
    "first",
    [
        Script((wire.OPENING,)),
        Script((wire.OPENING, StreamCut("reset"))),
        Script((wire.ERROR_EVENT,)),
        Script((b"<html>no stream</html>",)),
        Script((b'{"error":{"message":"x"}}',)),
        Script((wire.event(b"{not json"),)),
        Script(()),
    ],
)
async def test_a_stream_that_fails_before_its_first_content_fails_over_unseen(first: Script) -> None:
    core = Core(first, STREAM)
    got = await core.stream()
    assert got == wire.OPENING + wire.CONTENT * 2 + wire.FINISH + wire.DONE
    assert core.upstream.models == ["alpha@one", "beta@two"]
    assert len(core.sink.only.attempts) == 2
    core.assert_nothing_left_open()


TRANSLATED: dict[str, Any] = {"providers": {"one": bundles.provider(), "two": bundles.provider(dialect="anthropic")}}


@pytest.mark.parametrize("chain", [["alpha", "beta"], ["beta", "alpha"]])
async def test_a_request_that_cannot_be_translated_is_refused_and_booked_once(chain: list[str]) -> None:
    """Whatever the first target made of it: the fault is the caller's, and the record says so."""
    body = wire.request(messages=[{"role": "nobody", "content": 7}])
    core = Core(status(429), chain=chain, **TRANSLATED)
    with pytest.raises(CallFailed) as failed:
        await core.run(body)
    assert failed.value.error.status == 400
    assert core.sink.only.outcome == "malformed_request"
