"""Calls and reloads in any order: each call sees one whole snapshot, the one of its first line."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.core.call import PlainReply
from tests.fakes import core_bundles as bundles
from tests.fakes import core_wire as wire
from tests.fakes.core import Core
from tests.fakes.ports import Agent, Script, at_rest

VERSIONS = [
    bundles.snapshot(
        revision=f"rev-{number}",
        models={f"m{number}": bundles.model(f"p{number}")},
        providers={f"p{number}": bundles.provider()},
        chain=[f"m{number}"],
    )
    for number in range(4)
]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.integers(0, 3), st.sampled_from(["call", "stream", "turn"])), max_size=25))
def test_each_call_sees_one_whole_snapshot(events: list[int | str]) -> None:
    async def history() -> None:
        streamed = Core(Script(wire.STREAM), snapshot=VERSIONS[0])
        plain = Core(snapshot=VERSIONS[0])
        calls: list[tuple[int, asyncio.Task[tuple[str, str]]]] = []
        current = 0

        async def call(core: Core, stream: bool) -> tuple[str, str]:
            inbound = core.inbound(wire.request(stream=stream))
            await asyncio.sleep(0)
            reply = await core.pipeline.run(inbound)
            if not isinstance(reply, PlainReply):
                await reply.pump(Agent().write)
            return reply.headers["x-pointsman-bundle"], reply.headers["x-pointsman-model"]

        for event in events:
            if isinstance(event, int):
                current = event
                plain.snapshot = streamed.snapshot = VERSIONS[event]
            elif event == "turn":
                await asyncio.sleep(0)
            else:
                core = streamed if event == "stream" else plain
                task = asyncio.ensure_future(call(core, event == "stream"))
                await asyncio.sleep(0)  # its first line
                calls.append((current, task))
        await at_rest()
        for version, task in calls:
            assert await task == (VERSIONS[version].digest, f"m{version}")
        for core in (plain, streamed):
            for record in core.sink.booked:
                version = int(record.revision.removeprefix("rev-"))
                assert (record.model, record.provider) == (f"m{version}", f"p{version}")
                assert record.bundle == VERSIONS[version].digest

    asyncio.run(history())
