"""What was won, on its way to the caller and into the books."""

import asyncio
import json
from decimal import Decimal

import pytest

from sidecar.core.call import PlainReply
from sidecar.errors import (
    Unreachable,
)
from tests.fakes import core_bundles as bundles
from tests.fakes import core_wire as wire
from tests.fakes.core import GOOD, STREAM, Core, lost
from tests.fakes.ports import Agent, Script, at_rest


async def test_a_plain_call_is_answered_and_booked_once() -> None:
    core = Core()
    reply = await core.run()
    assert isinstance(reply, PlainReply)
    assert (reply.status, reply.body) == (200, wire.chat_answer())
    assert reply.headers["x-pointsman-model"] == "alpha"
    assert reply.headers["x-pointsman-provider"] == "one"
    assert reply.headers["x-pointsman-attempts"] == "1"
    assert reply.headers["x-pointsman-reason"] == "primary"
    assert reply.headers["x-pointsman-cost-usd"] == "0.00006"  # 10 × 3 + 2 × 15 US dollars per million
    record = core.sink.only
    assert (record.outcome, record.status, record.cost_usd, record.estimated) == ("ok", 200, Decimal("0.00006"), False)
    assert core.sink.observed == [record]
    core.assert_nothing_left_open()


async def test_a_streamed_call_is_handed_on_and_booked_once() -> None:
    core = Core(STREAM)
    got = await core.stream()
    assert got == wire.OPENING + wire.CONTENT * 2 + wire.FINISH + wire.DONE
    assert core.sink.only.outcome == "ok"
    assert core.sink.only.cost_usd == Decimal("0.00006")
    core.assert_nothing_left_open()


async def test_an_unknown_price_is_unknown_and_never_zero() -> None:
    core = Core(GOOD, models={"alpha": bundles.model("one", prices=())}, chain=["alpha"])
    reply = await core.run()
    assert core.sink.only.cost_usd is None
    assert "x-pointsman-cost-usd" not in reply.headers


@pytest.mark.parametrize("write_number", range(6))
@pytest.mark.parametrize("how", ["leaves", "is cancelled"])
async def test_a_caller_that_leaves_while_it_is_written_to_is_booked_once(write_number: int, how: str) -> None:
    core = Core(STREAM)
    agent = Agent(leaves_at=write_number) if how == "leaves" else Agent(parks_at=write_number)
    reply = await core.run(wire.request(stream=True))
    work = asyncio.ensure_future(reply.pump(agent.write))  # type: ignore[union-attr]
    await at_rest()
    if agent.parked.is_set():
        work.cancel()
    await asyncio.wait([work])
    assert work.cancelled() or isinstance(work.exception(), ConnectionError | None)
    assert core.sink.only.outcome in ("client_closed", "ok")
    core.assert_nothing_left_open()


async def test_a_conversation_that_its_provider_holds_goes_on_where_it_began() -> None:
    """Alpha is down when it begins, so beta answers and owns it; alpha is back when it goes on."""

    def asked(**more: str) -> bytes:
        return json.dumps({"model": "chat", "input": "Hello", **more}).encode()

    answer = Script((json.dumps(RESPONSE).encode(),))
    providers = {name: bundles.provider(dialect="openai-responses") for name in ("one", "two")}
    core = Core(lost(Unreachable("down")), answer, answer, answer, providers=providers)
    for more in ({}, {"previous_response_id": "resp_1"}, {"previous_response_id": "resp_of_another_sidecar"}):
        await core.run(asked(**more), dialect="openai-responses")
    assert core.upstream.models == ["alpha@one", "beta@two", "beta@two", "alpha@one"]
    assert [record.reason for record in core.sink.booked] == ["unreachable", "state_owner", "primary"]


RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "model": "m",
    "status": "completed",
    "output": [
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "Hi", "annotations": []}],
        }
    ],
    "usage": {"input_tokens": 10, "output_tokens": 2, "total_tokens": 12},
}
